"""What carries links: sockets, which every machine has, or an RPC library, which is asked for and loaded where it is used.

    name ──▶ Opening: dial(door, hello, who, within_s) ──▶ Carrier, Standing
                      receive(gate)                    ──▶ Reception

Another transport is another entry of ``TRANSPORTS``: two functions that return objects which satisfy those Protocols.
"""

from collections.abc import Callable
from typing import NamedTuple

from edgekit.errors import DeviceError
from edgekit.runtime.links.carrier import Carrier, Gate, Reception
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.greeting import dial as dial_socket
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.reception import SocketReception
from edgekit.runtime.links.transport_packages import available, missing
from edgekit.runtime.verbs import Transport

__all__ = ["TRANSPORTS", "Opening", "dial", "receive"]


class Opening(NamedTuple):
    """How links are opened at both ends: one dials a listening peer, the other lets callers in at a gate."""

    dial: Callable[[Door, Hello, str, float], tuple[Carrier, Standing]]
    receive: Callable[[Gate], Reception]


def dial(door: Door, hello: Hello, who: str, within_s: float) -> tuple[Carrier, Standing]:
    """Open a connection to whoever listens behind a door; how far they are, if they receive.

    Raises:
        Refused: nobody listens there, or they say no, or are another one; the message says why.
        DeviceError: they do not answer, or the transport is not to be had here.
    """
    return TRANSPORTS[door.transport].dial(door, hello, who, within_s)


def receive(transport: str, gate: Gate) -> Reception:
    """Let callers in at a gate.

    Raises:
        OSError: its address is not to be had.
        DeviceError: the transport is not to be had here.
    """
    return TRANSPORTS[transport].receive(gate)


def _dial_socket(door: Door, hello: Hello, who: str, within_s: float) -> tuple[Carrier, Standing]:
    sock, there = dial_socket(door, hello, who, within_s=within_s)
    return Line(sock), there


def _dial_grpc(door: Door, hello: Hello, who: str, within_s: float) -> tuple[Carrier, Standing]:
    _require("grpc")
    from edgekit.runtime.links.rpc.dialer import dial as dial_rpc

    return dial_rpc(door, hello, who, within_s)


def _receive_grpc(gate: Gate) -> Reception:
    _require("grpc")
    from edgekit.runtime.links.rpc.listener import RpcReception

    return RpcReception(gate)


def _require(transport: Transport) -> None:
    if transport not in available():
        raise DeviceError(f"{missing(transport)} here; pip install what is not, or use --transport socket")


TRANSPORTS: dict[str, Opening] = {
    "socket": Opening(_dial_socket, SocketReception),
    "grpc": Opening(_dial_grpc, _receive_grpc),
}
"""How each transport is opened; an RPC library is loaded by the first link that goes over it."""
