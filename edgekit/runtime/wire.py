"""Frames on a TCP socket, and the greeting that opens a link."""

import socket
import time
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime.frames import HEADER_BYTES, Header, Kind, decode_header, encode_header

__all__ = [
    "HANDSHAKE_S",
    "Hello",
    "accept",
    "dial",
    "receive_header",
    "receive_into",
    "receive_note",
    "refuse",
    "send",
    "send_note",
    "welcome",
]

HANDSHAKE_S = 5.0
"""Time that a peer has to greet."""

BUFFER_BYTES = 256 * 1024
"""Kernel buffers of a link: large enough for a gigabit round trip of 2 ms, small enough to bound what is in flight."""

KEEP_ALIVE = (5, 2, 3)
"""Seconds of silence after which an idle peer is asked for a sign, seconds between the next ones, and how many may stay unanswered."""

End = int | Literal["client"]


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who calls, for which link of which plan; ``gives`` says whether the caller is the one that sends frames."""

    plan: str
    source: End
    source_replica: int
    receiver: End
    receiver_replica: int
    gives: bool = True


def dial(host: str, port: int, hello: Hello, who: str) -> socket.socket:
    """Open a link to a listening stage.

    Raises:
        DeviceError: nobody listens there, or the stage refuses; the message says why.
    """
    end_s = time.monotonic() + HANDSHAKE_S
    try:
        sock = socket.create_connection((host, port), HANDSHAKE_S)
    except OSError as error:
        raise DeviceError(f"{who} cannot be reached at {host}:{port} ({error}); is it running, and is the port open?") from error
    try:
        _tune(sock)
        send_note(sock, Kind.HELLO, msgspec.msgpack.encode(hello))
        header = receive_header(sock, end_s)
        note = receive_note(sock, header, end_s)
        if header.kind is not Kind.WELCOME:
            raise DeviceError(f"{who} refused the link: {note.decode(errors='replace')}")
        sock.settimeout(None)
    except OSError as error:
        sock.close()
        raise DeviceError(f"{who} at {host}:{port} did not answer the greeting ({error}); is it running?") from error
    except BaseException:
        sock.close()
        raise
    return sock


def accept(sock: socket.socket) -> Hello:
    """Read the greeting on a fresh connection, within HANDSHAKE_S.

    Raises:
        OSError: the caller was too slow, or went away.
        ProtocolError: what came is no greeting.
    """
    end_s = time.monotonic() + HANDSHAKE_S
    _tune(sock)
    header = receive_header(sock, end_s)
    if header.kind is not Kind.HELLO:
        raise ProtocolError(f"expected HELLO, got {header.kind.name}")
    note = receive_note(sock, header, end_s)
    try:
        return msgspec.msgpack.decode(note, type=Hello)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the greeting does not decode: {error}") from error


def welcome(sock: socket.socket) -> None:
    """Accept the link; from here on it carries frames."""
    send_note(sock, Kind.WELCOME)
    sock.settimeout(None)


def refuse(sock: socket.socket, why: str) -> None:
    """Turn the caller away with a reason."""
    try:
        send_note(sock, Kind.REJECT, why.encode())
    except OSError:
        pass  # the caller has already gone
    finally:
        sock.close()


def send(sock: socket.socket, header: Header, table: bytes, payload: NDArray[np.uint8]) -> None:
    """Send one DATA frame from where its tensors lie."""
    parts = [memoryview(encode_header(header) + table), payload.data]
    while parts:
        sent = sock.sendmsg(parts)
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][sent:]


def send_note(sock: socket.socket, kind: Kind, note: bytes = b"", epoch: int = 0, frame: int = 0) -> None:
    """Send a frame that carries no tensors."""
    sock.sendall(encode_header(Header(kind, epoch, 0, frame, 0, len(note))) + note)


def receive_header(sock: socket.socket, end_s: float | None = None) -> Header:
    """The next header.

    Raises:
        ConnectionError: the peer closed the connection.
        TimeoutError: it has not come by ``end_s`` of the monotonic clock.
        ProtocolError: what came is no header.
    """
    data = bytearray(HEADER_BYTES)
    receive_into(sock, memoryview(data), end_s)
    return decode_header(data)


def receive_note(sock: socket.socket, header: Header, end_s: float | None = None) -> bytes:
    """What a frame without tensors carries; its size has been checked by ``decode_header``."""
    if header.kind is Kind.DATA:
        raise ProtocolError("DATA came where a frame without tensors was due")
    data = bytearray(header.payload_bytes)
    receive_into(sock, memoryview(data), end_s)
    return bytes(data)


def receive_into(sock: socket.socket, view: memoryview, end_s: float | None = None) -> None:
    """Fill ``view`` from the socket; a deadline holds for all of it, however slowly the bytes drip."""
    while view:
        if end_s is not None:
            sock.settimeout(max(end_s - time.monotonic(), 1e-3))
        got = sock.recv_into(view)
        if not got:
            raise ConnectionError("the peer closed the connection")
        view = view[got:]


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a peer whose power was cut says nothing
    for option, value in zip((socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT), KEEP_ALIVE, strict=True):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
