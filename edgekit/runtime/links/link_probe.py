"""Measures a link with the very inlets and outlets that the pipeline uses: frames one way, empty frames the other.

A round trip therefore holds both hand-overs between threads at each end, as a frame in the pipeline would meet them.
"""

import secrets
import statistics
import threading
import time
from typing import NamedTuple

from edgekit.errors import DeviceError, ProtocolError
from edgekit.graph import Tensor
from edgekit.runtime.links.carrier import Carrier, Gate
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.joint import Inlets, Outlets
from edgekit.runtime.links.sockets import LOOPBACK
from edgekit.runtime.links.tls import Guard, Keys, named
from edgekit.runtime.links.transport import receive
from edgekit.runtime.verbs import Port, Probe, Probed, Transport

__all__ = ["ECHO", "PLAN", "Echo", "probe"]

PLAN = "probe"
ECHO = "echo"
NAME = named(PLAN, ECHO)
"""What the certificate of an echo calls it."""

CPU = Tensor("cpu", (), "float64")
OUT, BACK = "out", "back"
WARM_UP = 3

LEAST_BYTES = 1
"""Size of a frame that only says that it is there."""

ENOUGH = 5
"""Samples after which a size is done once its time is spent."""

MOST_BYTES = 1024**3
"""Largest frame that an echo makes room for."""

MOST_WAITING = 64
"""Probes that may have one of their connections so far."""

PATIENCE_S = 30.0
"""Time without an answer after which an echo counts as gone."""


class Echo:
    """Answers probes until the process ends: two connections for each size and direction, which name the same probe.

    A probe says how many bytes its frames have and how many the answers are to have, which carry besides the processor
    seconds that this process has used so far.
    """

    def __init__(self, listen: str | None, keys: Keys | None = None, transport: Transport = "socket"):
        self._waiting: dict[str, Inlets] = {}
        self._lock = threading.Lock()
        guard = Guard(keys) if keys else None
        self._reception = receive(transport, Gate((listen or LOOPBACK, 0), guard, self._admit))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        return self._reception.address

    def close(self) -> None:
        """Answer no more probes."""
        self._reception.close()
        with self._lock:
            left = list(self._waiting.values())
            self._waiting.clear()
        for inlets in left:
            inlets.close()

    def _admit(self, carrier: Carrier, hello: Hello) -> None:
        out_bytes, back_bytes = _sizes(hello.plan)
        if hello.gives:
            inlets = Inlets((_port(_bytes(OUT, out_bytes)),))
            inlets.links[0, 0].resumes = False
            self._keep(hello.plan, inlets)
            inlets.links[0, 0].answer(carrier, hello)  # from now on the other connection may come
            return
        with self._lock:
            there = self._waiting.pop(hello.plan, None)
        if there is None:
            raise ProtocolError("this probe has sent no frames")
        threading.Thread(target=_answer, args=(there, carrier, hello, back_bytes), name="echoing", daemon=True).start()

    def _keep(self, plan: str, inlets: Inlets) -> None:
        """Keep the link on which frames come until that for the answers is there too; some callers never come to it."""
        with self._lock:
            late = [self._waiting.pop(plan, None)]
            if len(self._waiting) >= MOST_WAITING:
                late.append(self._waiting.pop(next(iter(self._waiting))))
            self._waiting[plan] = inlets
        for each in late:
            if each is not None:
                each.close()


def _sizes(plan: str) -> tuple[int, int]:
    """The bytes of a probe's frames, and of their answers.

    Raises:
        ProtocolError: this is no probe.
    """
    try:
        out, back = map(int, plan.removeprefix(PLAN).split("/")[:2])
    except ValueError as error:
        raise ProtocolError("this is no probe") from error
    if not 0 <= out <= MOST_BYTES or not 0 <= back <= MOST_BYTES:
        raise ProtocolError("this is no probe")
    return out, back


def _answer(inlets: Inlets, carrier: Carrier, hello: Hello, back_bytes: int) -> None:
    outlets = Outlets((_port(CPU, _bytes(BACK, back_bytes)),))
    outlet = outlets.links[0, 0]
    outlet.resumes = False
    try:
        outlet.answer(carrier, hello)
        frame = 0
        while (turn := inlets.take(frame)).kind is Kind.DATA:
            inlets.done()
            slots = outlets.acquire(frame)
            slots[0].views[CPU.name][...] = time.process_time()
            outlets.give(turn.epoch, frame, slots)
            frame += 1
    finally:
        inlets.close()
        outlet.abort()


