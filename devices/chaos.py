"""A TCP proxy that does to a link what the world does: it resets, stalls, flips bits, goes dark; the same each time for one seed.

    dialler ──▶ [ rate ─▶ delay ± jitter ─▶ fault? ] ──▶ listener        and the same on the way back

Faults strike chunks of up to 16 KiB, each with its own probability. A reset ends the connection in both directions; the next
connection through the proxy meets faults of its own.
"""

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from msgspec import Struct

from devices.shaper import CHUNK_BYTES, Direction, carry
from edgekit.cluster import Shape
from edgekit.quantity import Rate, Seconds, Share
from edgekit.runtime.links.sockets import address_of, arrivals, hang_up

__all__ = ["Chaos", "Faults"]

POLL_S = 0.02


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """How likely a chunk meets each fault, and how the link is shaped besides.

    Attributes:
        reset: both ends see a reset. half: half of the chunk arrives, then a reset.
        flip: one bit arrives otherwise. stall: nothing moves for ``stall_s``. slice: the chunk arrives in small pieces.
        latency_s, jitter_s: each way, the jitter evenly spread; chunks stay in order. bytes_per_s: each way.
    """

    reset: Share = 0.0
    half: Share = 0.0
    flip: Share = 0.0
    stall: Share = 0.0
    slice: Share = 0.0
    stall_s: Seconds = 0.5
    latency_s: Seconds = 0.0
    jitter_s: Seconds = 0.0
    bytes_per_s: Rate | None = None


class Chaos:
    """Stands for ``host:port`` at an address of its own; ``counts`` tells what was done to whom.

    ``dark`` and ``dark_back`` hold all that goes there, or comes back, for as long as they are set: a blackhole, or a one-way cut.
    """

    def __init__(self, host: str, port: int, faults: Faults, *, seed: int = 0, listen: tuple[str, int] = ("127.0.0.1", 0)):
        self.faults = faults
        self.counts: Counter[str] = Counter()
        self.dark, self.dark_back = threading.Event(), threading.Event()
        self._there, self._seed = (host, port), seed
        self._open: set[socket.socket] = set()
        self._over = False
        self._listener = socket.create_server(listen)
        threading.Thread(target=self._listen, name="chaos", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        """Where to dial instead."""
        return address_of(self._listener)

    def cut(self) -> None:
        """Reset every connection now."""
        self.counts["cut"] += 1
        for sock in list(self._open):
            _reset(sock)

    def close(self) -> None:
        """End all connections and take no more."""
        self._over = True
        hang_up(self._listener)
        self._listener.close()
        for sock in list(self._open):
            hang_up(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _listen(self) -> None:
        for number, near in enumerate(arrivals(self._listener)):
            self.counts["connections"] += 1
            threading.Thread(target=self._relay, args=(near, number), name="chaos", daemon=True).start()

    def _relay(self, near: socket.socket, number: int) -> None:
        shape = Shape(self.faults.latency_s, self.faults.bytes_per_s)
        ends: set[socket.socket] = set()

        def ways(far: socket.socket) -> tuple[Direction, Direction]:
            ends.update((near, far))
            self._open |= ends
            there, back = (random.Random(f"{self._seed}/{number}/{way}") for way in ("there", "back"))
            return _Way(near, far, shape, self, there, self.dark), _Way(far, near, shape, self, back, self.dark_back)

        carry(near, self._there, ways)
        self._open -= ends


class _Way(Direction):
    """One direction of one connection, with faults, each drawn for a small chunk."""

    MOST_CHUNK_BYTES = CHUNK_BYTES[0]

    def __init__(self, source: socket.socket, sink: socket.socket, shape: Shape, chaos: Chaos, dice: random.Random, dark: threading.Event):
        self._chaos, self._dice, self._dark = chaos, dice, dark
        super().__init__(source, sink, shape)

    def _deliver(self, data: bytes) -> None:
        faults, dice, counts = self._chaos.faults, self._dice, self._chaos.counts
        if faults.jitter_s:
            time.sleep(dice.uniform(0, faults.jitter_s))
        while self._dark.is_set() and not self._chaos._over:
            time.sleep(POLL_S)
        for kind in ("reset", "half", "flip", "stall", "slice"):
            if dice.random() < getattr(faults, kind):
                counts[kind] += 1
                data = self._strike(kind, data)
        self._sink.sendall(data)

    def _strike(self, kind: str, data: bytes) -> bytes:
        """Do it; what is left to be delivered."""
        if kind in ("reset", "half"):
            if kind == "half":
                self._sink.sendall(data[: len(data) // 2])
            _reset(self._source)
            _reset(self._sink)
            raise ConnectionResetError("by chaos")
        if kind == "flip":
            at = self._dice.randrange(8 * len(data))
            changed = bytearray(data)
            changed[at // 8] ^= 1 << at % 8
            return bytes(changed)
        if kind == "stall":
            time.sleep(self._chaos.faults.stall_s)
            return data
        while len(data) > 1:
            size = self._dice.randint(1, min(len(data), 1500))
            self._sink.sendall(data[:size])
            data = data[size:]
        return data


def _reset(sock: socket.socket) -> None:
    """Let both ends see a reset: what is not yet on its way is lost."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    hang_up(sock)
