"""The words for systemd, heard at a socket of ours."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgekit.runtime.agent.systemd import ALIVE, READY, STOPPING, interval_s, keep_alive, notify
from edgekit.runtime.origin import environment


@contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A socket as systemd opens one for each service that it starts."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        sock.settimeout(10)
        yield sock


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_word_arrives_as_one_datagram(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@edgekit-{os.getpid()}-{tmp_path.name}"
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with listening(address) as sock:
        assert all(notify(word) for word in (READY, STOPPING))
        assert [sock.recv(100), sock.recv(100)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/nowhere/at/all"])
def test_without_systemd_nothing_happens(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify(READY)


@pytest.mark.parametrize(
    ("time", "pid", "expected"),
    [
        ("20000000", None, 10.0),
        ("20000000", "own", 10.0),
        ("20000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_it_is_alive_twice_in_the_time_it_is_given(
    time: str | None, pid: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", time), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert interval_s() == expected


def test_what_hangs_is_silent_and_what_works_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    working, asked, over = threading.Event(), threading.Semaphore(0), threading.Event()

    def alive() -> bool:
        asked.release()
        return working.is_set()

    with listening(str(tmp_path / "notify")) as sock:
        keep_alive(alive, over)
        for _ in range(3):
            asked.acquire()
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(100)
        sock.settimeout(10)
        working.set()
        assert [sock.recv(100) for _ in range(3)] == [ALIVE.encode()] * 3
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "watchdog")
        over.set()
        thread.join()


def test_nobody_watches_means_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    keep_alive(lambda: True, threading.Event())
    assert "watchdog" not in [thread.name for thread in threading.enumerate()]


def test_an_agent_is_ready_once_it_can_be_dialled_then_alive_and_then_stopping(tmp_path: Path) -> None:
    words = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    command = [sys.executable, "-m", "edgekit.runtime.agent.server", "serve", str(tmp_path / "agent")]
    with listening(words["NOTIFY_SOCKET"]) as sock, subprocess.Popen(command, env=environment() | words) as agent:
        try:
            assert sock.recv(100) == READY.encode()
            with socket.socket(socket.AF_UNIX) as control:
                control.connect(str(tmp_path / "agent" / "agent.sock"))
            assert [sock.recv(100) for _ in range(3)] == [ALIVE.encode()] * 3
        finally:
            agent.terminate()
        assert agent.wait(10) == 0
        sock.setblocking(False)
        rest = []
        with contextlib.suppress(BlockingIOError):
            while True:
                rest.append(sock.recv(100).decode())
        assert rest.count(STOPPING) == 1 and set(rest) <= {ALIVE, STOPPING}
