"""Agents at the far end of a byte stream such as an SSH channel: one that lives as long as it, and the way to one that stays.

controller ──SSH──▶ visit  (an agent of its own, gone with the stream)
controller ──SSH──▶ attach ──Unix socket──▶ the agent that serves the device
"""

import contextlib
import os
import select
import shutil
import socket
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import NoReturn

from edgekit.errors import EdgekitError, ProtocolError
from edgekit.runtime.agent.control import Channel, Failure
from edgekit.runtime.agent.journal import Journal
from edgekit.runtime.agent.lease import Lease
from edgekit.runtime.agent.monitor import show
from edgekit.runtime.agent.supervisor import Supervisor
from edgekit.runtime.termination import on_sigterm
from edgekit.runtime.verbs import Alive, Claim, Done, Hold, Request, Stop

__all__ = ["ABSENT", "SILENCE_S", "attach", "visit"]

SILENCE_S = 60.0
"""Time without a sign of the controller after which it counts as gone: a cable that was pulled says nothing."""

ABSENT = 69
"""Exit code of ``attach`` where no agent serves the folder (EX_UNAVAILABLE)."""

PIECE_BYTES = 1024 * 1024
VISIT = "visit-"


class _Standard:
    """Standard input and output as a stream; whatever else is printed goes to standard error from now on."""

    def __init__(self) -> None:
        self._input, self._output = os.dup(0), os.dup(1)
        os.dup2(2, 1)

    def sendall(self, data: bytes | memoryview, /) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._output, view) :]

    def recv(self, count: int, /) -> bytes:
        if not select.select([self._input], [], [], SILENCE_S)[0]:
            raise TimeoutError(f"nothing was heard for {SILENCE_S:g} s")
        return os.read(self._input, count)

    def close(self) -> None:
        """It ends with the process, whose other thread may be reading from it."""


def visit(base: Path, store: Path) -> NoReturn:
    """Be an agent for the controller at the other end of standard input and output, in a folder of its own under ``base``."""
    _sweep(base)
    folder = base / f"{VISIT}{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    channel = Channel(_Standard(), "the controller")
    sys.stderr = journal = Journal(folder)
    supervisor = Supervisor(folder, store=store, journal=journal)
    supervisor.pages = show(supervisor)
    lease = Lease(store.parent / "lease")
    on_sigterm(lambda: _leave(supervisor, folder))
    requests: Queue[tuple[Request, bytes]] = Queue(1)  # what is sent ahead waits outside
    threading.Thread(target=_follow, args=(channel, requests, supervisor, folder), daemon=True).start()
    while True:
        request, blob = requests.get()
        if isinstance(request, Stop) and request.plan is None:
            supervisor.stop(None)
            channel.send(Done())
            _leave(supervisor, folder)
        if isinstance(request, Claim):
            channel.send(lease.answer(request))
        elif not isinstance(request, Hold):
            channel.send(*supervisor.reply(request, blob))


def _follow(channel: Channel, requests: "Queue[tuple[Request, bytes]]", supervisor: Supervisor, folder: Path) -> None:
    """Read what the controller asks; its end is the end of this agent, whatever it is busy with."""
    try:
        while True:
            request, blob = channel.receive(Request)
            if not isinstance(request, Alive):
                requests.put((request, blob))
    except EdgekitError as error:
        with contextlib.suppress(EdgekitError):
            if isinstance(error, ProtocolError):  # it is still there, and speaks another language
                channel.send(Failure("ProtocolError", str(error)))
        _leave(supervisor, folder)


def _leave(supervisor: Supervisor, folder: Path) -> NoReturn:
    supervisor.stop(None)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _sweep(base: Path) -> None:
    """Remove the folders of visits that were killed."""
    for folder in base.glob(f"{VISIT}*"):
        number = folder.name.removeprefix(VISIT)
        if number.isdecimal() and not Path("/proc", number).exists():
            shutil.rmtree(folder, ignore_errors=True)


def attach(folder: Path) -> int:
    """Pass bytes between standard input and output and the agent that serves ``folder``, until either end is done."""
    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect(str(folder / "agent.sock"))
    except OSError as error:
        print(f"no agent serves {folder} ({error.strerror})", file=sys.stderr)
        return ABSENT
    here = _Standard()
    threading.Thread(target=_upstream, args=(here, there), daemon=True).start()
    with contextlib.suppress(OSError):
        while data := there.recv(PIECE_BYTES):
            here.sendall(data)
    return 0


def _upstream(here: _Standard, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := here.recv(PIECE_BYTES):
            there.sendall(data)
    there.close()
    os._exit(0)
