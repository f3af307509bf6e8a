"""The sending end of a link: a thread that empties a ring of buffers into a socket, and one that reads what is acknowledged."""

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from socket import socket

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime import wire
from edgekit.runtime.frames import EVERY_FRAME, Header, Kind, Layout
from edgekit.runtime.link import SLOTS, Item, Slot
from edgekit.runtime.sockets import hang_up
from edgekit.runtime.wire import receive_header, send, send_note

__all__ = ["Outlet"]

HISTORY = 4096
"""Transfer times that an outlet remembers."""

PINGS = 3
NOTE_BYTES = 4096


class Outlet:
    """Sends the messages of one link, in order; without a peer, or after it is lost, it discards them.

    ``tell`` is told when a peer is lost, on whichever thread finds out.
    """

    def __init__(self, layout: Layout, name: str, tell: Callable[[str], None] = lambda why: None):
        self.layout = layout
        self.name = name
        self._tell = tell
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
            mine = self._socket is sock
            if mine:
                self._socket = None
                self.broken = True
        hang_up(sock)
        if mine:
            self._tell(f"lost {self.name}: its connection ended")


def _ping(sock: socket, name: str, end_s: float) -> float:
    """Seconds of an empty round trip, which has to be over by ``end_s``."""
    begin = time.monotonic()
    send_note(sock, Kind.PING)
    header = receive_header(sock, end_s)
    if header.kind is not Kind.PONG:
        raise ProtocolError(f"{name} does not answer a ping")
    return time.monotonic() - begin
