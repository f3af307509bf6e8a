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
from edgekit.runtime.agent.control import Channel
from edgekit.runtime.agent.journal import Journal
from edgekit.runtime.links import ciphers
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import Reply, Request, StageSpec

__all__ = ["Child", "end", "fate", "start"]

GRACE_S = 2.0
"""Time that a stage process has to end before it is killed."""


@dataclass
class Child:
    """A running stage process. The lock keeps requests from interleaving on its channel."""

    process: subprocess.Popen[bytes]
    channel: Channel
    spec: StageSpec | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Request, blob: bytes = b"", within_s: float = -1) -> tuple[Reply, bytes]:
        """Its answer; ``within_s`` it has to be free to be asked.

        Raises:
            DeviceError: it has ended, and how; or it is busy with what it was asked before.
            EdgekitError: it says so.
        """
        if not self.lock.acquire(timeout=within_s):
            raise DeviceError(f"silent: it has not answered for {within_s:g} s")
        try:
            try:
                answer: tuple[Reply, bytes] = self.channel.ask(request, Reply, blob=blob)
            except DeviceError as error:
                if not self.channel.closed:
                    raise
                raise DeviceError(f"{error}{fate(self.process)}") from error
            return answer
        finally:
            self.lock.release()


def start(name: str, journal: Journal, store: Path, *, spec: StageSpec | None = None) -> Child:
    """A stage process that logs into the agent's ``journal`` and finds models in the ``store``.

    Raises:
        DeviceError: it does not start.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgekit.runtime.stage.process", str(theirs.fileno()), str(store)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=store,  # where no file can be taken for a module
                env={**environment(), **ciphers.environment(store.parent)},
            )
    except OSError as error:
        ours.close()
        raise DeviceError(f"the process of {name} does not start ({error}); is the device out of memory or disk?") from error
    assert process.stdout is not None
    journal.follow(process.stdout, spec)
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


def fate(process: "subprocess.Popen[bytes]") -> str:
    """What became of a process, for a message; empty while it runs."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(0.2)
        if code == -signal.SIGKILL:
            return " (killed; the usual cause is memory: choose a smaller stage)"
        return f" (exit code {code})" if code else ""
    return ""
