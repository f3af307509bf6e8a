"""The two ends of a link: an outlet sends messages from a ring of buffers, an inlet receives them into one.

    stage thread                sender thread             receiver thread               stage thread
    outlet.acquire() ─slot─▶ outlet.give(…) ─queue─▶ socket ───────▶ inlet ring ─queue─▶ inlet.head()
          ▲                        │                    ◀── ACK ──      ▲                     │
          └────── free slots ◀─────┘                                    └──── drop() ◀────────┘

Rings hold ``SLOTS`` buffers: while one is computed on, the next one fills. A full ring stops reading, TCP stops
the sender, and so the pressure walks back to the source. Each message holds a slot, a failed frame's too, so
queues never grow beyond the ring.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from socket import socket
from typing import NamedTuple

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime import wire
from edgekit.runtime.frames import EVERY_FRAME, Header, Kind, Layout
from edgekit.runtime.sockets import hang_up
from edgekit.runtime.wire import receive_header, receive_into, receive_note, send, send_note

__all__ = ["SLOTS", "Inlet", "Item", "Outlet", "Slot"]

SLOTS = 2
"""Buffers at each end of a link."""

HISTORY = 4096
"""Transfer times that an outlet remembers."""

PINGS = 3
NOTE_BYTES = 4096


class Slot:
    """A buffer for one message, with its tensors as arrays in place."""

    def __init__(self, layout: Layout):
        self.payload = layout.allocate()
        self.views = layout.views(self.payload)


class Item(NamedTuple):
    """A message in its slot: DATA, FAIL with the reason, or END of the stream. News of the link itself has no slot."""

    kind: Kind
    epoch: int
    frame: int
    slot: Slot | None = None
    note: str = ""

    @property
    def lost(self) -> bool:
        """Whether nothing will come any more."""
        return self.kind is Kind.FAIL and self.frame == EVERY_FRAME


class Inlet:
    """Receives the messages of one link, in order."""

    def __init__(self, layout: Layout, name: str):
        self.layout = layout
        self.name = name
        self._free: SimpleQueue[Slot | None] = SimpleQueue()
        self._filled: SimpleQueue[Item] = SimpleQueue()
        self._head: Item | None = None
        self._socket: socket | None = None
        self._thread: threading.Thread | None = None
        for _ in range(SLOTS):
            self._free.put(Slot(layout))

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def attach(self, sock: socket, returning: bool) -> None:
        """Receive from ``sock`` on a thread of its own, until it ends; the socket is the inlet's from now on.

        ``returning``: the peer (a client) may end and come again; else its end is the end of the link.
        """
        self._socket = sock
        self._thread = threading.Thread(target=self._receive, args=(sock, returning), name=f"inlet {self.name}", daemon=True)
        self._thread.start()

    def head(self, timeout_s: float | None = None) -> Item:
        """The next item; waits for it and leaves it in place.

        Raises:
            TimeoutError: nothing came in time.
        """
        if self._head is None:
            try:
                self._head = self._filled.get(timeout=timeout_s)
            except Empty:
                raise TimeoutError(f"nothing came from {self.name} for {timeout_s:g} s") from None
        return self._head

    def drop(self) -> None:
        """Done with the head: its buffer may be filled again. The news that the link is lost stays."""
        item = self.head()
        if item.lost:
            return
        if item.slot is not None:
            self._free.put(item.slot)
        self._head = None

    def discard(self, epoch: int) -> None:
        """Drop what has already come of streams before ``epoch``."""
        while self._head is not None or not self._filled.empty():
            item = self.head()
            if item.lost or item.epoch >= epoch:
                return
            self.drop()

    def close(self) -> None:
        """Hang up; whoever waits learns that the link is lost."""
        sock = self._socket
        if sock is not None:
            hang_up(sock)
        self._free.put(None)
        if self._thread is not None:
            self._thread.join()

    def _receive(self, sock: socket, returning: bool) -> None:
        epoch, ended, why = 0, True, "its connection ended"
        with sock:
            try:
                while (item := self._next(sock)) is not None:
                    epoch, ended = item.epoch, item.kind is Kind.END
                    self._filled.put(item)
            except (OSError, ProtocolError) as error:
                why = str(error)
        if not returning:
            self._filled.put(Item(Kind.FAIL, epoch, EVERY_FRAME, note=f"lost {self.name}: {why}"))
        elif not ended:
            self._filled.put(Item(Kind.END, epoch, 0))
        self._socket = None  # last: a client that returns must find its predecessor's items in the queue, complete

    def _next(self, sock: socket) -> Item | None:
        header = receive_header(sock)
        while header.kind is Kind.PING:
            send_note(sock, Kind.PONG)
            header = receive_header(sock)
        if header.kind not in (Kind.DATA, Kind.FAIL, Kind.END):
            raise ProtocolError(f"{header.kind.name} is not what an inlet gets")
        if header.kind is Kind.DATA:
            self.layout.check(header)
        slot = self._free.get()
        if slot is None:
            return None
        try:
            note = self._fill(sock, header, slot)
        except BaseException:
            self._free.put(slot)
            raise
        return Item(header.kind, header.epoch, header.frame, slot, note)

    def _fill(self, sock: socket, header: Header, slot: Slot) -> str:
        """Receive what follows a header; DATA into the slot."""
        if header.kind is not Kind.DATA:
            return receive_note(sock, header).decode(errors="replace")
        table = bytearray(header.table_bytes)
        receive_into(sock, memoryview(table))
        if table != self.layout.table:
            raise ProtocolError(f"tensors other than {', '.join(self.layout.offsets)} came; the two ends run different plans")
        receive_into(sock, slot.payload.data)
        with contextlib.suppress(OSError):  # the frame has come, and counts, even if its sender has left
            send_note(sock, Kind.ACK, epoch=header.epoch, frame=header.frame)
        return ""


class Outlet:
    """Sends the messages of one link, in order; without a peer, or after it is lost, it discards them."""

    def __init__(self, layout: Layout, name: str):
        self.layout = layout
        self.name = name
        self.broken = False
        self.transfers: deque[tuple[int, float]] = deque(maxlen=HISTORY)
        self._free: SimpleQueue[Slot | None] = SimpleQueue()
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._socket: socket | None = None
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._sent: dict[int, float] = {}
        self._way_back_s = 0.0
        for _ in range(SLOTS):
            self._free.put(Slot(layout))
        self._threads = [threading.Thread(target=self._pump, name=f"outlet {name}", daemon=True)]
        self._threads[0].start()

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def attach(self, sock: socket, greet: Callable[[socket], None] = lambda sock: None) -> None:
        """Send to ``sock`` from now on; a few empty round trips tell how long an acknowledgement travels.

        The socket is the outlet's, also where this fails. From ``greet``, which tells the peer that it is welcome, on
        nothing that is given is discarded: the peer may have caused it already.

        Raises:
            OSError: the peer went away, or does not answer.
            ProtocolError: it answers something else.
        """
        with self._sending:
            try:
                greet(sock)
                end_s = time.monotonic() + wire.HANDSHAKE_S
                self._way_back_s = min(_ping(sock, self.name, end_s) for _ in range(PINGS)) / 2
                sock.settimeout(None)
            except BaseException:
                sock.close()
                raise
            self._sent.clear()
            thread = threading.Thread(target=self._acknowledge, args=(sock,), name=f"acks {self.name}", daemon=True)
            self._threads[1:] = [thread]
            self.broken = False
            self._socket = sock
            thread.start()

    def acquire(self) -> Slot:
        """A free buffer; waits while all are on their way.

        Raises:
            DeviceError: the outlet has been closed.
        """
        slot = self._free.get()
        if slot is None:
            self._free.put(None)  # for whoever else waits
            raise DeviceError(f"the link to {self.name} is closed; open a new client")
        return slot

    def give(self, epoch: int, frame: int, slot: Slot) -> None:
        """Send a buffer that ``acquire`` lent."""
        self._queue.put(Item(Kind.DATA, epoch, frame, slot))

    def fail(self, epoch: int, frame: int, note: str, slot: Slot) -> None:
        """Tell the receiver that a frame has no data, instead of sending the buffer that ``acquire`` lent."""
        self._queue.put(Item(Kind.FAIL, epoch, frame, slot, note))

    def lose(self, epoch: int, note: str) -> None:
        """Tell the receiver that nothing will come any more."""
        self._queue.put(Item(Kind.FAIL, epoch, EVERY_FRAME, note=note))

    def end(self, epoch: int) -> None:
        """Tell the receiver that the stream is complete."""
        self._queue.put(Item(Kind.END, epoch, 0))

    def abort(self) -> None:
        """Hang up now; what is queued is discarded."""
        sock = self._socket
        if sock is not None:
            hang_up(sock)
        self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _pump(self) -> None:
        while (item := self._queue.get()) is not None:
            with self._sending:
                sock = self._socket
                if sock is not None:
                    try:
                        self._send(sock, item)
                    except OSError:
                        self._break(sock)
            if item.slot is not None:
                self._free.put(item.slot)
        self._free.put(None)

    def _send(self, sock: socket, item: Item) -> None:
        if item.kind is not Kind.DATA or item.slot is None:
            send_note(sock, item.kind, item.note.encode(errors="replace")[:NOTE_BYTES], item.epoch, item.frame)
            return
        self._sent[item.frame] = time.perf_counter()
        header = Header(Kind.DATA, item.epoch, 0, item.frame, len(self.layout.table), self.layout.nbytes)
        send(sock, header, self.layout.table, item.slot.payload)

    def _acknowledge(self, sock: socket) -> None:
        with sock:
            try:
                while (header := receive_header(sock)).kind is Kind.ACK:
                    now = time.perf_counter()
                    begin = self._sent.pop(header.frame, now)
                    self.transfers.append((header.frame, max(now - begin - self._way_back_s, 0.0)))
            except (OSError, ProtocolError):
                pass
            self._break(sock)

    def _break(self, sock: socket) -> None:
        with self._lock:
            if self._socket is sock:
                self._socket = None
                self.broken = True
        hang_up(sock)


def _ping(sock: socket, name: str, end_s: float) -> float:
    """Seconds of an empty round trip, which has to be over by ``end_s``."""
    begin = time.monotonic()
    send_note(sock, Kind.PING)
    header = receive_header(sock, end_s)
    if header.kind is not Kind.PONG:
        raise ProtocolError(f"{name} does not answer a ping")
    return time.monotonic() - begin
