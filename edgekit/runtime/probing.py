"""Measures a link with the very inlets and outlets that the pipeline uses: frames out, an empty frame back.

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
from edgekit.runtime.sockets import arrivals, hang_up
from edgekit.runtime.verbs import Port, Probe, Probed
from edgekit.runtime.wire import Hello, accept, dial, welcome

__all__ = ["Echo", "probe"]

PLAN = "probe"
WARM_UP = 3

ENOUGH = 5
"""Samples after which a size is done once its time is spent."""

MOST_BYTES = 1024**3
"""Largest frame that an echo makes room for."""

PATIENCE_S = 30.0
"""Time without an answer after which an echo counts as gone."""


class Echo:
    """Answers probes: one connection for each size and direction, one size at a time, until the process ends.

    The reply to a frame carries the processor seconds that this process has used so far.
    """

    def __init__(self, listen: str):
        self._listener = socket.create_server((listen, 0))
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
                size = _greet(there, gives=True)
                for back in islice(callers, 1):
                    with back:
                        if _greet(back, gives=False) != size:
                            raise ValueError("the two connections belong to different probes")
                        _answer(there, back, size)


def _greet(sock: socket.socket, gives: bool) -> int:
    """Welcome one of the two connections of a probe; the size of its frames."""
    hello = accept(sock)
    size = int(hello.plan.removeprefix(PLAN))
    if hello.gives is not gives or not 0 <= size <= MOST_BYTES:
        raise ProtocolError("this is no probe")
    welcome(sock)
    return size


def _answer(there: socket.socket, back: socket.socket, size: int) -> None:
    inlets, outlets = _joint((_bytes("out", size),), (Tensor("cpu", (), "float64"),))
    inlet, outlet = inlets.links["client", 0], outlets.links["client", 0]
    try:
        inlet.attach(there, returning=False)
        outlet.attach(back)
        frame = 0
        while (turn := inlets.take(frame)).kind is Kind.DATA:
            inlets.done()
            slots = outlets.acquire(frame)
            slots[0].views["cpu"][...] = time.process_time()
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
        send_cpu.append(here)
        receive_cpu.append(there)
    return Probed("", 0, tuple(trips), tuple(send_cpu), tuple(receive_cpu))


def _probe_size(request: Probe, size: int) -> tuple[tuple[float, ...], float, float]:
    host, port = request.host or "127.0.0.1", request.port
    plan = f"{PLAN}{size}"
    inlets, outlets = _joint((Tensor("cpu", (), "float64"),), (_bytes("out", size),))
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
        marks.append((time.process_time(), float(turn.arrays["cpu"])))
        inlets.done()
    (here_0, there_0), (here_1, there_1) = marks[WARM_UP - 1], marks[-1]
    count = len(trips) - WARM_UP
    return tuple(trips[WARM_UP:]), (here_1 - here_0) / count, (there_1 - there_0) / count
