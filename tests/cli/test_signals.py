"""Whenever a command is interrupted, terminated or killed, no process, socket or temporary file of it stays."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bed import edgekit_run, processes, started, toml, until
from tests.cli.test_bad_input import plan_file
from tests.models import serial

CLUSTER = """
[[devices]]
name = "near"
address = "local:"

[[devices]]
name = "far"
address = "local:"

[[links]]
source = "*"
receiver = "*"
latency_s = 0.001
bytes_per_s = 1e6
shaped = true
"""

SIM = 'name = "{}"\naddress = "sim:"\nroofline = {{ macs_per_s = {}, memory_bytes_per_s = 1e9 }}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "net.onnx").write_bytes(serial(3).data)
    toml(folder, CLUSTER)
    toml(folder, CLUSTER.replace("shaped = true", ""), "plain.toml")
    described = CLUSTER.replace('name = "near"\naddress = "local:"', SIM.format("near", 1e6))
    described = described.replace('name = "far"\naddress = "local:"', SIM.format("far", 2e6))
    toml(folder, described, "sim.toml")
    plan_file(folder / "plan.json", serial(3).graph.digest, (0, 1, "near"), (1, 3, "far"))
    toml(folder, CLUSTER.replace("shaped = true", "").replace("0.001", "0.0").replace("1e6", "1e12"), "quick.toml")
    assert edgekit_run("profile", folder / "net.onnx", "-c", folder / "plain.toml", "-o", folder / "profiles", "--seconds", "0.1").code == 0
    for name, quick in (("near", 0), ("far", -1)):  # as if each were made for one end of the network, so that a split is worth measuring
        path = folder / "profiles" / f"{name}.profile.json"
        profile = json.loads(path.read_text())
        profile["kernels"][quick]["seconds"] *= 1e-6
        path.write_text(json.dumps(profile))
    return folder


class Place:
    """Where one command keeps its temporary files and its agents."""

    def __init__(self, folder: Path, tmp_path: Path):
        self.folder, self.temp, self.state = folder, tmp_path / "t", tmp_path / "s"
        self.temp.mkdir()

    def stopped(self, line: str, text: str, delay_s: float, number: signal.Signals, before: str = "") -> tuple[int, str]:
        """Start a command and signal it some time after it has said something; its exit code and standard error."""
        words = [self.folder / word if (self.folder / word).exists() else word for word in line.split()]
        with started(*words, temp=self.temp, state=self.state, before=before) as process:
            assert process.stderr is not None
            said = []
            for heard in process.stderr:
                said.append(heard)
                if text in heard:
                    break
            time.sleep(delay_s)
            process.send_signal(number)
            try:
                rest = process.communicate(timeout=30)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            return process.returncode, "".join(said) + rest

    def clean(self) -> bool:
        return not processes(self.temp) and not list(self.temp.glob("edgekit-*")) and not list(self.state.rglob("agent.sock"))


@pytest.fixture
def place(folder: Path, tmp_path: Path) -> Iterator[Place]:
    place = Place(folder, tmp_path)
    yield place
    assert until(place.clean), [*processes(place.temp), *place.temp.iterdir(), *place.state.rglob("agent.sock")]


PROFILE = "profile net.onnx -c cluster.toml -o out"
SURVEY = "survey net.onnx -c cluster.toml --thorough"
BENCH = "bench net.onnx --seconds 5"
PARTITION = "partition net.onnx -c quick.toml -p profiles -o out.json --measure"
DEPLOY = "deploy plan.json -g net.onnx -c cluster.toml"
VERIFY = "verify plan.json -g net.onnx -c cluster.toml --seconds 0.2"

MOMENTS = [
    # command, what it has said, and how long ago
    (PROFILE, "profiling: near", 0.0),
    (PROFILE, "profiling: near", 1.5),
    (SURVEY, "surveying: connecting", 0.6),
    (SURVEY, "surveying: link 2", 0.6),
    (PARTITION, "partitioning: pass 1: far", 0.3),
    (DEPLOY, "deploying: connecting", 0.0),
    (DEPLOY, "deploying: loading stages", 0.3),
    (DEPLOY, "deploying: comparing", 0.0),
    (VERIFY, "verifying: latency of a frame alone", 0.3),
    (BENCH, "bench: round 1", 0.3),
]


@pytest.mark.parametrize(
    ("line", "text", "delay_s", "number"), [(*moment, (signal.SIGINT, signal.SIGTERM)[i % 2]) for i, moment in enumerate(MOMENTS)]
)
def test_an_interruption_stops_everything(place: Place, line: str, text: str, delay_s: float, number: signal.Signals) -> None:
    code, err = place.stopped(line, text, delay_s, number)
    assert code == 130, err
    assert "interrupted; what this command started has been stopped" in err.splitlines()


def test_an_interrupted_demo_stops_everything(place: Place, folder: Path) -> None:
    small = f"import edgekit.api.demo, sys\nsys.modules['edgekit.api.demo'].NETWORK = {str(folder / 'net.onnx')!r}"
    code, err = place.stopped(f"demo -o {place.temp}", "measuring the links (2 of 7): connecting", 1.0, signal.SIGINT, small)
    assert code == 130, err
    assert "interrupted; what this command started has been stopped" in err.splitlines()


@pytest.mark.parametrize(
    ("line", "text", "delay_s"),
    [(PROFILE, "profiling: near", 1.0), (SURVEY, "surveying: link 2", 0.3), (VERIFY, "verifying: latency of a frame alone", 0.1)],
)
def test_what_was_started_ends_with_a_command_that_is_killed(place: Place, line: str, text: str, delay_s: float) -> None:
    assert place.stopped(line, text, delay_s, signal.SIGKILL)[0] == -signal.SIGKILL


def test_what_a_killed_deployment_left_is_stopped_by_the_next_command(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.stopped(DEPLOY.replace("cluster", "plain"), "deploying: comparing", 0.0, signal.SIGKILL)[0] == -signal.SIGKILL
    monkeypatch.setenv("XDG_STATE_HOME", str(place.state))
    assert edgekit_run("stop").out == "stopped far, near\n"
