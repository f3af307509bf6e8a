"""Listening, hanging up and trying again, for sockets of any kind."""

import contextlib
import errno
import socket
import time
from collections.abc import Iterator

__all__ = ["LOOPBACK", "address_of", "arrivals", "hang_up", "pauses"]

LOOPBACK = "127.0.0.1"

PAUSE_S = 0.05
"""Wait before accepting again where the process has run out of file descriptors."""


def arrivals(listener: socket.socket) -> Iterator[socket.socket]:
    """Connections as they come in, until the listener is hung up."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EBADF, errno.EINVAL):
                return
            time.sleep(PAUSE_S)
        else:
            yield sock


def address_of(listener: socket.socket) -> tuple[str, int]:
    """Host and port that it listens on."""
    host, port = listener.getsockname()[:2]
    return host, port


def pauses(first_s: float, most_s: float) -> Iterator[float]:
    """Seconds to wait between attempts: each time twice as long, up to a limit.

    >>> waits = pauses(0.5, 1.5)
    >>> [next(waits) for _ in range(4)]
    [0.5, 1.0, 1.5, 1.5]
    """
    while True:
        yield first_s
        first_s = min(2 * first_s, most_s)


def hang_up(sock: socket.socket) -> None:
    """End a connection so that threads blocked on it wake up; whoever reads from it closes it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
