"""Starts, asks and ends the stage processes of one device."""

import threading
import time
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.agent.children import Child, end, fate, start
from edgekit.runtime.agent.control import Channel, Failure
from edgekit.runtime.agent.facts import ask_board, probe_facts
from edgekit.runtime.agent.journal import Journal, read_on
from edgekit.runtime.agent.monitor import heat
from edgekit.runtime.agent.recovery import Kept, bring_back, forget, keep, kept
from edgekit.runtime.agent.status_poll import statuses
from edgekit.runtime.agent.store import Store
from edgekit.runtime.board_facts import BoardFacts, BoardPort
from edgekit.runtime.log import say
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.origin import own_digest
from edgekit.runtime.verbs import (
    Done,
    Facts,
    FactsReply,
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
    Transport,
)
from edgekit.wording import counted

__all__ = ["Supervisor"]

BUSY_S = 5.0
"""Longest time for which it is busy with its own lists."""

STORM = (10, 60.0)
"""How often a stage may end by itself within so many seconds: then it stays away, for it would only end again."""

Key = tuple[str, int, int]

_HOW = Logs()


def _same(one: BoardPort | None, other: BoardPort) -> bool:
    """Whether both are one board."""
    return one is not None and (one.port == other.port or (one.uid != "" and one.uid in (other.uid, other.port)))


class _Returning:
    """A stage that is being brought back, or was once too often."""

    def __init__(self, spec: StageSpec, why: str, stays_away: bool = False):
        self.spec = spec
        self.over = threading.Event()
        self.why = why
        self.stays_away = stays_away

    @property
    def state(self) -> str:
        return f"lost: {self.why}" if self.stays_away else f"coming back: {self.why}"

    def tell(self, why: str) -> None:
        """What hinders it."""
        self.why = why


