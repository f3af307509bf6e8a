"""Measures a link with the very inlets and outlets that the pipeline uses: frames one way, empty frames the other.

A round trip therefore holds both hand-overs between threads at each end, as a frame in the pipeline would meet them.
"""

import contextlib
import socket
import threading
import time
from itertools import islice

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

PATIENCE_S = 30.0
"""Time without an answer after which an echo counts as gone."""


class Echo:
    """Answers probes: one connection for each size and direction, one size at a time, until the process ends.

    A probe says how many bytes its frames have and how many the answers are to have, which carry besides the processor
    seconds that this process has used so far.
    """

    def __init__(self, listen: str | None):
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

    def _listen(self) -> None:
        callers = arrivals(self._listener)
        for there in callers:
            with there, contextlib.suppress(OSError, EdgekitError, ValueError):
                sizes = _greet(there, gives=True)
                for back in islice(callers, 1):
                    with back:
                        if _greet(back, gives=False) != sizes:
                            raise ValueError("the two connections belong to different probes")
                        _answer(there, back, *sizes)


def _greet(sock: socket.socket, gives: bool) -> tuple[int, int]:
    """Welcome one of the two connections of a probe; the bytes of its frames, and of their answers."""
    hello = accept(sock)
    out, _, back = hello.plan.removeprefix(PLAN).partition("/")
    if hello.gives is not gives or not (0 <= int(out) <= MOST_BYTES and 0 <= int(back) <= MOST_BYTES):
        raise ProtocolError("this is no probe")
    welcome(sock)
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
    trips, send_cpu, receive_cpu = [], [], []
    for size in request.sizes:
        seconds, here, there = _probe_size(request, size)
        trips.append(seconds)
        send_cpu.append(there if request.pull else here)
        receive_cpu.append(here if request.pull else there)
    return Probed("", 0, tuple(trips), tuple(send_cpu), tuple(receive_cpu))


def _probe_size(request: Probe, size: int) -> tuple[tuple[float, ...], float, float]:
    host, port = request.host or LOOPBACK, request.port
    out_bytes, back_bytes = (LEAST_BYTES, size) if request.pull else (size, LEAST_BYTES)
    plan = f"{PLAN}{out_bytes}/{back_bytes}"
    inlets, outlets = _joint((CPU, _bytes(BACK, back_bytes)), (_bytes(OUT, out_bytes),))
    inlet, outlet = inlets.links["client", 0], outlets.links["client", 0]
    try:
        there = dial(host, port, Hello(plan, "client", 0, 0, 0), "the echo")
        try:
            back = dial(host, port, Hello(plan, 0, 0, "client", 0, gives=False), "the echo")
        except BaseException:
            there.close()
            raise
        inlet.attach(back, returning=False)
        outlet.attach(there)
        return _round_trips(request, inlets, outlets)
    except (OSError, ProtocolError) as error:
        raise DeviceError(f"the echo at {host}:{port} went away ({error}); see its device's log") from error
    finally:
        outlet.abort()
        inlet.close()


def _round_trips(request: Probe, inlets: Inlets, outlets: Outlets) -> tuple[tuple[float, ...], float, float]:
    """Seconds of each round trip after the first few, and processor seconds for each, here and there."""
    trips: list[float] = []
    marks: list[tuple[float, float]] = []
    end = time.perf_counter() + request.budget_s
    most, least = request.samples + WARM_UP, min(request.samples, ENOUGH) + WARM_UP
    while len(trips) < least or (len(trips) < most and time.perf_counter() < end):
        frame = len(trips)
        slots = outlets.acquire(frame)
        begin = time.perf_counter()
        outlets.give(1, frame, slots)
        turn = inlets.take(frame, timeout_s=PATIENCE_S)
        trips.append(time.perf_counter() - begin)
        if turn.kind is not Kind.DATA:
            raise ConnectionError(turn.note)
        marks.append((time.process_time(), float(turn.arrays[CPU.name])))
        inlets.done()
    (here_0, there_0), (here_1, there_1) = marks[WARM_UP - 1], marks[-1]
    count = len(trips) - WARM_UP
    return tuple(trips[WARM_UP:]), (here_1 - here_0) / count, (there_1 - there_0) / count
