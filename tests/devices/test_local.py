"""Agents on this machine: how they start, what their speed means, and what is said where they cannot start."""

import os
import signal
import statistics
import sys
from pathlib import Path

import msgspec
import pytest

from devices.local import connect, find
from edgekit.device import Device
from edgekit.errors import DeviceError, UsageError
from edgekit.graph import Tensor
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.verbs import Emulation, Measure
from tests.runtime.bed import DOUBLE, eventually, marked, spec, written

BENCH = Device("bench")
HEAVY = "net (float[256,256] x) => (float[256,256] y) { a = MatMul(x, x) y = MatMul(a, x) }"
MATRIX = (Tensor("x", (256, 256), "float32"),)
PRODUCT = (Tensor("y", (256, 256), "float32"),)


def slowness(speed: float) -> float:
    """How much longer than its processor time a run takes, both at their best."""
    with connect(BENCH) as connection:
        digest = connection.put(written(HEAVY))
        played = Emulation(speed=speed)
        measured, _ = connection.measure(
            Measure(model=digest, inputs=MATRIX, outputs=PRODUCT, mode="segment", emulation=played, budget_s=0.0, least=60)
        )
    return min(measured.samples_s) / min(measured.cpu_s)


@pytest.mark.parametrize("speed", [1.0, 0.5])
def test_a_slower_device_takes_its_share_longer(speed: float) -> None:
    assert 0.95 / speed < slowness(speed) < 1.6 / speed


def test_the_processor_time_of_a_run_does_not_depend_on_the_speed() -> None:
    with connect(BENCH) as connection:
        digest = connection.put(written(HEAVY))
        request = Measure(model=digest, inputs=MATRIX, outputs=PRODUCT, mode="segment", budget_s=0.0, least=40)
        requests = [msgspec.structs.replace(request, emulation=Emulation(speed=speed)) for speed in (1.0, 0.5)]
        cpu = [statistics.median(connection.measure(each)[0].cpu_s) for each in requests]
    assert 0.3 < cpu[0] / cpu[1] < 3


def test_runs_after_a_pause_are_told_apart() -> None:
    with connect(BENCH) as connection:
        request = Measure(
            model=connection.put(written(HEAVY)), inputs=MATRIX, outputs=PRODUCT, mode="segment", budget_s=0.0, least=6, rests=3
        )
        hurried, _ = connection.measure(request)
        measured, _ = connection.measure(msgspec.structs.replace(request, budget_s=0.5))
    assert len(hurried.samples_s) == 6 and len(hurried.rested_s) == 1
    assert len(measured.rested_s) == 3 and min(measured.rested_s) > 0


def test_how_fast_the_machine_is_meanwhile_is_told_where_it_is_asked_for() -> None:
    with connect(BENCH) as connection:
        request = Measure(model=connection.put(written(HEAVY)), inputs=MATRIX, outputs=PRODUCT, mode="segment", budget_s=0.1)
        silent, _ = connection.measure(request)
        compared, _ = connection.measure(msgspec.structs.replace(request, emulation=Emulation(compared=True)))
    assert silent.slowness == 1.0
    assert 0.2 < compared.slowness < 5 and compared.slowness != 1.0


def test_a_stage_runs_on_the_cores_of_its_device() -> None:
    core = max(os.sched_getaffinity(0))
    with connect(BENCH) as connection:
        connection.load(msgspec.structs.replace(spec(connection.put(written(DOUBLE))), cores=(core,)))
        assert os.sched_getaffinity(connection.logs().stages[0].pid) == {core}
        with pytest.raises(DeviceError, match=r"bench: stage 0@bench: cores \[4095\] are not all there .* change `cores`"):
            connection.load(msgspec.structs.replace(spec(connection.put(written(DOUBLE))), cores=(4095,)))


def script(folder: Path, text: str) -> str:
    """A stand-in for the interpreter."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("echo \"ModuleNotFoundError: No module named 'msgspec'\" >&2; exit 1", "No module named 'msgspec'"),
        ("exit 3", r"\(exit code 3\)"),
        ("exit 0", r"\(exit code 0\)"),
    ],
)
@pytest.mark.parametrize("stays", [False, True])
def test_an_agent_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str, stays: bool) -> None:
    monkeypatch.setattr(sys, "executable", script(tmp_path, text))
    with pytest.raises(DeviceError, match=f"^bench: its agent did not start.*{why}"):
        connect(BENCH, tmp_path / "home" if stays else None)
    assert not marked()


def test_an_interpreter_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(DeviceError, match="^bench: its agent cannot be started .*No such file"):
        connect(BENCH)


def test_an_agent_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("devices.local.START_S", 0.2)
    monkeypatch.setattr(sys, "executable", script(tmp_path, "exec sleep 60"))
    with pytest.raises(DeviceError, match="did not start within 0.2 s; is the machine overloaded?"):
        connect(BENCH)
    assert not marked()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DeviceError, match="its agent cannot be started .*see that the folder can be written to"):
        connect(BENCH, tmp_path / "file")


def test_a_home_that_is_too_deep_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is too deep for a socket, 107 bytes at most; set XDG_STATE_HOME"):
        connect(BENCH, tmp_path / ("deep" * 20))
    assert not list(tmp_path.iterdir())


def test_what_was_put_survives_an_agent_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = tmp_path / "bench" / "store" / digest_of(b"weights")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    monkeypatch.setattr(sys, "executable", script(tmp_path, "exit 1"))
    with pytest.raises(DeviceError):
        connect(BENCH, tmp_path)
    assert kept.read_bytes() == b"weights"


def test_a_killed_agent_that_was_to_stay_is_started_again(tmp_path: Path) -> None:
    with connect(BENCH, tmp_path):
        (pid,) = marked()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not find(BENCH, tmp_path))
    with connect(BENCH, tmp_path) as connection:
        assert find(BENCH, tmp_path)
        connection.stop()
    assert not find(BENCH, tmp_path)


def test_an_agent_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("devices.agent_connection.GREET_S", 0.5)
    with connect(BENCH, tmp_path):
        (pid,) = marked()
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(DeviceError, match="bench: its agent has not answered for 0.5 s; is it stopped"):
            connect(BENCH, tmp_path)
    finally:
        os.kill(pid, signal.SIGCONT)
    with connect(BENCH, tmp_path) as connection:
        connection.stop()