def _bytes(name: str, count: int) -> Tensor:
    return Tensor(name, (count,), "uint8")


def _port(*tensors: Tensor) -> Port:
    return Port(end=0, replicas=1, tensors=tensors)


def probe(request: Probe) -> Probed:
    """Round trips to an echo for every size asked for, with the processor time of both ends.

    Raises:
        DeviceError: the echo cannot be reached, or goes away.
    """
    here, done = "", list[_Done]()
    for size in request.sizes:
        here, one = _probe_size(request, size)
        done.append(one)
        if request.enough_s is not None and statistics.median(one.round_trips_s) > request.enough_s:
            break
    send_cpu, receive_cpu = tuple(one.here_s for one in done), tuple(one.there_s for one in done)
    if request.pull:
        send_cpu, receive_cpu = receive_cpu, send_cpu
    retransmits = tuple(one.retransmits for one in done if one.retransmits is not None)
    return Probed(
        host=here,
        port=0,
        round_trips_s=tuple(one.round_trips_s for one in done),
        send_cpu_s=send_cpu,
        receive_cpu_s=receive_cpu,
        retransmits=retransmits,
    )


class _Done(NamedTuple):
    """One size: round trips, processor seconds for each at the two ends, segments that this end sent again."""

    round_trips_s: tuple[float, ...]
    here_s: float
    there_s: float
    retransmits: int | None


def _probe_size(request: Probe, size: int) -> tuple[str, _Done]:
    host, port = request.host or LOOPBACK, request.port
    out_bytes, back_bytes = (LEAST_BYTES, size) if request.pull else (size, LEAST_BYTES)
    plan = f"{PLAN}{out_bytes}/{back_bytes}/{secrets.token_hex(8)}"
    inlets, outlets = Inlets((_port(CPU, _bytes(BACK, back_bytes)),)), Outlets((_port(_bytes(OUT, out_bytes)),))
    inlet, outlet = inlets.links[0, 0], outlets.links[0, 0]
    inlet.resumes = outlet.resumes = False  # what is measured is one connection
    door = Door(host, port, NAME, Guard(request.keys) if request.keys else None, request.transport)
    try:
        there = outlet.call(door, Hello(plan=plan, source="client", source_replica=0, receiver=0, receiver_replica=0), "the echo")
        inlet.call(door, Hello(plan=plan, source=0, source_replica=0, receiver="client", receiver_replica=0, gives=False), "the echo")
        here = there.here
        times = _round_trips(request, inlets, outlets)
        return here, _Done(*times, there.resent)
    except (OSError, ProtocolError) as error:
        raise DeviceError(f"the echo at {host}:{port} went away ({error}); see its device's log") from error
    finally:
        outlet.abort()
        inlet.close()


def _round_trips(request: Probe, inlets: Inlets, outlets: Outlets) -> tuple[tuple[float, ...], float, float]:
    """Seconds of each round trip after the first few, and processor seconds for each, here and there."""
    trips: list[float] = []
    marks: list[tuple[float, float]] = []
    begun: list[float] = []
    end = time.perf_counter() + request.budget_s
    alone = request.window == 1  # else others may send meanwhile, and what they leave us of the time is what counts
    warm_up = WARM_UP if alone else 0
    most, least = request.samples + warm_up, min(request.samples, ENOUGH) + warm_up if alone else 1
    last = 0.0
    while len(trips) < least or (len(trips) < most and time.perf_counter() < end):
        while len(begun) < len(trips) + request.window:
            slots = outlets.acquire(len(begun))
            begun.append(time.perf_counter())
            outlets.give(1, len(begun) - 1, slots)
        turn = inlets.take(len(trips), timeout_s=PATIENCE_S)
        now = time.perf_counter()
        trips.append(now - max(last, begun[len(trips)]))
        last = now
        if turn.kind is not Kind.DATA:
            raise ConnectionError(turn.note)
        marks.append((time.process_time(), float(turn.arrays[CPU.name])))
        inlets.done()
    (here_0, there_0), (here_1, there_1) = marks[max(warm_up - 1, 0)], marks[-1]
    count = len(trips) - max(warm_up, 1) or 1
    return tuple(trips[warm_up:]), (here_1 - here_0) / count, (there_1 - there_0) / count
