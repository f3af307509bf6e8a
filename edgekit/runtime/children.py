"""The child processes of an agent: started, asked, ended. Each ends by itself when its agent does."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.runtime.control import Channel
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import Reply, Request, StageSpec

__all__ = ["Child", "end", "start"]

GRACE_S = 2.0
"""Time that a stage process has to end before it is killed."""


@dataclass
class Child:
    """A running stage process. The lock keeps requests from interleaving on its channel."""

    process: subprocess.Popen[bytes]
    channel: Channel
    spec: StageSpec | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Request, blob: bytes = b"") -> tuple[Reply, bytes]:
        """Its answer.

        Raises:
            DeviceError: it has ended, and how.
            EdgekitError: it says so.
        """
        with self.lock:
            try:
                answer: tuple[Reply, bytes] = self.channel.ask(request, Reply, blob)
            except DeviceError as error:
                if not self.channel.closed:
                    raise
                raise DeviceError(f"{error}{_fate(self.process)}") from error
            return answer


def start(name: str, folder: Path, store: Path) -> Child:
    """A stage process that logs into the agent's ``folder`` and finds models in the ``store``.

    Raises:
        DeviceError: it does not start.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs, (folder / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgekit.runtime.stageprocess", str(theirs.fileno()), str(store)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=store,  # where no file can be taken for a module
                env=environment(),
            )
    except OSError as error:
        ours.close()
        raise DeviceError(f"the process of {name} does not start ({error}); is the device out of memory or disk?") from error
    return Child(process, Channel(ours, name))


def end(*children: Child) -> None:
    """End them, and kill those that do not."""
    for child in children:
        child.channel.close()
    end_s = time.monotonic() + GRACE_S
    for child in children:
        try:
            child.process.wait(max(end_s - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _fate(process: "subprocess.Popen[bytes]") -> str:
    """What became of a process, for a message; empty while it runs."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(0.2)
        if code == -signal.SIGKILL:
            return " (killed; the usual cause is memory: choose a smaller stage)"
        return f" (exit code {code})" if code else ""
    return ""
