"""Listening and hanging up, for sockets of any kind."""

import contextlib
import errno
import socket
import time
from collections.abc import Iterator

__all__ = ["LOOPBACK", "arrivals", "hang_up"]

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


def hang_up(sock: socket.socket) -> None:
    """End a connection so that threads blocked on it wake up; whoever reads from it closes it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
