"""One stream of gRPC as the carrier of a link: each message is a frame, several short ones, or a piece of a long one.

    gRPC asks for the next one ─▶ [ 2 messages at most ] ◀─ outgoing() ┐
                                                                       ├─ the thread of the link
    a thread reads on ──────────▶ [ 2 messages at most ] ─▶ incoming() ┘

Both ends of gRPC block, so each has a thread of its own; neither is more than those few messages ahead of the link, which itself
gives out no more than there is room for. The signs of life are the link's own, as on a socket: the pings of HTTP/2 go on where a
bit has flipped in the length of a message, and all that follows is waited for in vain. So no message is longer than what a slow
link carries between two of them.
"""

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import NamedTuple

import grpc

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime.carrier import Peer
from edgekit.runtime.frames import CHECK_BYTES, HEADER_BYTES, NOTHING, Header, Kind, body_check, decode_head, framed, head
from edgekit.runtime.line import BEAT_S, DEAD_S, advance
from edgekit.runtime.link import Standing
from edgekit.runtime.wire import encode_standing

__all__ = ["RpcLine", "Stream"]

PIECE_BYTES = 512 * 1024
"""Longest message."""

JOIN_BYTES = 16 * 1024
"""Short frames that are to go out at once do so in one message, up to so many bytes."""

AHEAD = 2
"""Messages that gRPC may be ahead of the link in either direction."""

GOODBYE_S = 0.3
"""Time that the last message has to go out."""


class Stream(NamedTuple):
    """What a line has to know of its stream: the address of this machine, the peer's names (None: nothing is encrypted), how to end it."""

    here: str
    names: tuple[str, ...] | None
    hang_up: Callable[[], object]


