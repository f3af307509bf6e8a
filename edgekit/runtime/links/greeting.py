"""The greeting that opens a link, or goes on with one over another connection."""

import socket
import time
from typing import Literal, NamedTuple

import msgspec

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime.links.frames import CHECK_BYTES, HEADER_BYTES, NOTHING, Header, Kind, checks, decode_header, framed, require_ours
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.tls import Guard

__all__ = [
    "HANDSHAKE_S",
    "Door",
    "Hello",
    "Refused",
    "accept",
    "decode_hello",
    "decode_standing",
    "dial",
    "encode_standing",
    "reach",
    "receive_note",
    "refuse",
    "secured",
    "send_note",
    "welcome",
]

HANDSHAKE_S = 5.0
"""Time that a peer has to greet."""

BUFFER_BYTES = 1024 * 1024
"""Kernel buffers of a link, as far as the system allows: what is under way is bounded by credits, not by them."""

End = int | Literal["client"]


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who calls, for which link of which plan; ``gives`` says whether the caller is the one that sends frames.

    ``link`` names the link; where it ``resumes``, it goes on over this connection. A caller that receives is as far as ``come``
    and ``room`` say (see ``link.Standing``).
    """

    plan: str
    source: End
    source_replica: int
    receiver: End
    receiver_replica: int
    gives: bool = True
    link: str = ""
    resumes: bool = False
    come: int = 0
    room: int = 0


class Refused(DeviceError):
    """A peer that is not there, or says no: dialling again is of no use for this link."""


class Door(NamedTuple):
    """Where somebody listens; the name in its certificate, what secures the way there (None: nothing does), and what carries it."""

    host: str
    port: int
    name: str = ""
    guard: Guard | None = None
    transport: str = "socket"


def dial(door: Door, hello: Hello, who: str, *, within_s: float = HANDSHAKE_S) -> tuple[socket.socket, Standing]:
    """Open a connection to a listening stage; how far the stage is, if it receives.

    Raises:
        Refused: nobody listens there, or the stage says no, or is another one; the message says why.
        DeviceError: it does not answer.
    """
    end_s = time.monotonic() + within_s
    host, port, name, guard, _ = door
    sock = reach(door, who, within_s)
    try:
        _tune(sock)
        if guard is not None:
            sock = guard.call(sock, name, within_s)
        send_note(sock, Kind.HELLO, msgspec.msgpack.encode(hello))
        kind_, note = receive_note(sock, end_s)
        if kind_ is not Kind.WELCOME:
            raise Refused(f"{who} refused the link: {note.decode(errors='replace')}")
        return sock, decode_standing(note)
    except (OSError, msgspec.DecodeError) as error:
        sock.close()
        raise DeviceError(f"{who} at {host}:{port} did not answer the greeting ({error}); is it running?") from error
    except BaseException:
        sock.close()
        raise


def reach(door: Door, who: str, within_s: float) -> socket.socket:
    """Open a connection to whoever listens behind a door.

    Raises:
        Refused: nobody does.
        DeviceError: there is no way there.
    """
    try:
        return socket.create_connection((door.host, door.port), within_s)
    except OSError as error:
        at = f"at {door.host}:{door.port} ({error})"
        if isinstance(error, ConnectionRefusedError):
            raise Refused(f"{who} cannot be reached {at}; is it running, and is the port open?") from error
        raise DeviceError(f"{who} does not answer {at}; is its machine on, and on this network?") from error


def secured(sock: socket.socket, guard: Guard | None) -> socket.socket:
    """Secure a fresh connection, within HANDSHAKE_S; the one that came is not to be used any more.

    Raises:
        OSError: the caller shows no certificate of ours, or is too slow.
    """
    _tune(sock)
    return guard.answer(sock, HANDSHAKE_S) if guard is not None else sock


def accept(sock: socket.socket) -> Hello:
    """Read the greeting on a connection, within HANDSHAKE_S.

    Raises:
        OSError: the caller was too slow, or went away.
        ProtocolError: what came is no greeting.
    """
    kind, note = receive_note(sock, time.monotonic() + HANDSHAKE_S)
    if kind is not Kind.HELLO:
        raise ProtocolError(f"expected HELLO, got {kind.name}")
    return decode_hello(note)


def decode_hello(note: bytes) -> Hello:
    """What a HELLO says.

    Raises:
        ProtocolError: it does not decode.
    """
    try:
        return msgspec.msgpack.decode(note, type=Hello)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the greeting does not decode: {error}") from error


def welcome(sock: socket.socket, here: Standing) -> None:
    """Let a caller in, and say how far this end is, if it receives."""
    send_note(sock, Kind.WELCOME, encode_standing(here))


def encode_standing(here: Standing) -> bytes:
    """What a WELCOME says."""
    return msgspec.msgpack.encode(here)


def decode_standing(note: bytes) -> Standing:
    """The standing that a WELCOME tells.

    Raises:
        DecodeError: of msgspec; it tells none.
    """
    return Standing(*msgspec.msgpack.decode(note, type=tuple[int, int]))


def refuse(sock: socket.socket, why: str) -> None:
    """Turn the caller away with a reason."""
    try:
        send_note(sock, Kind.REJECT, why.encode())
    except OSError:
        pass  # the caller has already gone
    finally:
        sock.close()


def send_note(sock: socket.socket, kind: Kind, note: bytes = b"") -> None:
    """Send a frame that carries no tensors."""
    sock.sendall(framed(Header(kind, payload_bytes=len(note)), note))


def receive_note(sock: socket.socket, end_s: float) -> tuple[Kind, bytes]:
    """The next frame that carries no tensors.

    Raises:
        ConnectionError: the peer closed the connection, is none of ours, or a bit has flipped.
        TimeoutError: it has not come by ``end_s`` of the monotonic clock.
        ProtocolError: what came is no such frame.
    """
    head, check, note = bytearray(HEADER_BYTES), bytearray(CHECK_BYTES), bytearray()
    _fill(sock, memoryview(head), end_s)
    try:
        require_ours(head)
    except ProtocolError as error:  # or a bit of the very first bytes has flipped
        raise ConnectionError(str(error)) from error
    _fill(sock, memoryview(check), end_s)
    if check[:4] == checks(head, NOTHING)[:4]:
        header = decode_header(head)
        if header.kind is Kind.DATA:
            raise ProtocolError("DATA came where a frame without tensors was due")
        note = bytearray(header.payload_bytes)
        _fill(sock, memoryview(note), end_s)
        if check == checks(head, memoryview(note)):
            return header.kind, bytes(note)
    raise ConnectionError("a greeting came damaged")


def _fill(sock: socket.socket, view: memoryview, end_s: float) -> None:
    """Fill ``view`` from the socket; a deadline holds for all of it, however slowly the bytes drip."""
    while view:
        sock.settimeout(max(end_s - time.monotonic(), 1e-3))
        got = sock.recv_into(view)
        if not got:
            raise ConnectionError("the peer closed the connection")
        view = view[got:]


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
