"""Stages that serve come back with the next agent, at their addresses, and into their plan; those that were stopped do not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from devices.local import LocalConnection, connect, find
from edgekit.deploy.client.client import Client
from edgekit.deploy.client.client_links import Target
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.runtime.agent.recovery import Kept, forget, keep, kept
from edgekit.runtime.verbs import Endpoint, Port, Run
from tests.runtime.bed import DOUBLE, X, Y, eventually, spec, written

MODEL = written(DOUBLE)
HERE = Device("bench")
PORTS = ((Port(end=0, replicas=1, tensors=(Y,)),), (Port(end=0, replicas=1, tensors=(X,)),))
SERVE = "import sys, pathlib; from edgekit.runtime.agent.server import serve; serve(pathlib.Path(sys.argv[1]), daemon=True, keeps=True)"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Where an agent serves whose stages come back."""
    (tmp_path / HERE.name).mkdir()
    start(tmp_path)
    yield tmp_path
    with suppress(DeviceError), connect(HERE, tmp_path) as last:
        last.stop()


def start(home: Path) -> None:
    """As a device does after a boot."""
    subprocess.run([sys.executable, "-c", SERVE, str(home / HERE.name)], check=True)
    eventually(lambda: find(HERE, home))


def end(home: Path, number: int) -> None:
    """End the agent as a loss of power (SIGKILL) or a shutdown (SIGTERM) does."""
    os.kill(int((home / HERE.name / "agent.pid").read_text()), number)
    eventually(lambda: not find(HERE, home))


def deployed(agent: LocalConnection) -> tuple[str, int]:
    """A stage that serves; where it listens."""
    loaded, _ = agent.load(spec(agent.put(MODEL)))
    agent.run(Run(plan="plan", stage=0, replica=0, receivers=()))
    return loaded.host, loaded.port


def doubled(address: tuple[str, int], value: float) -> float:
    """What a client gets from the stage."""
    with Client(Target("plan", PORTS, {("client", 0, 0, 0): address, (0, 0, "client", 0): address})) as client:
        (result,) = client.stream([{"x": np.full(4, value, np.float32)}])
    return float(result.value()["y"][0])


def states(agent: LocalConnection) -> list[str]:
    return [stage.state for stage in agent.logs().stages]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_stage_that_served_comes_back_where_it_was(home: Path, number: int) -> None:
    with connect(HERE, home) as agent:
        address = deployed(agent)
    assert doubled(address, 3) == 6
    end(home, number)
    start(home)
    with connect(HERE, home) as agent:
        eventually(lambda: states(agent) == ["serving"])
        assert agent.logs().stages[0].owner == ""
    assert doubled(address, 5) == 10


def test_a_stage_that_was_stopped_or_never_ran_stays_away(home: Path) -> None:
    with connect(HERE, home) as agent:
        deployed(agent)
        agent.stop("plan")
        agent.load(spec(agent.put(MODEL)))
    end(home, signal.SIGTERM)
    start(home)
    with connect(HERE, home) as agent:
        assert states(agent) == []


def test_an_agent_that_is_told_to_end_has_nothing_come_back(home: Path) -> None:
    with connect(HERE, home) as agent:
        deployed(agent)
        agent.stop()
    eventually(lambda: not find(HERE, home))
    start(home)
    with connect(HERE, home) as agent:
        assert states(agent) == []


def test_what_keeps_a_stage_from_coming_back_is_told_and_it_can_be_stopped(home: Path) -> None:
    with connect(HERE, home) as agent:
        deployed(agent)
        end(home, signal.SIGTERM)
        (model,) = (path for path in (home / HERE.name / "store").iterdir() if len(path.name) == 64)
        model.rename(home / "away")
    start(home)
    with connect(HERE, home) as agent:
        eventually(lambda: "is not in the store" in states(agent)[0])
        assert states(agent)[0].startswith("coming back: the model")
        (home / "away").rename(model)
        eventually(lambda: states(agent) == ["serving"])
        model.rename(home / "away")
    end(home, signal.SIGKILL)
    start(home)
    with connect(HERE, home) as agent:
        eventually(lambda: "is not in the store" in states(agent)[0])
        agent.stop("plan")
        (home / "away").rename(model)
        time.sleep(0.3)
        assert states(agent) == []
    end(home, signal.SIGKILL)
    start(home)
    with connect(HERE, home) as agent:
        assert states(agent) == []


def test_what_is_written_down_is_read_again_and_rubbish_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "stages"
    stages = [Kept(spec("-", stage=stage, last=1), (Endpoint(end=1, replica=0, host="127.0.0.1", port=7),)) for stage in range(2)]
    for stage in (*stages, stages[0]):
        keep(folder, stage)
    (folder / "rubbish.json").write_text("{")
    first = next(folder.glob("plan-0-*.json")).read_bytes()
    (folder / "older.json").write_bytes(first.replace(b'"emulation":null', b'"speed":0.25'))
    assert kept(folder) == stages
    assert not (folder / "rubbish.json").exists() and not (folder / "older.json").exists()
    forget(folder, "another")
    assert kept(folder) == stages
    forget(folder, "plan")
    assert not folder.exists()