class RpcLine:
    """A stream of gRPC; it is the iterator from which gRPC takes what goes out."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self._checked = stream.names is None
        self._head_bytes = HEADER_BYTES + (CHECK_BYTES if self._checked else 0)
        self._out: SimpleQueue[bytes | None] = SimpleQueue()
        self._news: SimpleQueue[bytes | OSError | None] = SimpleQueue()
        """Messages, the end of the stream, or only that the link is to look."""
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(AHEAD - 1):
            self._room.put(None)
        self._given = self._taken = 0
        self._waited: bytes | None = None
        """A message that has come while the link slept."""
        self._leaving: list[memoryview] = []
        """What has not yet gone out of a frame."""
        self._header: Header | None = None
        """Of the frame that is coming; what follows it, what has not come of that, and what it is checked by."""
        self._body = self._rest = NOTHING
        self._check = 0
        self._asleep = self._over = self._dropped = False
        self._gone = threading.Event()

    @property
    def here(self) -> str:
        return self._stream.here

    @property
    def resent(self) -> int | None:
        """gRPC does not tell."""
        return None

    def require(self, name: str) -> None:
        names = self._stream.names
        if names != (name,):
            raise DeviceError(f"the certificate shown is of {', '.join(names or ()) or 'nobody'}, expected {name}; deploy again")

    def welcome(self, here: Standing) -> None:
        self.say(Kind.WELCOME, encode_standing(here))

    def wake(self) -> None:
        if self._asleep:
            self._news.put(None)

    def end(self) -> None:
        self._over = True
        self._news.put(None)

    def drop(self) -> None:
        self._dropped = True
        self._news.put(None)

    def close(self) -> None:
        self._out.put(None)
        self._stream.hang_up()
        self._room.put(None)

    def run(self, peer: Peer) -> None:
        try:
            self._carry(peer)
        finally:
            if self._over and not self._leaving:
                self.say(Kind.BYE)
                self._out.put(None)
                self._gone.wait(GOODBYE_S)
            self.close()

    def say(self, kind: Kind, note: bytes = b"") -> None:
        """Send a frame that carries no tensors."""
        self._say(Header(kind, payload_bytes=len(note)), note)

    def refuse(self, why: str) -> None:
        """Turn the caller away with a reason."""
        self.say(Kind.REJECT, why.encode())
        self._out.put(None)

    def hear(self, end_s: float) -> tuple[Kind, bytes]:
        """The next frame that carries no tensors.

        Raises:
            OSError: the stream has ended, or a bit has flipped, or it has not come by ``end_s`` of the monotonic clock.
            ProtocolError: what came is no such frame.
        """
        message = self._event(max(end_s - time.monotonic(), 1e-3))
        if message is None:
            raise TimeoutError("timed out")
        header, self._check, body = self._begun(memoryview(message))
        if header.kind is Kind.DATA or len(body) != header.payload_bytes:
            raise ProtocolError(f"{header.kind.name} came where a frame without tensors was due")
        self._require_whole(body)
        self._room.put(None)
        return header.kind, bytes(body)

    def read(self, messages: Iterator[bytes]) -> None:
        """Read on, as far as the link follows; for a thread of its own."""
        try:
            for message in messages:
                self._news.put(message)
                self._room.get()
            self.lost(ConnectionError("the peer closed the connection"))
        except grpc.RpcError as error:
            self.lost(_reason(error))

    def lost(self, why: OSError) -> None:
        """The stream has ended."""
        self._gone.set()
        self._news.put(why)
        self._out.put(None)
        self._room.put(None)

    def __iter__(self) -> "RpcLine":
        return self

    def __next__(self) -> bytes:
        message = self._out.get()
        if message is None:
            raise StopIteration
        self._taken += 1
        self.wake()
        return message

    def _carry(self, peer: Peer) -> None:
        heard = beaten = time.monotonic()
        while not self._over:
            if self._dropped:
                raise ConnectionError("its peer came anew")
            took, gave = self._take(peer), False
            while not self._full and (message := self._next(peer, not took)) is not None:
                self._put(message)
                gave = True
            if took:
                heard = time.monotonic()
            if took or gave:
                continue
            now = time.monotonic()
            if now - heard > DEAD_S:
                raise ConnectionError(f"nothing was heard for {DEAD_S:g} s")
            if now - beaten >= BEAT_S and not self._full:
                beaten = now
                self._say(Header(Kind.PING, frame=time.perf_counter_ns()))
                continue
            self._asleep = True
            if peer.idle or self._full:
                self._waited = self._event(max(BEAT_S - (now - beaten), 0.01))
            self._asleep = False

    @property
    def _full(self) -> bool:
        return self._given - self._taken >= AHEAD

    def _next(self, peer: Peer, resting: bool) -> bytes | None:
        """The next message to go out: of the frame that is leaving, or of others."""
        if not self._leaving:
            nbytes = 0
            while nbytes < JOIN_BYTES and (frame := peer.outgoing(resting)) is not None:
                header, body = frame
                views = memoryview(head(header, body, self._checked)), body
                nbytes += sum(map(len, views))
                self._leaving += views
        return b"".join(_piece(self._leaving)) if self._leaving else None

    def _put(self, message: bytes) -> None:
        self._given += 1
        self._out.put(message)

    def _say(self, header: Header, note: bytes = b"") -> None:
        self._put(framed(header, note, self._checked))

    def _event(self, within_s: float) -> bytes | None:
        """What happens next: a message, or nothing but time and a call to look."""
        try:
            event = self._news.get(timeout=within_s) if within_s else self._news.get_nowait()
        except Empty:
            return None
        if isinstance(event, OSError):
            raise event
        return event

    def _take(self, peer: Peer) -> bool:
        """Take a message in, if one has come; whether one had."""
        message, self._waited = self._waited or self._event(0.0), None
        if message is None:
            return False
        self._room.put(None)
        rest = memoryview(message)
        while rest:
            if self._header is None:
                self._header, self._check, rest = self._begun(rest)
                self._body = self._rest = peer.incoming(self._header)
            count = min(len(rest), len(self._rest))
            self._rest[:count] = rest[:count]
            self._rest, rest = self._rest[count:], rest[count:]
            if not self._rest:
                header, self._header = self._header, None
                self._require_whole(self._body)
                peer.arrived(header)
        return True

    def _begun(self, message: memoryview) -> tuple[Header, int, memoryview]:
        """The beginning of a frame, which no piece ends in: its header, what its body is checked by, and what has come of that."""
        header, check = decode_head(message[: self._head_bytes], self._checked)
        return header, check, message[self._head_bytes :]

    def _require_whole(self, body: memoryview) -> None:
        if self._checked and self._check != body_check(body):
            raise ConnectionError("a frame came damaged")


def _piece(views: list[memoryview]) -> list[memoryview]:
    """As much as fits into a message, taken off the front."""
    piece, room = list[memoryview](), PIECE_BYTES
    while views and room:
        piece.append(views[0][:room])
        room -= len(piece[-1])
        advance(views, len(piece[-1]))
    return piece


def _reason(error: grpc.RpcError) -> OSError:
    """Why a stream has ended, as a socket would say it."""
    details = str(error.details() or error.code().name) if isinstance(error, grpc.Call) else "the peer closed the connection"
    return ConnectionRefusedError(details) if "Connection refused" in details else ConnectionError(details)
