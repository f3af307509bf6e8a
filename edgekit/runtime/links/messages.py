"""Messages as the carrier of a link: each is a frame, several short ones, or a piece of a long one.

    what sends messages ◀─ [ a few of them at most ] ◀─ outgoing() ┐
                                                                   ├─ the thread of the link
    what brings them ────▶ [ as many as there is room for ] ─▶ incoming() ┘

For RPC libraries, whose calls and streams carry whole messages on threads of their own. Those are no more than a few messages
ahead of the link, which itself gives out no more than there is room for. The signs of life are the link's own, as on a socket: those
of a library may go on where what it should bring is waited for in vain. So no message is longer than what a slow link carries
between two of them.
"""

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime.links.carrier import Peer
from edgekit.runtime.links.frames import CHECK_BYTES, HEADER_BYTES, NOTHING, Header, Kind, body_check, decode_head, framed, head
from edgekit.runtime.links.greeting import encode_standing
from edgekit.runtime.links.heartbeat import Pulse
from edgekit.runtime.links.line import advance
from edgekit.runtime.links.link import Standing

__all__ = ["JOIN_BYTES", "MessageLine", "Views"]

JOIN_BYTES = 16 * 1024
"""Short frames that are to go out at once do so in one message, up to so many bytes."""

GOODBYE_S = 0.3
"""Time that the last message has to go out."""

Views = Sequence[memoryview]
"""What a message is made of."""


class MessageLine:
    """Frames taken apart into messages, and put together again; how messages go is for those who inherit from it.

    ``here``: the address of this machine. ``names``: what the peer's certificate calls it; None: nothing is encrypted, and so frames
    are checked. ``piece_bytes``: the longest message. ``ahead``: messages that may be on their way.
    """

    def __init__(self, here: str, names: tuple[str, ...] | None, piece_bytes: int, ahead: int):
        self._here, self._names, self._piece_bytes, self._ahead = here, names, piece_bytes, ahead
        self._checked = names is None
        self._head_bytes = HEADER_BYTES + (CHECK_BYTES if self._checked else 0)
        self._news: SimpleQueue[Views | OSError | None] = SimpleQueue()
        """Messages, the end of them, or only that the link is to look."""
        self._given = self._gone = 0
        self._waited: Views | None = None
        """A message that has come while the link slept."""
        self._leaving: list[memoryview] = []
        """What has not yet gone out of a frame."""
        self._header: Header | None = None
        """Of the frame that is coming; what follows it, what has not come of that, and what it is checked by."""
        self._body = self._rest = NOTHING
        self._check = 0
        self._asleep = self._over = self._dropped = False
        self._left = threading.Event()

    def close(self) -> None:
        """Hang up."""
        raise NotImplementedError

    def _send(self, message: Views) -> None:
        """Let a message go out; once it is on its way, ``went`` is due."""
        raise NotImplementedError

    def _finish(self) -> None:
        """No more messages will go out."""

    def _follow(self) -> None:
        """A message has been taken in, and so another one may come."""

    @property
    def here(self) -> str:
        return self._here

    @property
    def resent(self) -> int | None:
        """No library tells."""
        return None

    def require(self, name: str) -> None:
        names = self._names
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

    def run(self, peer: Peer) -> None:
        try:
            self._carry(peer)
        finally:
            if self._over and not self._leaving:
                self.say(Kind.BYE)
                self._finish()
                self._left.wait(GOODBYE_S)
            self.close()

    def say(self, kind: Kind, note: bytes = b"") -> None:
        """Send a frame that carries no tensors."""
        self._say(Header(kind, payload_bytes=len(note)), note)

    def refuse(self, why: str) -> None:
        """Turn the caller away with a reason."""
        self.say(Kind.REJECT, why.encode())
        self._finish()

    def hear(self, end_s: float) -> tuple[Kind, bytes]:
        """The next frame that carries no tensors.

        Raises:
            OSError: the peer has gone, or a bit has flipped, or it has not come by ``end_s`` of the monotonic clock.
            ProtocolError: what came is no such frame.
        """
        message = self._event(max(end_s - time.monotonic(), 1e-3))
        if message is None:
            raise TimeoutError("timed out")
        header, self._check, body = self._begun(message[0])
        if header.kind is Kind.DATA or len(body) != header.payload_bytes:
            raise ProtocolError(f"{header.kind.name} came where a frame without tensors was due")
        self._require_whole(body)
        self._follow()
        return header.kind, bytes(body)

    def come(self, message: Views) -> None:
        """A message has come; headers of frames are whole in a view."""
        self._news.put(message)

    def went(self) -> None:
        """A message is on its way."""
        self._gone += 1
        self.wake()

    def lost(self, why: OSError) -> None:
        """No message will come any more."""
        self._left.set()
        self._news.put(why)
        self._finish()

    def _carry(self, peer: Peer) -> None:
        pulse = Pulse()
        while not self._over:
            if self._dropped:
                raise ConnectionError("its peer came anew")
            took, gave = self._take(peer), False
            while not self._full and (message := self._next(peer, not took)) is not None:
                self._put(message)
                gave = True
            if took:
                pulse.heard()
            if took or gave:
                continue
            due_s = pulse.due_s()
            if due_s <= 0 and not self._full:
                pulse.beat()
                self._say(Header(Kind.PING, frame=time.perf_counter_ns()))
                continue
            self._asleep = True
            if peer.idle or self._full:
                self._waited = self._event(max(due_s, 0.01))
            self._asleep = False

    @property
    def _full(self) -> bool:
        return self._given - self._gone >= self._ahead

    def _next(self, peer: Peer, resting: bool) -> Views | None:
        """The next message to go out: of the frame that is leaving, or of others."""
        if not self._leaving:
            nbytes = 0
            while nbytes < JOIN_BYTES and (frame := peer.outgoing(resting)) is not None:
                header, body = frame
                views = memoryview(head(header, body, self._checked)), body
                nbytes += sum(map(len, views))
                self._leaving += views
        return _piece(self._leaving, self._piece_bytes) if self._leaving else None

    def _put(self, message: Views) -> None:
        self._given += 1
        self._send(message)

    def _say(self, header: Header, note: bytes = b"") -> None:
        self._put([memoryview(framed(header, note, self._checked))])

    def _event(self, within_s: float) -> Views | None:
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
        self._follow()
        for rest in message:
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


def _piece(views: list[memoryview], nbytes: int) -> list[memoryview]:
    """So many bytes at most, taken off the front."""
    piece, room = list[memoryview](), nbytes
    while views and room:
        piece.append(views[0][:room])
        room -= len(piece[-1])
        advance(views, len(piece[-1]))
    return piece
