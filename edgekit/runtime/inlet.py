"""The receiving end of a link: a thread that fills a ring of buffers from a socket."""

import contextlib
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from socket import socket

from edgekit.errors import ProtocolError
from edgekit.runtime.frames import EVERY_FRAME, Header, Kind, Layout
from edgekit.runtime.link import SLOTS, Item, Slot
from edgekit.runtime.sockets import hang_up
from edgekit.runtime.wire import receive_header, receive_into, receive_note, send_note

__all__ = ["Inlet"]


class Inlet:
    """Receives the messages of one link, in order; ``tell`` is told, on its thread, when the link is lost and why."""

    def __init__(self, layout: Layout, name: str, tell: Callable[[str], None] = lambda why: None):
        self.layout = layout
        self.name = name
        self._tell = tell
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

    def interrupt(self, why: str) -> None:
        """Let whoever waits for the head, or comes to it, find that all is lost."""
        self._filled.put(Item(Kind.FAIL, 0, EVERY_FRAME, note=why))

    def close(self) -> None:
        """Hang up; whoever waits learns that the link is lost."""
        sock = self._socket
        if sock is not None:
            hang_up(sock)
        self._free.put(None)
        if self._thread is not None:
            self._thread.join()

    def _receive(self, sock: socket, returning: bool) -> None:
        epoch, ended, why = 0, True, f"lost {self.name}: its connection ended"
        with sock:
            try:
                while (item := self._next(sock)) is not None:
                    epoch, ended = item.epoch, item.kind is Kind.END
                    if item.lost:  # nothing more will come: its sender waits for us to hang up
                        why = item.note
                        break
                    self._filled.put(item)
            except (OSError, ProtocolError) as error:
                why = f"lost {self.name}: {error}"
        if not returning:
            self._filled.put(Item(Kind.FAIL, epoch, EVERY_FRAME, note=why))
            self._tell(why)
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
