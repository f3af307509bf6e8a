"""Real agents on this machine for a whole file of tests, so that each test starts stage processes only."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from devices.chaos import Chaos, Faults
from devices.shaper import Route
from edgekit.cluster import Cluster
from edgekit.deploy.client.client import Streaming
from edgekit.deploy.serve.deployments import end
from edgekit.deploy.serve.pipeline import Pipeline, deploy
from edgekit.plan import Plan
from tests.models import Net, local

__all__ = ["Bed", "home", "kill", "pid_of", "through_chaos", "until"]


class Bed:
    """Agents that stay between tests."""

    def __init__(self, home: Path):
        self.home = home

    @contextmanager
    def pipeline(self, plan: Plan, net: Net, cluster: Cluster | None = None) -> Iterator[Pipeline]:
        """A pipeline whose stages end with the context."""
        with deploy(plan, net.graph, net.model, cluster or local(*plan.devices), home=self.home) as pipeline:
            try:
                yield pipeline
            finally:
                pipeline.stop()

    @contextmanager
    def client(self, plan: Plan, net: Net, cluster: Cluster | None = None) -> Iterator[Streaming]:
        """Its client."""
        with self.pipeline(plan, net, cluster) as pipeline, pipeline.client() as client:
            yield client


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("bed")
    yield Bed(folder)
    end(folder)


@contextmanager
def through_chaos(patch: pytest.MonkeyPatch, seed: int = 0) -> Iterator[list[Chaos]]:
    """Have all shaped links of the pipelines that are made meanwhile lead through proxies of this process, which are listed as they come.

    None of them is faulty until it is told to be.
    """
    ways: list[Chaos] = []

    @contextmanager
    def routes(wanted: Sequence[Route], lifeline: object) -> Iterator[list[tuple[str, int]]]:
        made = [Chaos(route.host, route.port, Faults(), seed=seed + number) for number, route in enumerate(wanted)]
        ways.extend(made)
        yield [way.address for way in made]

    patch.setattr("edgekit.deploy.serve.pipeline.open_routes", routes)
    try:
        yield ways
    finally:
        for way in ways:
            way.close()


def pid_of(pipeline: Pipeline, stage: int) -> int:
    """The process of a stage; IndexError while it is being brought back, when it has none."""
    states = [s for reply in pipeline.logs().values() for s in reply.stages if s.plan == pipeline.release and s.stage == stage]
    return [state.pid for state in states if state.pid > 0][0]


def kill(pipeline: Pipeline, stage: int) -> None:
    """End a stage process as a lack of memory would."""
    os.kill(pid_of(pipeline, stage), signal.SIGKILL)


def until(true: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether something comes true in time."""
    end_s = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.02)
    return True


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())
