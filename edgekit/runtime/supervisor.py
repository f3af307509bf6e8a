"""Starts, asks and ends the stage processes of one device."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.control import Channel, Failure
from edgekit.runtime.facts import probe_facts
from edgekit.runtime.origin import environment, own_digest
from edgekit.runtime.store import Store
from edgekit.runtime.verbs import (
    Done,
    Facts,
    Greet,
    Greeted,
    Load,
    Logs,
    LogsReply,
    Measure,
    Probe,
    Put,
    PutReply,
    Reply,
    Request,
    Run,
    StageSpec,
    StageStatus,
    Stop,
)

__all__ = ["Supervisor"]

BUSY_S = 5.0
"""Longest time for which it is busy with its own lists."""

GRACE_S = 2.0
"""Time that a stage process has to end before it is killed."""

Key = tuple[str, int, int]


@dataclass
class _Child:
    """A running stage process. The lock keeps requests from interleaving on its channel."""

    process: subprocess.Popen[bytes]
    channel: Channel
    spec: StageSpec | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Supervisor:
    """The verbs of an agent."""

    def __init__(self, folder: Path, store: Path | None = None):
        self._folder = folder
        self._store = Store(store or folder / "store")
        self._stages: dict[Key, _Child] = {}
        self._echoes: dict[str | None, tuple[_Child, tuple[Reply, bytes]]] = {}
        self._lock = threading.Lock()
        self._echo_lock = threading.Lock()

    def answer(self, request: Request, blob: bytes) -> tuple[Reply, bytes]:
        """Do what is asked."""
        match request:
            case Facts():
                return probe_facts(), b""
            case Greet():
                return Greeted(__version__, own_digest()), b""
            case Put(digest, size_bytes, offset):
                if blob:
                    self._store.append(digest, size_bytes, offset, blob)
                return PutReply(self._store.holds(digest), self._store.held_bytes(digest)), b""
            case Load(spec):
                return self._load(request, spec, blob)
            case Measure(model=model):
                self._require(model, "to measure")
                return self._once(request)
            case Probe(host=None):
                return self._echo(request)
            case Probe():
                return self._once(request)
            case Run(plan, stage, replica):
                return self._ask(self._child((plan, stage, replica)), request)
            case Logs(spans):
                return LogsReply(self._log(), tuple(self._status(spans))), b""
            case Stop(plan):
                self.stop(plan)
                return Done(), b""
        raise DeviceError(f"this agent does not know {type(request).__name__}; set the device up again")

    def reply(self, request: Request, blob: bytes) -> tuple[Reply | Failure, bytes]:
        """What is asked for, or what kept it from being done."""
        try:
            return self.answer(request, blob)
        except EdgekitError as error:
            return Failure(type(error).__name__, str(error)), b""
        except Exception as error:  # told to the controller, which waits for an answer
            return Failure("DeviceError", f"{type(error).__name__}: {error}"), b""

    def is_free(self) -> bool:
        """Whether it could begin something now; one that never is again has to be started anew."""
        free = self._lock.acquire(timeout=BUSY_S)
        if free:
            self._lock.release()
        return free

    def stop(self, plan: str | None) -> None:
        """End the stages of a plan, or of all."""
        with self._lock:
            gone = [key for key in self._stages if plan in (None, key[0])]
            children = [self._stages.pop(key) for key in gone]
            children += [child for child, _ in self._echoes.values()]
            self._echoes = {}
        _end(*children)
        self._say(f"stopped {len(children)} processes")

    def _load(self, request: Load, spec: StageSpec, blob: bytes) -> tuple[Reply, bytes]:
        self._require(spec.model, f"of {spec.name}")
        key = (spec.plan, spec.stage, spec.replica)
        with self._lock:
            old = self._stages.pop(key, None)
        if old is not None:
            _end(old)
        child = self._start(spec.name)
        child.spec = spec
        try:
            reply = self._ask(child, request, blob)
        except BaseException:
            _end(child)
            raise
        with self._lock:
            twin = self._stages.pop(key, None)  # loaded meanwhile, over another connection
            self._stages[key] = child
        if twin is not None:
            _end(twin)
        self._say(f"loaded {spec.name} of plan {spec.plan[:12]}, process {child.process.pid}")
        return reply

    def _once(self, request: Measure | Probe) -> tuple[Reply, bytes]:
        child = self._start("measurement")
        try:
            return self._ask(child, request)
        finally:
            _end(child)

    def _echo(self, request: Probe) -> tuple[Reply, bytes]:
        """One process answers all probes of an address, for as long as it lives."""
        with self._echo_lock:
            found = self._echoes.get(request.listen)
            if found is not None and found[0].process.poll() is None:
                return found[1]
            if found is not None:
                _end(found[0])
            child = self._start("echo")
            try:
                answer = self._ask(child, request)
            except BaseException:
                _end(child)
                raise
            with self._lock:
                self._echoes[request.listen] = child, answer
            return answer

    def _require(self, model: str, purpose: str) -> None:
        if not self._store.holds(model):
            raise DeviceError(f"the model {model[:12]} {purpose} is not in the store; put it first")

    def _start(self, name: str) -> _Child:
        ours, theirs = socket.socketpair()
        try:
            with theirs, (self._folder / "agent.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "edgekit.runtime.stageprocess", str(theirs.fileno()), str(self._store.folder)],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._store.folder,  # where no file can be taken for a module
                    env=environment(),
                )
        except OSError as error:
            ours.close()
            raise DeviceError(f"the process of {name} does not start ({error}); is the device out of memory or disk?") from error
        return _Child(process, Channel(ours, name))

    def _ask(self, child: _Child, request: Request, blob: bytes = b"") -> tuple[Reply, bytes]:
        with child.lock:
            try:
                answer: tuple[Reply, bytes] = child.channel.ask(request, Reply, blob)
            except DeviceError as error:
                if not child.channel.closed:
                    raise
                raise DeviceError(f"{error}{_fate(child.process)}") from error
            return answer

    def _child(self, key: Key) -> _Child:
        child = self._stages.get(key)
        if child is None:
            raise DeviceError(f"stage {key[1]} of plan {key[0][:12]} is not loaded here; deploy the plan again")
        return child

    def _status(self, spans: int) -> list[StageStatus]:
        found = []
        for (plan, stage, replica), child in list(self._stages.items()):
            name = child.spec.name if child.spec else "stage"
            try:
                reply, _ = self._ask(child, Logs(spans))
                states = reply.stages if isinstance(reply, LogsReply) else ()
            except DeviceError as error:
                states = (StageStatus(name, plan, stage, replica, child.process.pid, f"lost: {error}", 0, 0, 0),)
            found += [_with_pid(state, child.process.pid) for state in states]
        return found

    def _log(self) -> str:
        with contextlib.suppress(OSError):
            return (self._folder / "agent.log").read_text(errors="replace")[-20_000:]
        return ""

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a full disk is no reason to fail
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}", file=sys.stderr)


def _with_pid(state: StageStatus, pid: int) -> StageStatus:
    return msgspec.structs.replace(state, pid=pid)


def _fate(process: subprocess.Popen[bytes]) -> str:
    """What became of a process, for a message; empty while it runs."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(0.2)
        if code == -signal.SIGKILL:
            return " (killed; the usual cause is memory: choose a smaller stage)"
        return f" (exit code {code})" if code else ""
    return ""


def _end(*children: _Child) -> None:
    for child in children:
        child.channel.close()
    end = time.monotonic() + GRACE_S
    for child in children:
        try:
            child.process.wait(max(end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
