"""Ports of this machine for relayed connections: this process listens on a port, or dials one."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from edgekit.runtime.agent.control import Stream
from edgekit.runtime.links.sockets import LOOPBACK, address_of, arrivals, hang_up

__all__ = ["Receive", "dial", "forward"]

DIAL_S = 10.0

Receive = Callable[[Stream], None]
"""Gets each connection that arrives, and does not wait for its end."""


@contextmanager
def forward(receive: Receive) -> Iterator[tuple[str, int]]:
    """An address of this machine, until the context is left; ``receive`` gets the connections to it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        stack.callback(hang_up, listener)
        threading.Thread(target=_accept, args=(listener, receive), name="relay", daemon=True).start()
        yield address_of(listener)


def dial(host: str, port: int) -> Stream:
    """Open a TCP connection from this machine to an address.

    Raises:
        OSError: nobody answers there.
    """
    sock = socket.create_connection((host, port), DIAL_S)
    sock.settimeout(None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _accept(listener: socket.socket, receive: Receive) -> None:
    for stream in arrivals(listener):
        receive(stream)
