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

from devices import local_ports
from devices.connection import Connection
from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Stream
from edgekit.runtime.links.sockets import hang_up

__all__ = ["Relay", "open_relays"]

PIECE_BYTES = 65536


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
    forward = local_ports.forward if relay.source is None else relay.source.forward
    return stack.enter_context(forward(lambda near: _carry(near, relay)))


def _carry(near: Stream, relay: Relay) -> None:
    """Carry one connection to its end, on threads of its own."""
    threading.Thread(target=_join, args=(near, relay), name="relay", daemon=True).start()


def _join(near: Stream, relay: Relay) -> None:
    try:
        dial = local_ports.dial if relay.receiver is None else relay.receiver.dial
        far = dial(relay.host, relay.port)
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
