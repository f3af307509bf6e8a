"""A cable that is long: Ethernet frames from one end arrive at the other so many seconds later, in both directions.

board ── veth ═ packet socket ─▶ delay ─▶ tap ── bridge            and the same on the way back

Frames are handed on as they are, so that TCP at both ends meets the round trip itself. It takes the place of tc's netem where the
kernel has none, for rates of tens of Mbit/s. Both ends of the veth must leave segmentation and checksums to their senders.
"""

import fcntl
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from tests.runtime.bed import eventually

__all__ = ["DelayLine", "plain"]

TUNSETIFF, TAP, NO_HEADER = 0x400454CA, 0x0002, 0x1000
SIOCETHTOOL, NAME_BYTES = 0x8946, 16
OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)
"""ETHTOOL_STXCSUM, _SSG, _STSO, _SGSO, _SGRO, each to be set to 0 (linux/ethtool.h)."""

EVERY_PROTOCOL, FRAME_BYTES = 3, 2048


def plain(device: str) -> None:
    """Have a network device send frames that are complete: no larger than they may be, each with its checksum."""
    import ctypes

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for feature in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", feature, 0))
            request = struct.pack(f"{NAME_BYTES}sP8x", device.encode(), ctypes.addressof(value))
            fcntl.ioctl(sock, SIOCETHTOOL, request)


class DelayLine:
    """The line between a veth and a tap of this name, in a process of its own, which ends with ``close``."""

    def __init__(self, veth: str, tap: str, delay_s: float):
        self._process = subprocess.Popen([sys.executable, "-m", "tests.delayline", veth, tap, str(delay_s)])
        eventually(lambda: os.path.exists(f"/sys/class/net/{tap}"))

    def close(self) -> None:
        """End it; the tap goes with it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)


def _carry(take: Callable[[], bytes], give: Callable[[bytes], object], delay_s: float) -> None:
    """Start two threads: one takes frames as they come, the other gives each when its time has come."""
    line: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def receive() -> None:
        while True:
            frame = take()
            line.put((time.monotonic() + delay_s, frame))

    def send() -> None:
        while True:
            due, frame = line.get()
            if (left := due - time.monotonic()) > 0:
                time.sleep(left)
            try:
                give(frame)
            except OSError:  # the other end is down: a cable loses frames then
                continue

    for work in (receive, send):
        threading.Thread(target=work, daemon=True).start()


def main(veth: str, tap: str, delay_s: float) -> None:
    """Carry frames until SIGTERM."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack(f"{NAME_BYTES}sH", tap.encode(), TAP | NO_HEADER))
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    cable.bind((veth, 0))

    def from_cable() -> bytes:
        while True:
            frame, (_, _, kind, *_) = cable.recvfrom(FRAME_BYTES)
            if kind != socket.PACKET_OUTGOING:  # what we sent ourselves
                return frame

    _carry(from_cable, lambda frame: os.write(fd, frame), delay_s)
    _carry(lambda: os.read(fd, FRAME_BYTES), cable.send, delay_s)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
