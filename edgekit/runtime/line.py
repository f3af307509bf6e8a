"""One connection, read and written by one thread alone: frames out, frames in, and signs of life.

    give() ─wake─▶ ┌─ write what is to go out, as far as the socket takes it
                   │  read what has come, straight to where it belongs
                   └─ sleep until either is possible, or a sign of life is due

A TLS socket must not be read and written by two threads (CPython's issue 151508), so no connection is. A peer from whom nothing
was heard for ``DEAD_S`` is taken for dead, whatever TCP says.
"""

import contextlib
import select
import socket
import ssl
import sys
import time
import zlib

from edgekit.runtime.carrier import Peer, Views
from edgekit.runtime.frames import CHECK_BYTES, HEADER_BYTES, Header, Kind, body_check, decode_header, framed
from edgekit.runtime.link import Standing
from edgekit.runtime.tls import require_name
from edgekit.runtime.wire import welcome

__all__ = ["BEAT_S", "DEAD_S", "Line", "advance"]

BEAT_S = 1.0
"""Time between two signs of life."""

DEAD_S = 3.0
"""Silence after which a peer is taken for dead."""

RECORD_BYTES = 16 * 1024
"""What fits into one TLS record, and is joined to be sent as one."""

AHEAD_BYTES = 64 * 1024
"""Small frames are sent, and read, together up to so many bytes."""

MOST_LOOKS = 64
"""Times in a row that a line reads before it writes again: a look at a TLS connection yields one record."""

MOST_VIEWS = 512
"""Parts of frames that are handed to the system at once, which takes 1024."""

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
        self._head = bytearray(HEADER_BYTES if self._secure else HEADER_BYTES + CHECK_BYTES)
        self._ahead = memoryview(bytearray(AHEAD_BYTES))
        self._begin = self._end = 0
        """What has been read ahead lies between them."""
        self._header: Header | None = None
        self._body: Views = ()
        self._in: list[memoryview] = [memoryview(self._head)]

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
        ringing, full = bell.fileno(), False
        heard = beaten = time.monotonic()
        while not self._over:
            if self._dropped:
                raise ConnectionError("its peer came anew")
            read = self._read(peer)
            wrote = self._write(peer, not read)
            if read:
                heard = time.monotonic()
            if wrote or read:
                continue
            now = time.monotonic()
            if now - heard > DEAD_S:
                raise ConnectionError(f"nothing was heard for {DEAD_S:g} s")
            if now - beaten >= BEAT_S and not self._out:
                beaten = now
                self._out = framed(Header(Kind.PING, frame=time.perf_counter_ns()), (), not self._secure)
                continue
            if bool(self._out) is not full:
                full = not full
                watch.modify(self._socket, select.POLLIN | (select.POLLOUT if full else 0))
            self._asleep = True
            ready = watch.poll(max(BEAT_S - (now - beaten), 0.01) * 1e3) if full or peer.idle else ()
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
        views: list[memoryview] = []
        nbytes = 0
        while nbytes < (RECORD_BYTES if self._secure else AHEAD_BYTES) and len(views) < MOST_VIEWS:
            if (frame := peer.outgoing(resting)) is None:
                break
            pieces = framed(*frame, not self._secure)
            nbytes += sum(map(len, pieces))
            views += pieces
        self._out = [memoryview(b"".join(views))] if self._secure and nbytes <= RECORD_BYTES and len(views) > 1 else views
        return bool(views)

    def _read(self, peer: Peer) -> bool:
        """Read on, to the end of a frame and of all that was read with it; whether anything came."""
        looks, whole = 0, False
        while True:
            while self._begin < self._end and self._in:
                view = self._in[0]
                count = min(len(view), self._end - self._begin)
                view[:count] = self._ahead[self._begin : self._begin + count]
                self._begin += count
                advance(self._in, count)
            if self._in:
                if whole or looks == MOST_LOOKS or not self._receive():
                    return looks > 0
                looks += 1
            elif self._header is None:
                self._header = self._decoded()
                self._body = peer.incoming(self._header)
                self._in = [view for view in self._body if len(view)]
            else:
                self._arrived(peer, self._header)
                whole = True

    def _receive(self) -> bool:
        """Receive to where it belongs, and ahead; whether there was anything."""
        try:
            if not self._secure:
                got = self._socket.recvmsg_into([*self._in, self._ahead])[0]
            elif len(self._in[0]) < RECORD_BYTES:
                got = 0
                self._begin, self._end = 0, self._socket.recv_into(self._ahead)
            else:
                got = self._socket.recv_into(self._in[0])
                self._begin = self._end = 0
        except _BLOCKED:
            return False
        if not self._secure:
            self._begin, self._end = 0, max(got - sum(map(len, self._in)), 0)
        if not got and not self._end:
            raise ConnectionError("the peer closed the connection")
        advance(self._in, got - (self._end if not self._secure else 0))
        return True

    def _decoded(self) -> Header:
        head = self._head if self._secure else self._head[:HEADER_BYTES]
        if not self._secure and zlib.crc32(head).to_bytes(4, "big") != self._head[HEADER_BYTES:-4]:
            raise ConnectionError("a header came damaged")
        return decode_header(head)

    def _arrived(self, peer: Peer, header: Header) -> None:
        if not self._secure and self._head[-4:] != body_check(self._body):
            raise ConnectionError("a frame came damaged")
        self._header, self._body = None, ()
        self._in = [memoryview(self._head)]
        peer.arrived(header)

    def _close(self) -> None:
        if self._over and not self._out:
            with contextlib.suppress(OSError):
                self._socket.send(b"".join(framed(Header(Kind.BYE), (), not self._secure)))
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
