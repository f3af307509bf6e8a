"""Claim: a shaped link carries the rate that it is described with, to 2 %, up to 100 MB/s.

    python benchmarks/shaped_rate.py [--rates 1 6 12.5 40 80 100] [--delay 0.5] [--seconds 2]

For each rate a stream of bytes goes through the link as raw TCP, and messages of 1 MB, three under way as in a full pipeline, through
a real link of the runtime over TLS, between two agents on this machine. Printed are described and carried MB/s, their ratio, the time
that a message of one byte takes on its way beyond the described delay, and the processor time that the shaper takes. Exit code 1
where a ratio is off by more than 2 %: then this machine cannot carry that rate.
"""

import argparse
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from devices.authority import ECHO, of_probes
from devices.connection import Connection, Probe
from devices.local import connect
from devices.shaper import Route, open_routes
from edgekit.cluster import Shape
from edgekit.device import Device

RATES = (1.0, 6.0, 12.5, 40.0, 80.0, 100.0)
MESSAGE_BYTES = 1_000_000
PIECE_BYTES = 256 * 1024
WINDOW = 3
ALLOWED = 0.02


class Carried(NamedTuple):
    """What went through: bytes a second, and seconds that a small message took beyond the delay."""

    bytes_per_s: float
    extra_s: float = 0.0


@contextmanager
def sink(marks: list[tuple[float, int]]) -> Iterator[tuple[str, int]]:
    """Listens once, and notes when how many bytes had come."""

    def listen(listener: socket.socket) -> None:
        sock, buffer, count = listener.accept()[0], bytearray(PIECE_BYTES), 0
        with sock:
            while got := sock.recv_into(buffer):
                count += got
                marks.append((time.perf_counter(), count))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen, args=(listener,))
        thread.start()
        yield listener.getsockname()
        thread.join()


def rate_of(marks: list[tuple[float, int]]) -> float:
    """Bytes a second, without the first third, in which buffers fill."""
    marks = marks[len(marks) // 3 :]
    return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])


def raw(shape: Shape, seconds: float) -> Carried:
    marks: list[tuple[float, int]] = []
    with (
        sink(marks) as address,
        open_routes([Route(*address, shape, shape)]) as (proxy,),
        socket.create_connection(proxy) as sock,
    ):
        end, piece = time.perf_counter() + seconds, bytes(PIECE_BYTES)
        while time.perf_counter() < end:
            sock.sendall(piece)
    return Carried(rate_of(marks))


def linked(shape: Shape, seconds: float, near: Connection, far: Connection) -> Carried:
    authority = of_probes()
    echo = far.probe(Probe(keys=authority.issue(ECHO)))
    with open_routes([Route(echo.host, echo.port, shape, shape)]) as ((host, port),):

        def probe(nbytes: int, window: int, seconds: float) -> np.ndarray:
            keys = authority.issue("dialler")
            found = near.probe(
                Probe(
                    listen=None,
                    host=host,
                    port=port,
                    sizes=(nbytes,),
                    pull=False,
                    samples=100_000,
                    budget_s=seconds,
                    window=window,
                    keys=keys,
                )
            )
            return np.array(found.round_trips_s[0])

        small = probe(1, 1, 0.4)
        arrivals = np.cumsum(probe(MESSAGE_BYTES, WINDOW, seconds + 4 * MESSAGE_BYTES / (shape.bytes_per_s or 1e9)))
    arrivals = arrivals[len(arrivals) // 3 :]
    rate = MESSAGE_BYTES * (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
    return Carried(float(rate), float(np.median(small)) / 2 - shape.latency_s)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rates", type=float, nargs="+", default=RATES, help="MB/s")
    options.add_argument("--delay", type=float, default=0.5, help="ms each way")
    options.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    asked = options.parse_args()
    print(f"{'described':>10} {'raw TCP':>10} {'ratio':>7} {'link, TLS':>10} {'ratio':>7} {'beyond delay':>13} {'shaper CPU':>11}")
    missed = 0
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        near, far = (stack.enter_context(connect(Device(name), home)) for name in ("near", "far"))
        for rate in asked.rates:
            shape = Shape(asked.delay * 1e-3, rate * 1e6)
            through = raw(shape, asked.seconds)
            before, began = (
                os.times().children_user + os.times().children_system,
                time.perf_counter(),
            )
            over = linked(shape, asked.seconds, near, far)
            used, took = (
                os.times().children_user + os.times().children_system - before,
                time.perf_counter() - began,
            )
            ratios = [each.bytes_per_s / shape.bytes_per_s for each in (through, over)]  # type: ignore[operator]
            missed += any(abs(ratio - 1) > ALLOWED for ratio in ratios)
            print(
                f"{rate:>7.1f} MB {through.bytes_per_s * 1e-6:>7.1f} MB {ratios[0]:>7.3f} {over.bytes_per_s * 1e-6:>7.1f} MB "
                f"{ratios[1]:>7.3f} {over.extra_s * 1e6:>10.0f} µs {used / took:>10.0%}",
                flush=True,
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