class Supervisor:
    """The verbs of an agent; with ``keeps``, stages that serve are brought back by the agent after this one."""

    def __init__(self, folder: Path, *, store: Path | None = None, keeps: bool = False, journal: Journal | None = None):
        self.pages = ""
        """Where monitors find this agent."""
        self._folder = folder
        self._journal = journal or Journal(folder)
        self._store = Store(store or folder / "store")
        self._kept = folder / "stages" if keeps else None
        self._stages: dict[Key, Child] = {}
        self._returning: dict[Key, _Returning] = {}
        self._ends: dict[Key, list[float]] = {}
        self._echoes: dict[tuple[str | None, str, Transport], tuple[Child, tuple[Reply, bytes]]] = {}
        self._holds: list[tuple[str, Channel]] = []
        self._boards: dict[str, BoardFacts] = {}
        self._lock = threading.Lock()
        self._echo_lock = threading.Lock()

    def answer(self, request: Request, blob: bytes) -> tuple[Reply, bytes]:
        """Do what is asked."""
        match request:
            case Facts(board=board):
                return probe_facts() if board is None else self._facts(board), b""
            case Greet():
                return Greeted(__version__, own_digest(), time.monotonic()), b""
            case Put(digest, size_bytes, offset):
                if blob or size_bytes:
                    self._store.append(digest, size_bytes, offset, blob)
                return PutReply(self._store.holds(digest), self._store.held_bytes(digest)), b""
            case Load(spec):
                return self._load(request, spec, blob)
            case Measure(model=model, data=data):
                self._require(model, "to measure")
                if data:
                    self._require(data, "to measure on")
                return self._once(request)
            case Probe(host=None):
                return self._echo(request)
            case Probe():
                return self._once(request)
            case Run():
                return self._run(request)
            case Logs(after=after):
                text, mark = read_on(self._folder, after)
                return LogsReply(text=text, stages=tuple(self.status(request)), mark=mark, heat=heat(Here()), pages=self.pages), b""
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

    def status(self, asked: Logs = _HOW) -> list[StageStatus]:
        """Every stage there is, or should be."""
        returning = list(self._returning.items())  # looked at first: what is no longer there is among the others
        found = statuses(dict(self._stages), asked)
        there = {(state.plan, state.stage, state.replica) for state in found}
        for key, each in returning:
            if key not in there:
                plan, stage, replica = key
                state = StageStatus(
                    name=each.spec.name,
                    plan=plan,
                    stage=stage,
                    replica=replica,
                    state=each.state,
                    owner=each.spec.owner,
                )
                found.append(state)
        return found

    def is_free(self) -> bool:
        """Whether it could begin something now; one that never is again has to be started anew."""
        free = self._lock.acquire(timeout=BUSY_S)
        if free:
            self._lock.release()
        return free

    def bring_back(self) -> None:
        """Start what served when the agent before this one ended, each stage on a thread of its own."""
        for stage in kept(self._kept) if self._kept is not None else ():
            spec, returning = stage.spec, _Returning(stage.spec, "its agent has just started")
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
            self._ends = {key: ends for key, ends in self._ends.items() if plan not in (None, key[0])}
            held = [channel for name, channel in self._holds if plan in (None, name)]
            self._holds = [each for each in self._holds if each[1] not in held]
        end(*children)
        for channel in held:
            channel.close()
        say(f"stopped {counted(len(children), 'process')}")

    def _facts(self, board: BoardPort) -> FactsReply:
        """With what a board says, or has said before a stage took its line."""
        reply = probe_facts(board)
        holders = [child.spec.name for child in self._stages.values() if child.spec and _same(child.spec.board, board)]
        if not holders:
            try:
                self._boards[board.port] = ask_board(board)
            except DeviceError as error:
                return msgspec.structs.replace(reply, boardless=str(error))
        held = holders[0] if holders else ""
        known = self._boards.get(board.port)
        why = "" if known else f"{board.port}: its line is held by {held}; stop that pipeline to look at the board"
        return msgspec.structs.replace(reply, board=known, held=held, boardless=why)

    def _load(self, request: Load, spec: StageSpec, blob: bytes) -> tuple[Reply, bytes]:
        self._require(spec.model, f"of {spec.name}")
        self._store.require_whole(spec.model)
        key = (spec.plan, spec.stage, spec.replica)
        with self._lock:
            old = self._stages.pop(key, None)
        if old is not None:
            end(old)
        child = self._start(spec.name, spec)
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
        say(f"loaded {spec.name} of plan {spec.plan[:12]}, process {child.process.pid}", of=spec)
        return reply

    def _run(self, request: Run) -> tuple[Reply, bytes]:
        child = self._child((request.plan, request.stage, request.replica))
        answer = child.ask(request)
        if child.spec is not None:
            stage = Kept(child.spec, request.receivers)
            if self._kept is not None:
                keep(self._kept, stage)
            threading.Thread(target=self._watch, args=(child, stage), name=f"watch {child.spec.name}", daemon=True).start()
        return answer

    def _watch(self, child: Child, stage: Kept) -> None:
        """Bring a stage that serves back when its process ends by itself."""
        child.process.wait()
        spec, now = stage.spec, time.monotonic()
        key, why = (spec.plan, spec.stage, spec.replica), f"its process ended{fate(child.process)}"
        with self._lock:
            if self._stages.get(key) is not child:  # it was ended
                return
            del self._stages[key]
            ends = self._ends[key] = [*(each for each in self._ends.get(key, ()) if now - each < STORM[1]), now]
            often = len(ends) >= STORM[0]
            told = f"{why}, {len(ends)} times within {STORM[1]:g} s; deploy again" if often else why
            returning = self._returning[key] = _Returning(spec, told, stays_away=often)
        child.channel.close()
        say(f"{spec.name} of plan {spec.plan[:12]}: {why}", level="error", of=spec)
        if not often:
            self._bring_back(stage, returning)

    def _bring_back(self, stage: Kept, returning: _Returning) -> None:
        spec = stage.spec
        key = (spec.plan, spec.stage, spec.replica)
        bring_back(stage, self.answer, lambda: key in self._stages and not self._stages[key].channel.closed, returning.tell, returning.over)
        with self._lock:
            self._returning.pop(key, None)
            late = self._stages.pop(key, None) if returning.over.is_set() else None  # it was stopped meanwhile
        if late is not None:
            end(late)
            forget(self._kept or self._folder / "stages", spec.plan)
        else:
            say(f"{spec.name} of plan {spec.plan[:12]} is back", of=spec)

    def _once(self, request: Measure | Probe) -> tuple[Reply, bytes]:
        child = self._start("measurement")
        try:
            return child.ask(request)
        finally:
            end(child)

    def _echo(self, request: Probe) -> tuple[Reply, bytes]:
        """One process answers all probes of an address, for as long as it lives."""
        with self._echo_lock:
            key = (request.listen, request.keys.authority if request.keys else "", request.transport)
            found = self._echoes.get(key)
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
                self._echoes[key] = child, answer
            return answer

    def _require(self, model: str, purpose: str) -> None:
        if not self._store.holds(model):
            raise DeviceError(f"the model {model[:12]} {purpose} is not in the store; put it first")

    def _start(self, name: str, spec: StageSpec | None = None) -> Child:
        return start(name, self._journal, self._store.folder, spec=spec)

    def _child(self, key: Key) -> Child:
        child = self._stages.get(key)
        if child is None:
            raise DeviceError(f"stage {key[1]} of plan {key[0][:12]} is not loaded here; deploy the plan again")
        return child
