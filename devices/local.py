"""``local:`` devices: an agent process on this machine, and stages in processes of their own."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from devices.agent_connection import AgentConnection, greet
from edgekit.device import Device
from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.agent.control import Channel
from edgekit.runtime.agent.journal import LOG
from edgekit.runtime.log import event_of
from edgekit.runtime.origin import environment

__all__ = ["LocalConnection", "connect", "find"]

START_S = 20.0
"""Time that an agent has to open its socket."""

STOP_S = 10.0
POLL_S = 0.01
MOST_PATH_BYTES = 107
"""Longest path of a Unix socket."""


class LocalConnection(AgentConnection):
    """A connection that may have started the agent itself, and then ends it."""

    def __init__(self, device: Device, channel: Channel, folder: Path, process: subprocess.Popen[bytes] | None):
        super().__init__(device, channel, stays=process is None)
        self.folder = folder
        self.process = process

    @property
    def agent_socket(self) -> Path | None:
        return self.folder / "agent.sock"

    def close(self) -> None:
        super().close()
        if self.process is not None:
            _end(self.process)
            shutil.rmtree(self.folder, ignore_errors=True)


def connect(device: Device, home: Path | None = None) -> LocalConnection:
    """Reach a ``local:`` device.

    Without ``home`` an agent is started for this connection alone: it ends, with its files, when the connection
    is closed or this process dies. With ``home`` the agent under that folder is used, or started to stay.

    Raises:
        DeviceError: the agent does not come up, and the message quotes its log; or it does not answer.
        UsageError: ``home`` is too deep for a socket.
    """
    try:
        return _stay(device, home / device.name) if home else _visit(device, Path(tempfile.mkdtemp(prefix="edgekit-")))
    except OSError as error:
        raise DeviceError(f"{device.name}: its agent cannot be started ({error}); see that the folder can be written to") from error


def find(device: Device, home: Path) -> bool:
    """Whether an agent of this device is running under ``home``."""
    channel = _dial(device, home / device.name)
    if channel is not None:
        channel.close()
    return channel is not None


def _visit(device: Device, folder: Path) -> LocalConnection:
    """Start an agent that ends with the connection."""
    process = None
    try:
        process = _start(folder, linger=False)
        return LocalConnection(device, _wait(device, folder, process), folder, process)
    except BaseException:
        if process is not None:
            process.kill()
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _stay(device: Device, folder: Path) -> LocalConnection:
    """Find the agent of a folder, or start one that stays."""
    if len(os.fsencode(folder / "agent.sock")) > MOST_PATH_BYTES:
        raise UsageError(f"{folder} is too deep for a socket, {MOST_PATH_BYTES} bytes at most; set XDG_STATE_HOME to a shorter path")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if (channel := _dial(device, folder)) is None:
            (folder / "agent.sock").unlink(missing_ok=True)
            process = _start(folder, linger=True)
            try:
                channel = _wait(device, folder, process)
            except BaseException:
                process.kill()
                raise
            finally:
                process.wait()  # it has left the agent behind, which is nobody's child
    greet(channel)
    return LocalConnection(device, channel, folder, None)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep others from starting an agent in the same folder meanwhile."""
    with (folder / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(folder: Path, linger: bool) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "edgekit.runtime.agent.server",
        "serve" if linger else "follow",
        str(folder),
        *(["--daemon"] if linger else []),
    ]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if linger else subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C at the terminal is for the controller; the agent follows it
            env=environment(),
        )


def _wait(device: Device, folder: Path, process: subprocess.Popen[bytes]) -> Channel:
    """Dial an agent that is starting until it answers."""
    end = time.monotonic() + START_S
    while True:
        over = process.poll() is not None  # looked at first: what has ended has opened the socket before, or never will
        if (channel := _dial(device, folder)) is not None:
            return channel
        if over or time.monotonic() > end:
            raise DeviceError(f"{device.name}: its agent did not start{_reason(folder, process)}")
        time.sleep(POLL_S)


def _dial(device: Device, folder: Path) -> Channel | None:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(folder / "agent.sock"))
    except OSError:
        sock.close()
        return None
    return Channel(sock, device.name)


def _reason(folder: Path, process: subprocess.Popen[bytes]) -> str:
    with contextlib.suppress(OSError):
        if log := (folder / LOG).read_text(errors="replace").strip():
            last = log.splitlines()[-1]
            event = event_of(last)
            return f": {event.event if event else last}"
    return f" (exit code {process.poll()})" if process.poll() is not None else f" within {START_S:g} s; is the machine overloaded?"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close the agent's standard input, which ends it."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
