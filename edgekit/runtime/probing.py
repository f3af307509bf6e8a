"""Measures a link with the very inlets and outlets that the pipeline uses: frames one way, empty frames the other.

A round trip therefore holds both hand-overs between threads at each end, as a frame in the pipeline would meet them.
"""

import contextlib
import secrets
import socket
import statistics
import sys
import threading
import time
from typing import NamedTuple

from edgekit.errors import DeviceError, EdgekitError, ProtocolError
from edgekit.graph import Tensor
from edgekit.runtime.frames import Kind
from edgekit.runtime.joint import Inlets, Outlets
from edgekit.runtime.sockets import LOOPBACK, arrivals, hang_up
from edgekit.runtime.verbs import Port, Probe, Probed
from edgekit.runtime.wire import Hello, accept, dial, welcome

__all__ = ["Echo", "probe"]

PLAN = "probe"
CPU = Tensor("cpu", (), "float64")
OUT, BACK = "out", "back"
WARM_UP = 3

LEAST_BYTES = 1
"""Size of a frame that only says that it is there."""

ENOUGH = 5
"""Samples after which a size is done once its time is spent."""

MOST_BYTES = 1024**3
"""Largest frame that an echo makes room for."""

RETRANSMITS_AT = 100
"""Where ``struct tcp_info`` of Linux has them."""

MOST_WAITING = 64
"""Probes that may have one of their connections so far."""

PATIENCE_S = 30.0
"""Time without an answer after which an echo counts as gone."""


class Echo:
    """Answers probes until the process ends: two connections for each size and direction, which name the same probe.

    A probe says how many bytes its frames have and how many the answers are to have, which carry besides the processor
    seconds that this process has used so far.
    """

    def __init__(self, listen: str | None):
        self._waiting: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server((listen or LOOPBACK, 0))
        threading.Thread(target=self._listen, name="echo", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._listener.getsockname()[:2]
        return host, port

    def close(self) -> None:
        """Answer no more probes."""
        hang_up(self._listener)
        self._listener.close()
        with self._lock:
            for sock in self._waiting.values():
                sock.close()
            self._waiting.clear()

    def _listen(self) -> None:
        for sock in arrivals(self._listener):
            threading.Thread(target=self._serve, args=(sock,), name="echoing", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EdgekitError, ValueError), contextlib.ExitStack() as stack:
            stack.enter_context(sock)
            hello = accept(sock)
            if not all(0 <= size <= MOST_BYTES for size in _sizes(hello.plan)):
                raise ProtocolError("this is no probe")
            if hello.gives:
                stack.pop_all()
                self._keep(hello.plan, sock)
                welcome(sock)  # from now on the other connection may come
                return
            welcome(sock)
            with self._lock:
                there = self._waiting.pop(hello.plan, None)
            if there is not None:
                with there:
                    _answer(there, sock, *_sizes(hello.plan))

    def _keep(self, plan: str, sock: socket.socket) -> None:
        """Keep the connection on which frames come until that for the answers is there too; some callers never come to it."""
        with self._lock:
            late = [self._waiting.pop(plan, None)]
            if len(self._waiting) >= MOST_WAITING:
                late.append(self._waiting.pop(next(iter(self._waiting))))
            self._waiting[plan] = sock
        for each in late:
            if each is not None:
                each.close()


def _sizes(plan: str) -> tuple[int, int]:
    """The bytes of a probe's frames, and of their answers."""
    out, back, _ = plan.removeprefix(PLAN).split("/")
    return int(out), int(back)


def _answer(there: socket.socket, back: socket.socket, out_bytes: int, back_bytes: int) -> None:
    inlets, outlets = _joint((_bytes(OUT, out_bytes),), (CPU, _bytes(BACK, back_bytes)))
    inlet, outlet = inlets.links["client", 0], outlets.links["client", 0]
    try:
        inlet.attach(there, returning=False)
        outlet.attach(back)
        frame = 0
        while (turn := inlets.take(frame)).kind is Kind.DATA:
            inlets.done()
            slots = outlets.acquire(frame)
            slots[0].views[CPU.name][...] = time.process_time()
            outlets.give(turn.epoch, frame, slots)
            frame += 1
    finally:
        inlet.close()
        outlet.abort()


def _bytes(name: str, count: int) -> Tensor:
    return Tensor(name, (count,), "uint8")


def _joint(received: tuple[Tensor, ...], sent: tuple[Tensor, ...]) -> tuple[Inlets, Outlets]:
    return Inlets((Port("client", 1, received),)), Outlets((Port("client", 1, sent),))


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
    return Probed(here, 0, tuple(one.round_trips_s for one in done), send_cpu, receive_cpu, tuple(one.retransmits for one in done))


class _Done(NamedTuple):
    """One size: round trips, processor seconds for each at the two ends, segments that this end sent again."""

    round_trips_s: tuple[float, ...]
    here_s: float
    there_s: float
    retransmits: int


def _probe_size(request: Probe, size: int) -> tuple[str, _Done]:
    host, port = request.host or LOOPBACK, request.port
    out_bytes, back_bytes = (LEAST_BYTES, size) if request.pull else (size, LEAST_BYTES)
    plan = f"{PLAN}{out_bytes}/{back_bytes}/{secrets.token_hex(8)}"
    inlets, outlets = _joint((CPU, _bytes(BACK, back_bytes)), (_bytes(OUT, out_bytes),))
    inlet, outlet = inlets.links["client", 0], outlets.links["client", 0]
    try:
        there = dial(host, port, Hello(plan, "client", 0, 0, 0), "the echo")
        try:
            back = dial(host, port, Hello(plan, 0, 0, "client", 0, gives=False), "the echo")
        except BaseException:
            there.close()
            raise
        here: str = there.getsockname()[0]
        inlet.attach(back, returning=False)
        outlet.attach(there)
        times = _round_trips(request, inlets, outlets)
        return here, _Done(*times, _retransmits(there))
    except (OSError, ProtocolError) as error:
        raise DeviceError(f"the echo at {host}:{port} went away ({error}); see its device's log") from error
    finally:
        outlet.abort()
        inlet.close()


def _retransmits(sock: socket.socket) -> int:
    """Segments that Linux has sent again on a connection (``tcpi_total_retrans``)."""
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RETRANSMITS_AT + 4)
    return int.from_bytes(state[RETRANSMITS_AT:], sys.byteorder)


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
