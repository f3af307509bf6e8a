"""Gives links between ``local:`` devices a rate and a delay: TCP proxies in one process of their own.

    sender ──▶ [ read ─ rate ─▶ delay line ─▶ write ] ──▶ receiver        and the same on the way back

A chunk leaves the rate stage when the one before it has left and its own bytes have passed; it arrives a delay
later. Deadlines are absolute, so that late wake-ups do not add up. What is in flight is bounded by rate × delay.

A proxy that wakes up late loses nothing: the kernel's buffers hold what the link carries in LATE_S, and the kernel says when it came.
A chunk takes the same processor time, whatever its size; so a faster link has larger ones.
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import msgspec

from edgekit.cluster import Shape
from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Channel
from edgekit.runtime.links.sockets import arrivals, hang_up
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import Hold

__all__ = ["CHUNK_BYTES", "Direction", "Route", "carry", "main", "open_routes"]

CHUNK_S = 0.001
CHUNK_BYTES = 16 * 1024, 128 * 1024
"""A chunk is what the link carries in that time, at least and at most so much."""

LATE_S = 0.02
LEAST_BYTES = 64 * 1024
"""Of a buffer, and in flight."""

FAST = 1e9
"""Bytes a second of a link without a rate, for its buffers."""

STAMPS = 35
"""``SO_TIMESTAMPNS`` of Linux: with what is received comes when it arrived, a ``struct timespec``."""

STAMP = struct.Struct("@ll")

DIAL_S = 5.0


class Route(msgspec.Struct, frozen=True):
    """Where a proxy leads, and how each direction is shaped."""

    host: str
    port: int
    there: Shape
    back: Shape


@contextmanager
def open_routes(routes: list[Route], lifeline: tuple[Path, str] | None = None) -> Iterator[list[tuple[str, int]]]:
    """Start proxies; yields the address that stands for each route.

    With ``lifeline``, an agent's socket and a plan, they stay until that plan ends there; else until the context is left.

    Raises:
        DeviceError: the proxy process does not come up.
    """
    if not routes:
        yield []
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "devices.shaper", *map(str, lifeline or ())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if lifeline else None,  # proxies that stay would keep a pipe of the caller's open
        start_new_session=True,
        env=environment() | {"OPENBLAS_NUM_THREADS": "1"},  # it computes nothing, and forks best without threads
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with process.stdout:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(msgspec.json.encode(routes).decode() + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        if not answer:
            raise DeviceError("the link shaper did not start; run it by hand to see why: python -m devices.shaper")
        yield [("127.0.0.1", port) for port in json.loads(answer)]
    except BaseException:
        process.kill()
        raise
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()  # a proxy that is to stay has left this process


def _serve(listener: socket.socket, route: Route) -> None:
    for near in arrivals(listener):
        threading.Thread(target=_relay, args=(near, route), daemon=True).start()


def _relay(near: socket.socket, route: Route) -> None:
    carry(near, (route.host, route.port), lambda far: (Direction(near, far, route.there), Direction(far, near, route.back)))


def carry(near: socket.socket, address: tuple[str, int], ways: "Callable[[socket.socket], Iterable[Direction]]") -> None:
    """Carry one connection to its end: ``ways`` begins its directions, once the far end has answered."""
    with near, contextlib.suppress(OSError), socket.create_connection(address, DIAL_S) as far:
        for sock in (near, far):
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in ways(far):
            way.join()


class Direction:
    """Reader and writer threads of one direction of one connection."""

    MOST_CHUNK_BYTES = CHUNK_BYTES[1]

    def __init__(self, source: socket.socket, sink: socket.socket, shape: Shape):
        self._source, self._sink, self._shape = source, sink, shape
        rate = shape.bytes_per_s or FAST
        self._chunk_bytes = int(min(max(rate * CHUNK_S, CHUNK_BYTES[0]), self.MOST_CHUNK_BYTES))
        self._most_bytes = max(LEAST_BYTES, rate * shape.latency_s * 1.5 + 2 * self._chunk_bytes)
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, max(LEAST_BYTES, int(rate * LATE_S)))
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(LEAST_BYTES, 2 * self._chunk_bytes))
        if sys.platform == "linux":
            source.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
        self._flying_bytes = 0
        self._broken = False
        self._room = threading.Condition()
        self._line: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._write)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until its source has ended and all has arrived, or its sink is gone."""
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        free, data = 0.0, b"-"
        while data:
            with self._room:
                self._room.wait_for(lambda: self._flying_bytes <= self._most_bytes or self._broken)
            try:
                data, notes, *_ = self._source.recvmsg(self._chunk_bytes, socket.CMSG_SPACE(STAMP.size))
            except OSError:
                data, notes = b"", []
            free = max(_came_s(notes), free) + (len(data) / self._shape.bytes_per_s if self._shape.bytes_per_s else 0.0)
            with self._room:
                self._flying_bytes += len(data)
            self._line.put((free + self._shape.latency_s, data))

    def _deliver(self, data: bytes) -> None:
        self._sink.sendall(data)

    def _write(self) -> None:
        data = b"-"
        while data:
            due, data = self._line.get()
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            try:
                if data:
                    self._deliver(data)
                else:
                    self._sink.shutdown(socket.SHUT_WR)
            except OSError:
                data = b""
                hang_up(self._source)  # what it still sends has nowhere to go
                self._broken = True
            with self._room:
                self._flying_bytes -= len(data)
                self._room.notify()


def _came_s(notes: list[tuple[int, int, bytes]]) -> float:
    """When the last of what was received arrived, by the monotonic clock; now, where the kernel does not tell."""
    stamps = [data for level, kind, data in notes if (level, kind, len(data)) == (socket.SOL_SOCKET, STAMPS, STAMP.size)]
    if not stamps:
        return time.monotonic()
    seconds, nanoseconds = STAMP.unpack(stamps[0])
    waited_s: float = max(time.time() - seconds - nanoseconds * 1e-9, 0.0)
    return time.monotonic() - waited_s


def main() -> None:
    """Read routes from standard input, answer their ports, and stay until the lifeline or the input ends."""
    asked = sys.stdin.readline()
    if not asked:
        return  # whoever started it has changed its mind
    routes = msgspec.json.decode(asked, type=list[Route])
    lifeline = socket.socket(socket.AF_UNIX)
    stays = len(sys.argv) > 1
    if stays:
        lifeline.connect(sys.argv[1])
        Channel(lifeline, "the agent").send(Hold(sys.argv[2]))
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in routes]
    print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
    if stays and os.fork():
        os._exit(0)  # whoever started the proxies need not be their parent
    for listener, route in zip(listeners, routes, strict=True):
        threading.Thread(target=_serve, args=(listener, route), daemon=True).start()
    if stays:
        lifeline.recv(1)
    else:
        sys.stdin.read()


if __name__ == "__main__":
    main()
