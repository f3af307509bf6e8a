"""What carries links: sockets, which every machine has, or an RPC library, which is asked for and loaded where it is used.

A transport is a pair: how to dial somebody, and how to let callers in.
"""

import os

from edgekit.errors import DeviceError
from edgekit.runtime.links.carrier import Carrier, Gate, Reception
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.greeting import dial as dial_socket
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.reception import SocketReception
from edgekit.runtime.links.tls import Guard
from edgekit.runtime.links.transport_packages import NEEDS, OPEN, available, missing
from edgekit.runtime.verbs import Transport

__all__ = ["dial", "receive"]


def dial(door: Door, hello: Hello, who: str, within_s: float) -> tuple[Carrier, Standing]:
    """Open a connection to whoever listens behind a door; how far they are, if they receive.

    Raises:
        Refused: nobody listens there, or they say no, or are another one; the message says why.
        DeviceError: they do not answer, or the transport is not to be had here.
    """
    _require(door.transport, door.guard)
    if door.transport == "grpc":
        from edgekit.runtime.links.rpc.dialer import dial as dial_rpc

        return dial_rpc(door, hello, who, within_s)
    if door.transport == "torch":
        from edgekit.runtime.torchrpc.calling import dial as dial_torch

        return dial_torch(door, hello, who, within_s)
    sock, there = dial_socket(door, hello, who, within_s)
    return Line(sock), there


def receive(transport: Transport, gate: Gate) -> Reception:
    """Let callers in at a gate.

    Raises:
        OSError: its address is not to be had.
        DeviceError: the transport is not to be had here.
    """
    _require(transport, gate.guard)
    if transport == "grpc":
        from edgekit.runtime.links.rpc.listener import RpcReception

        return RpcReception(gate)
    if transport == "torch":
        from edgekit.runtime.torchrpc.reception import TorchReception

        return TorchReception(gate)
    return SocketReception(gate)


def _require(transport: Transport, guard: Guard | None) -> None:
    if not NEEDS[transport]:
        return
    if transport not in available():
        raise DeviceError(f"{missing(transport)} here; pip install what is not, or use --transport socket")
    if guard is not None and transport in OPEN:
        raise DeviceError(f"{OPEN[transport]}; use it with --insecure, or use --transport socket")
    if transport == "torch":
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when it is loaded: a call that fails is no news, as links go on
