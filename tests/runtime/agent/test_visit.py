"""Agents at the far end of a byte stream: they answer, they end with it, and they leave nothing."""

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.local import connect
from edgekit import __version__
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Channel, Failure
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.agent.visit import ABSENT
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import Alive, Done, Greet, Greeted, Load, Loaded, Measure, Measured, Put, PutReply, Stop
from tests.runtime.bed import DOUBLE, X, Y, alive, eventually, spec, written

MODEL = written(DOUBLE)


class Pipes:
    """The standard input and output of a process as a stream."""

    def __init__(self, process: "subprocess.Popen[bytes]"):
        assert process.stdin is not None and process.stdout is not None
        self.into, self.out = process.stdin, process.stdout

    def sendall(self, data: bytes | memoryview, /) -> None:
        self.into.write(data)
        self.into.flush()

    def recv(self, count: int, /) -> bytes:
        return os.read(self.out.fileno(), count)

    def close(self) -> None:
        self.into.close()


def agent(mode: str, folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "edgekit.runtime.agent.server", mode, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


@pytest.fixture
def base(nothing_is_left: Path, tmp_path: Path) -> Path:
    return tmp_path / "edgekit"


@pytest.fixture
def visitor(base: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """An agent that visits; its end is waited for."""
    with agent("visit", base) as process:
        yield process
        Pipes(process).close()
        assert process.wait(10) == 0
    assert sorted(path.name for path in base.iterdir()) == ["store"]


def load(channel: Channel) -> None:
    channel.ask(Put(digest_of(MODEL), len(MODEL)), PutReply, blob=MODEL)
    channel.ask(Load(spec(digest_of(MODEL))), Loaded)


def test_a_visiting_agent_answers_and_ends_with_the_stream(visitor: "subprocess.Popen[bytes]") -> None:
    channel = Channel(Pipes(visitor), "bench")
    greeted, _ = channel.ask(Greet(), Greeted)
    assert (greeted.version, greeted.digest) == (__version__, "") and greeted.now_s is not None
    channel.send(Alive())
    load(channel)


def test_a_visiting_agent_ends_when_told_to(visitor: "subprocess.Popen[bytes]") -> None:
    channel = Channel(Pipes(visitor), "bench")
    load(channel)
    assert channel.ask(Stop(), Done) == (Done(), b"")
    assert visitor.wait(10) == 0


def test_a_visiting_agent_does_not_finish_what_nobody_waits_for(visitor: "subprocess.Popen[bytes]") -> None:
    channel = Channel(Pipes(visitor), "bench")
    channel.ask(Put(digest_of(MODEL), len(MODEL)), PutReply, blob=MODEL)
    channel.send(Measure(model=digest_of(MODEL), inputs=(X,), outputs=(Y,), mode="segment", budget_s=600.0))
    time.sleep(0.5)
    channel.close()
    assert visitor.wait(10) == 0


def test_visits_share_what_was_put(base: Path) -> None:
    for present in (False, True):
        with agent("visit", base) as process:
            channel = Channel(Pipes(process), "bench")
            assert channel.ask(Put(digest_of(MODEL)), PutReply)[0].present is present
            channel.ask(Put(digest_of(MODEL), len(MODEL)), PutReply, blob=MODEL)
            channel.close()


def test_what_a_killed_visit_left_is_removed_by_the_next(base: Path) -> None:
    with agent("visit", base) as killed:
        Channel(Pipes(killed), "bench").ask(Greet(), Greeted)
        killed.kill()
    assert len(list(base.glob("visit-*"))) == 1
    with agent("visit", base) as process:
        Channel(Pipes(process), "bench").ask(Greet(), Greeted)
        assert [path.name for path in base.glob("visit-*")] == [f"visit-{process.pid}"]
        Pipes(process).close()
    eventually(lambda: not alive(process.pid))


def test_an_unknown_verb_is_answered(visitor: "subprocess.Popen[bytes]") -> None:
    Pipes(visitor).sendall(struct.pack("!IQ", 14, 0) + b'{"type":"fly"}')
    failure, _ = Channel(Pipes(visitor), "bench").receive(Failure)
    assert (failure.kind, "'fly'" in failure.text) == ("ProtocolError", True)


def test_attach_reaches_the_agent_that_serves(base: Path) -> None:
    with connect(Device("bench"), base) as there:
        with agent("attach", base / "bench") as process:
            channel = Channel(Pipes(process), "bench")
            load(channel)
            channel.close()
            assert process.wait(10) == 0
        assert [stage.state for stage in there.logs().stages] == ["loaded"]
        there.stop()


def test_attach_says_that_nobody_serves(base: Path) -> None:
    with agent("attach", base) as process:
        with pytest.raises(DeviceError):
            Channel(Pipes(process), "bench").ask(Greet(), Greeted)
        assert process.wait(10) == ABSENT
        assert process.stderr is not None and b"no agent serves" in process.stderr.read()


def test_measured_samples_come_back_whole(visitor: "subprocess.Popen[bytes]") -> None:
    channel = Channel(Pipes(visitor), "bench")
    channel.ask(Put(digest_of(MODEL), len(MODEL)), PutReply, blob=MODEL)
    measured, _ = channel.ask(
        Measure(model=digest_of(MODEL), inputs=(X,), outputs=(Y,), mode="segment", budget_s=0.0, least=2000), Measured
    )
    assert len(measured.samples_s) == 2000
