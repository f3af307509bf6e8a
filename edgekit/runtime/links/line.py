"""One connection, read and written by one thread alone: frames out, frames in, and signs of life.

    give() ─wake─▶ ┌─ write what is to go out, as far as the socket takes it
                   │  read what has come, straight to where it belongs
                   └─ sleep until either is possible, or a sign of life is due

A TLS socket must not be read and written by two threads (CPython's issue 151508), so no connection is. A peer from whom nothing
was heard for a while is taken for dead, whatever TCP says.
"""

import contextlib
import select
import socket
import ssl
import sys
import time

from edgekit.runtime.links.carrier import Peer
from edgekit.runtime.links.frames import CHECK_BYTES, HEADER_BYTES, NOTHING, Header, Kind, body_check, decode_head, framed, head
from edgekit.runtime.links.greeting import welcome
from edgekit.runtime.links.heartbeat import Pulse
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.tls import require_name

__all__ = ["Line", "advance"]

RECORD_BYTES = 16 * 1024
"""What fits into one TLS record."""

AHEAD_BYTES = 64 * 1024
"""Small frames are sent, and read, together up to so many bytes."""

MOST_LOOKS = 64
"""Times in a row that a line reads before it writes again: a look at a TLS connection yields one record."""

RETRANSMITS_AT = 100
"""Where ``struct tcp_info`` of Linux has them."""

