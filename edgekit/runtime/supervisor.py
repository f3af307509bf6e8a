"""Starts, asks and ends the stage processes of one device."""

import contextlib
import sys
import threading
import time
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.children import Child, end, start
from edgekit.runtime.control import Channel, Failure
from edgekit.runtime.facts import probe_facts
from edgekit.runtime.origin import own_digest
from edgekit.runtime.returning import Kept, bring_back, forget, keep, kept
from edgekit.runtime.store import Store
from edgekit.runtime.verbs import (
    Done,
    Facts,
    Greet,
    Greeted,
    Load,
    Loaded,
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

MOST_LOG_BYTES = 1_000_000
"""What is told of a log at once."""

Key = tuple[str, int, int]


class _Returning:
    """A stage that is being brought back."""

    def __init__(self, spec: StageSpec):
        self.spec = spec
        self.over = threading.Event()
        self.why = "its agent has just started"

    def tell(self, why: str) -> None:
        """What hinders it."""
        self.why = why


class Supervisor:
    """The verbs of an agent; with ``keeps``, stages that serve are brought back by the agent after this one."""

    def __init__(self, folder: Path, store: Path | None = None, keeps: bool = False):
        self._folder = folder
        self._store = Store(store or folder / "store")
        self._kept = folder / "stages" if keeps else None
        self._stages: dict[Key, Child] = {}
        self._returning: dict[Key, _Returning] = {}
        self._echoes: dict[str | None, tuple[Child, tuple[Reply, bytes]]] = {}
        self._holds: list[tuple[str, Channel]] = []
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
                if blob or size_bytes:
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
            case Run():
                return self._run(request)
            case Logs(spans, after):
                text, mark = self._log(after)
                return LogsReply(text, tuple(self._status(spans)), mark), b""
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

    def bring_back(self) -> None:
        """Start what served when the agent before this one ended, each stage on a thread of its own."""
        for stage in kept(self._kept) if self._kept is not None else ():
            spec, returning = stage.spec, _Returning(stage.spec)
            self._returning[spec.plan, spec.stage, spec.replica] = returning
            threading.Thread(target=self._bring_back, args=(stage, returning), name=f"returning {spec.name}", daemon=True).start()

    def hold(self, plan: str, channel: Channel) -> None:
        """Close a channel when a plan ends here."""
        with self._lock:
            self._holds.append((plan, channel))

    def stop(self, plan: str | None, for_good: bool = True) -> None:
        """End the stages of a plan, or of all; for good, or until the next agent brings them back."""
        if for_good and self._kept is not None:
            forget(self._kept, plan)
        with self._lock:
            gone = [key for key in self._stages if plan in (None, key[0])]
            children = [self._stages.pop(key) for key in gone]
            children += [child for child, _ in self._echoes.values()]
            self._echoes = {}
            for key in [key for key in self._returning if plan in (None, key[0])]:
                self._returning.pop(key).over.set()
            held = [channel for name, channel in self._holds if plan in (None, name)]
            self._holds = [each for each in self._holds if each[1] not in held]
        end(*children)
        for channel in held:
            channel.close()
        self._say(f"stopped {len(children)} processes")

    def _load(self, request: Load, spec: StageSpec, blob: bytes) -> tuple[Reply, bytes]:
        self._require(spec.model, f"of {spec.name}")
        key = (spec.plan, spec.stage, spec.replica)
        with self._lock:
            old = self._stages.pop(key, None)
        if old is not None:
            end(old)
        child = self._start(spec.name)
        try:
            reply = child.ask(request, blob)
        except BaseException:
            end(child)
            raise
        assert isinstance(reply[0], Loaded)
        child.spec = msgspec.structs.replace(spec, port=reply[0].port)
        with self._lock:
            twin = self._stages.pop(key, None)  # loaded meanwhile, over another connection
            self._stages[key] = child
        if twin is not None:
            end(twin)
        self._say(f"loaded {spec.name} of plan {spec.plan[:12]}, process {child.process.pid}")
        return reply

    def _run(self, request: Run) -> tuple[Reply, bytes]:
        child = self._child((request.plan, request.stage, request.replica))
        answer = child.ask(request)
        if self._kept is not None and child.spec is not None:
            keep(self._kept, Kept(child.spec, request.receivers))
        return answer

    def _bring_back(self, stage: Kept, returning: _Returning) -> None:
        spec = stage.spec
        key = (spec.plan, spec.stage, spec.replica)
        bring_back(stage, self.answer, returning.tell, returning.over)
        with self._lock:
            self._returning.pop(key, None)
            late = self._stages.pop(key, None) if returning.over.is_set() else None  # it was stopped meanwhile
        if late is not None:
            end(late)
            forget(self._kept or self._folder / "stages", spec.plan)
        else:
            self._say(f"{spec.name} of plan {spec.plan[:12]} is back")

    def _once(self, request: Measure | Probe) -> tuple[Reply, bytes]:
        child = self._start("measurement")
        try:
            return child.ask(request)
        finally:
            end(child)

    def _echo(self, request: Probe) -> tuple[Reply, bytes]:
        """One process answers all probes of an address, for as long as it lives."""
        with self._echo_lock:
            found = self._echoes.get(request.listen)
            if found is not None and found[0].process.poll() is None:
                return found[1]
            if found is not None:
                end(found[0])
            child = self._start("echo")
            try:
                answer = child.ask(request)
            except BaseException:
                end(child)
                raise
            with self._lock:
                self._echoes[request.listen] = child, answer
            return answer

    def _require(self, model: str, purpose: str) -> None:
        if not self._store.holds(model):
            raise DeviceError(f"the model {model[:12]} {purpose} is not in the store; put it first")

    def _start(self, name: str) -> Child:
        return start(name, self._folder, self._store.folder)

    def _child(self, key: Key) -> Child:
        child = self._stages.get(key)
        if child is None:
            raise DeviceError(f"stage {key[1]} of plan {key[0][:12]} is not loaded here; deploy the plan again")
        return child

    def _status(self, spans: int) -> list[StageStatus]:
        found, returning = [], list(self._returning.items())  # looked at first: what is no longer there is among the others
        for (plan, stage, replica), child in list(self._stages.items()):
            spec = child.spec
            name, owner = (spec.name, spec.owner) if spec else ("stage", "")
            try:
                reply, _ = child.ask(Logs(spans))
                states = reply.stages if isinstance(reply, LogsReply) else ()
            except DeviceError as error:
                states = (StageStatus(name, plan, stage, replica, 0, f"lost: {error}", 0, 0, 0, owner=owner),)
            found += [msgspec.structs.replace(state, pid=child.process.pid) for state in states]
        there = {(state.plan, state.stage, state.replica) for state in found}
        for key, each in returning:
            if key not in there:
                found.append(StageStatus(each.spec.name, *key, 0, f"coming back: {each.why}", 0, 0, 0, owner=each.spec.owner))
        return found

    def _log(self, after: int | None) -> tuple[str, int]:
        """What was logged after a mark, or of late; and the next mark."""
        with contextlib.suppress(OSError), (self._folder / "agent.log").open("rb") as file:
            size = file.seek(0, 2)
            begin = max(size - 20_000, 0) if after is None else after if after <= size else 0
            file.seek(begin)
            data = file.read(MOST_LOG_BYTES)
            return data.decode(errors="replace"), begin + len(data)
        return "", 0

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a full disk is no reason to fail
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}", file=sys.stderr)
