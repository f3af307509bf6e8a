"""What the world does to a pipeline whose links all lead through chaos: every frame has its one result, in order, or its typed error."""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from devices.chaos import Chaos, Faults
from edgekit.cluster import ANY, Link
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import Bed, home, kill, pid_of, through_chaos
from tests.models import local, serial, split

__all__ = ["home"]

Arrays = Mapping[str, np.ndarray]
LINKS = (Link(ANY, ANY, shaped=True),)
STAGES = ((0, 1, "a"), (1, 3, "b"), (3, 5, "c"))
MIXED = Faults(reset=0.01, half=0.01, flip=0.01, stall=0.01, slice=0.05, stall_s=0.2, jitter_s=0.001)


class Storm:
    """A pipeline of three stages through chaos, and the count of what became of its frames."""

    def __init__(self, bed: Bed, ways: list[Chaos], seed: int):
        self.net, self.bed, self.ways, self.seed = serial(), bed, ways, seed
        self.counts: Counter[str] = Counter()
        self.gap_s = 0.0

    def run(self, frames: int, faults: Faults, meanwhile: Callable[["Storm", Pipeline], None] = lambda storm, pipeline: None) -> None:
        """Send frames while links are faulty and something happens; each has one result, in its place, and it is right."""
        inputs = [self.net.inputs(seed) for seed in range(5)]
        answers = [run_once(self.net.data, frame) for frame in inputs]
        plan = split(self.net.graph, *STAGES)
        with self.bed.pipeline(plan, self.net, local("a", "b", "c", links=LINKS)) as pipeline, pipeline.client() as client:
            for way in self.ways:
                way.faults = faults
            happening = threading.Thread(target=meanwhile, args=(self, pipeline))
            happening.start()
            last = time.monotonic()
            for number, result in enumerate(client.stream((inputs[i % 5] for i in range(frames)), window=6)):
                now = time.monotonic()
                self.gap_s, last = max(self.gap_s, now - last), now
                assert result.frame == number
                whole = answers[number % 5]
                assert compare(result.value(), {name: whole[name] for name in self.net.graph.outputs}).worst <= TOLERANCE
                self.counts["frames"] += 1
            happening.join()
            for way in self.ways:
                self.counts += way.counts
                way.close()
        assert self.counts["frames"] == frames and self.gap_s < 15
        print(f"seed {self.seed}: {dict(self.counts)}, lost 0, duplicated 0, reordered 0, corrupt 0, worst gap {self.gap_s:.2f} s")


@pytest.fixture
def storm(home: Bed, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Storm]:
    seed = getattr(request, "param", 0)
    with through_chaos(monkeypatch, seed) as ways:
        yield Storm(home, ways, seed)


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 20))]


@pytest.mark.parametrize("storm", SEEDS, indirect=True)
def test_links_that_reset_halve_flip_stall_and_slice(storm: Storm) -> None:
    storm.run(400, MIXED)
    assert sum(storm.counts[kind] for kind in ("reset", "half", "flip", "stall", "slice")) > 10


@pytest.mark.parametrize("storm", SEEDS, indirect=True)
def test_links_that_flap(storm: Storm) -> None:
    def flap(storm: Storm, pipeline: Pipeline) -> None:
        dice = random.Random(storm.seed)
        for _ in range(6):
            time.sleep(0.2)
            dice.choice(storm.ways).cut()

    storm.run(600, Faults(latency_s=0.001), flap)
    assert storm.counts["cut"] == 6


@pytest.mark.nightly
def test_links_that_flap_for_a_minute_are_linked_no_more_often_and_nothing_grows(storm: Storm) -> None:
    grown: list[float] = []

    def flap(storm: Storm, pipeline: Pipeline) -> None:
        dice = random.Random(storm.seed)
        for number in range(30):
            time.sleep(2.0)
            dice.choice(storm.ways).cut()
            if number in (9, 29):
                grown.append(sum(resident_mb(pid_of(pipeline, stage)) for stage in range(3)))

    storm.run(6500, Faults(latency_s=0.005), flap)
    assert storm.counts["cut"] == 30
    assert storm.counts["connections"] <= len(storm.ways) + 2 * storm.counts["cut"]
    assert grown[1] - grown[0] < 3


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


@pytest.mark.parametrize("storm", SEEDS, indirect=True)
@pytest.mark.parametrize("way", ["dark", "dark_back"])
def test_a_link_that_goes_dark_for_a_while(storm: Storm, way: str) -> None:
    def darken(storm: Storm, pipeline: Pipeline) -> None:
        time.sleep(0.3)
        event = getattr(random.Random(storm.seed).choice(storm.ways), way)
        event.set()
        time.sleep(4.0)  # longer than a peer may be silent
        event.clear()

    storm.run(1500, Faults(latency_s=0.001), darken)
    assert storm.gap_s < 10


@pytest.mark.parametrize("storm", SEEDS, indirect=True)
def test_stages_that_are_killed_behind_links_that_are_faulty(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 20.0)  # two starts of Python, on a machine that may be busy

    def killing(storm: Storm, pipeline: Pipeline) -> None:
        dice = random.Random(storm.seed)
        for _ in range(2):
            time.sleep(0.5)
            with contextlib.suppress(IndexError):  # it is being brought back at the moment
                kill(pipeline, dice.randrange(3))

    storm.run(600, MIXED, killing)


def test_a_stage_that_is_stopped_for_a_while_loses_nothing(storm: Storm) -> None:
    def stop(storm: Storm, pipeline: Pipeline) -> None:
        time.sleep(0.3)
        pid = pid_of(pipeline, 1)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(5.0)
        os.kill(pid, signal.SIGCONT)

    storm.run(1500, Faults(latency_s=0.001), stop)


def test_a_slow_long_link_stays_full(storm: Storm) -> None:
    storm.run(100, Faults(latency_s=0.1, bytes_per_s=625_000.0))  # five Mbit a second, 200 ms there and back