_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """A socket as the ``Carrier`` of a link; its peer has greeted."""

    def __init__(self, sock: socket.socket):
        self._socket = sock
        self._secure = isinstance(sock, ssl.SSLSocket)
        self._rope: socket.socket | None = None
        """What rings the bell of the thread that runs it, while one does."""
        self._asleep = self._over = self._dropped = False
        self._out: list[memoryview] = []
        self._head_bytes = HEADER_BYTES if self._secure else HEADER_BYTES + CHECK_BYTES
        self._ahead = memoryview(bytearray(AHEAD_BYTES))
        self._begin = self._end = 0
        """What has been read ahead lies between them."""
        self._header: Header | None = None
        """Of the frame that is coming; what follows it, what has not come of that, and what it is checked by."""
        self._body = self._rest = NOTHING
        self._check = 0

    @property
    def here(self) -> str:
        host: str = self._socket.getsockname()[0]
        return host

    @property
    def resent(self) -> int:
        """``tcpi_total_retrans`` of Linux."""
        state = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RETRANSMITS_AT + 4)
        return int.from_bytes(state[RETRANSMITS_AT:], sys.byteorder)

    def require(self, name: str) -> None:
        require_name(self._socket, name)

    def welcome(self, here: Standing) -> None:
        welcome(self._socket, here)

    def wake(self) -> None:
        if self._asleep:
            self._ring()

    def end(self) -> None:
        self._over = True
        self._ring()

    def drop(self) -> None:
        self._dropped = True
        self._ring()

    def close(self) -> None:
        self._socket.close()

    def run(self, peer: Peer) -> None:
        bell, rope = socket.socketpair()
        with bell, rope:
            bell.setblocking(False)
            rope.setblocking(False)
            self._rope = rope
            try:
                self._carry(peer, bell)
            finally:
                self._close()

    def _carry(self, peer: Peer, bell: socket.socket) -> None:
        self._socket.setblocking(False)
        watch = select.poll()
        watch.register(bell, select.POLLIN)
        watch.register(self._socket, select.POLLIN)
        ringing, full, pulse = bell.fileno(), False, Pulse()
        while not self._over:
            if self._dropped:
                raise ConnectionError("its peer came anew")
            read = self._read(peer)
            wrote = self._write(peer, not read)
            if read:
                pulse.heard()
            if wrote or read:
                continue
            due_s = pulse.due_s()
            if due_s <= 0 and not self._out:
                pulse.beat()
                self._out = [memoryview(framed(Header(Kind.PING, frame=time.perf_counter_ns()), checked=not self._secure))]
                continue
            if bool(self._out) is not full:
                full = not full
                watch.modify(self._socket, select.POLLIN | (select.POLLOUT if full else 0))
            self._asleep = True
            ready = watch.poll(max(due_s, 0.01) * 1e3) if full or peer.idle else ()
            self._asleep = False
            if any(descriptor == ringing for descriptor, _ in ready):
                bell.recv(4096)

    def _write(self, peer: Peer, resting: bool) -> bool:
        """Write all there is, as far as the socket takes it; whether it took anything."""
        wrote = False
        while self._out or self._gather(peer, resting):
            try:
                sent = self._socket.send(self._out[0]) if self._secure else self._socket.sendmsg(self._out)
            except _BLOCKED:
                break
            wrote = True
            advance(self._out, sent)
        return wrote

    def _gather(self, peer: Peer, resting: bool) -> bool:
        """Take frames that are to go out, small ones together; whether there are any."""
        pieces: list[bytes | memoryview] = []
        nbytes, large, checked = 0, NOTHING, not self._secure
        while nbytes < AHEAD_BYTES and not large and (frame := peer.outgoing(resting)) is not None:
            header, body = frame
            pieces.append(head(header, body, checked))
            if len(body) < AHEAD_BYTES:
                pieces.append(body)
            else:
                large = body
            nbytes += self._head_bytes + len(body)
        self._out = [view for view in (memoryview(b"".join(pieces)), large) if view]
        return bool(pieces)

    def _read(self, peer: Peer) -> bool:
        """Read on, to the end of a frame and of all that was read with it; whether anything came."""
        for looks in range(MOST_LOOKS):
            if not self._receive():
                return looks > 0
            midway = self._rest and self._begin == self._end
            if not midway and self._take(peer):
                break
        return True

    def _receive(self) -> bool:
        """Receive to where it belongs, and ahead; whether there was anything."""
        ahead, rest = self._ahead, self._rest
        left = self._end - self._begin
        if left:
            ahead[:left] = ahead[self._begin : self._end]  # the beginning of a header
        self._begin, self._end = 0, left
        try:
            if not rest or (self._secure and len(rest) < RECORD_BYTES):
                got = self._socket.recv_into(ahead[left:])
                self._end += got
            elif self._secure:
                got = self._socket.recv_into(rest)
                self._rest = rest[got:]
            else:
                got = self._socket.recvmsg_into([rest, ahead])[0]
                self._rest = rest[got:]
                self._end = max(got - len(rest), 0)
        except _BLOCKED:
            return False
        if not got:
            raise ConnectionError("the peer closed the connection")
        return True

    def _take(self, peer: Peer) -> bool:
        """Take in what was read ahead; whether a frame has come to its end."""
        ahead, checked, whole = self._ahead, not self._secure, False
        while True:
            if self._header is None:
                start, stop = self._begin, self._begin + self._head_bytes
                if stop > self._end:
                    return whole
                self._header, self._check = decode_head(ahead[start:stop], checked)
                self._body = self._rest = peer.incoming(self._header)
                self._begin = stop
            start, stop = self._begin, self._begin + len(self._rest)
            if stop > self._end:
                there = self._end - start
                self._rest[:there] = ahead[start : self._end]
                self._rest, self._begin = self._rest[there:], self._end
                return whole
            self._rest[:] = ahead[start:stop]
            self._rest, self._begin = NOTHING, stop
            if checked and self._check != body_check(self._body):
                raise ConnectionError("a frame came damaged")
            header, self._header = self._header, None
            peer.arrived(header)
            whole = True

    def _close(self) -> None:
        if self._over and not self._out:
            with contextlib.suppress(OSError):
                self._socket.send(framed(Header(Kind.BYE), checked=not self._secure))
        self._over = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _ring(self) -> None:
        rope = self._rope
        if rope is not None:
            with contextlib.suppress(OSError):  # it has ended, or has been rung often enough
                rope.send(b"!")


def advance(views: list[memoryview], count: int) -> None:
    """Take so many bytes off the front."""
    while views and count >= len(views[0]):
        count -= len(views.pop(0))
    if count:
        views[0] = views[0][count:]
