"""What carries links: sockets, which every machine has, or gRPC, which asks for packages of its own and is loaded where it is used.

A transport is a pair: how to dial somebody, and how to let callers in.
"""

from edgekit.errors import DeviceError
from edgekit.runtime.carrier import Carrier, Gate, Reception
from edgekit.runtime.line import Line
from edgekit.runtime.link import Standing
from edgekit.runtime.needs import NEEDS, available
from edgekit.runtime.reception import SocketReception
from edgekit.runtime.verbs import Transport
from edgekit.runtime.wire import Door, Hello
from edgekit.runtime.wire import dial as dial_socket

__all__ = ["dial", "receive"]


def dial(door: Door, hello: Hello, who: str, within_s: float) -> tuple[Carrier, Standing]:
    """Open a connection to whoever listens behind a door; how far they are, if they receive.

    Raises:
        Refused: nobody listens there, or they say no, or are another one; the message says why.
        DeviceError: they do not answer, or the transport is not to be had here.
    """
    if door.transport == "grpc":
        _require("grpc")
        from edgekit.runtime.rpc.calling import dial as dial_rpc

        return dial_rpc(door, hello, who, within_s)
    sock, there = dial_socket(door, hello, who, within_s)
    return Line(sock), there


def receive(transport: Transport, gate: Gate) -> Reception:
    """Let callers in at a gate.

    Raises:
        OSError: its address is not to be had.
        DeviceError: the transport is not to be had here.
    """
    if transport == "grpc":
        _require("grpc")
        from edgekit.runtime.rpc.answering import RpcReception

        return RpcReception(gate)
    return SocketReception(gate)


def _require(transport: Transport) -> None:
    if transport not in available():
        raise DeviceError(f"{' and '.join(NEEDS[transport].values())} are not installed here; pip install them, or use --transport socket")
