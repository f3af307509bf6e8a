"""Carries links between machines that cannot reach each other through this one, inside the SSH connections to them.

    stage ──▶ its own loopback ══ SSH (-R) ══▶ this process ══ SSH (-L) ══▶ the data port of the next stage

All of it crosses this machine's network twice, and ends with this process: a way out where nothing else leads.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from devices.connection import Connection
from devices.ssh import SshConnection
from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Stream
from edgekit.runtime.links.sockets import LOOPBACK, address_of, arrivals, hang_up

__all__ = ["Relay", "open_relays"]

PIECE_BYTES = 65536
DIAL_S = 10.0


class Relay(NamedTuple):
    """From the machine of one connection (None: this one) to a port that the machine of another can dial."""

    source: Connection | None
    receiver: Connection | None
    host: str
    port: int


@contextmanager
def open_relays(relays: Sequence[Relay]) -> Iterator[list[tuple[str, int]]]:
    """Open relays until the context is left; the address that the source of each has to dial.

    Raises:
        DeviceError: a machine does not allow forwarding.
    """
    with ExitStack() as stack:
        yield [_open(relay, stack) for relay in relays]


def _open(relay: Relay, stack: ExitStack) -> tuple[str, int]:
    if isinstance(relay.source, SshConnection):
        shell = relay.source.shell
        port = shell.listen(lambda near: _carry(near, relay))
        stack.callback(shell.listen_no_more, port)
        return LOOPBACK, port
    listener = stack.enter_context(socket.create_server((LOOPBACK, 0)))
    stack.callback(hang_up, listener)
    threading.Thread(target=_accept, args=(listener, relay), name="relay", daemon=True).start()
    return address_of(listener)


def _accept(listener: socket.socket, relay: Relay) -> None:
    for near in arrivals(listener):
        _carry(near, relay)


def _carry(near: Stream, relay: Relay) -> None:
    """Carry one connection to its end, on threads of its own."""
    threading.Thread(target=_join, args=(near, relay), name="relay", daemon=True).start()


def _join(near: Stream, relay: Relay) -> None:
    try:
        far: Stream
        if isinstance(relay.receiver, SshConnection):
            far = relay.receiver.shell.dial(relay.host, relay.port)
        else:
            far = socket.create_connection((relay.host, relay.port), DIAL_S)
            far.settimeout(None)
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, DeviceError):
        near.close()  # whoever dialled sees that nobody is there
        return
    back = threading.Thread(target=_pump, args=(far, near), name="relay", daemon=True)
    back.start()
    _pump(near, far)
    back.join()
    near.close()
    far.close()


def _pump(source: Stream, sink: Stream) -> None:
    """Pass bytes on until either is done; then neither is of use any more."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(PIECE_BYTES):
            sink.sendall(data)
    for stream in (source, sink):
        if isinstance(stream, socket.socket):
            hang_up(stream)
        else:
            stream.close()
