"""The receiving end of a link: a ring of buffers that fill from a connection, are computed on, and free again."""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from edgekit.errors import ProtocolError
from edgekit.ring import slots_of
from edgekit.runtime.links.frames import EVERY_FRAME, NOTHING, Header, Kind, Layout
from edgekit.runtime.links.link import Item, Receiving, Slot, Standing
from edgekit.runtime.links.link_end import LinkEnd

__all__ = ["Inlet"]

MOST_HELD_US = 2**32 - 1


class Inlet(LinkEnd):
    """Receives the messages of one link, in order; ``tell`` is told, on its thread, when the link is lost and why.

    ``returning``: the peer (a client) may end and come again; else its end is the end of all.
    """

    def __init__(self, layout: Layout, name: str, *, tell: Callable[[str], None] = lambda why: None, returning: bool = False):
        super().__init__(name)
        self.layout = layout
        self._tell = tell
        self._returning = returning
        slots = slots_of(layout.nbytes)
        self._many = slots // 2
        """Messages after which their sender is told at once."""
        self._free: SimpleQueue[Slot] = SimpleQueue()
        self._filled: SimpleQueue[Item] = SimpleQueue()
        self._lock = threading.Lock()
        """Held while there is as much room as there are free buffers, no more and no less."""
        self._head: Item | None = None
        self._state = Receiving(0)
        self._told = Standing()
        self._came_s = 0.0
        """When the last message had come, whole."""
        self._slot: Slot | None = None
        self._note: bytearray | None = None
        """What comes in the place of data."""
        self._epoch, self._ended, self._news = 0, True, ""
        for _ in range(slots):
            self._free.put(Slot(layout))

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
        if item.slot is None:
            if not item.lost:
                self._head = None
            return
        self._head = None
        with self._lock:
            self._free.put(item.slot)
            self._state.free()
        if self._overdue:
            self.wake()

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
        self._shut = True
        self.leave()

    @property
    def come(self) -> int:
        """Messages that have come."""
        return self._state.come

    @property
    def waiting(self) -> int:
        """Messages that have come and that nobody has looked at."""
        return self._filled.qsize()

    @property
    def fresh(self) -> bool:
        return self.linked and not self._state.come

    @property
    def _due(self) -> bool:
        """Whether the sender is to be told how far this end is."""
        return self._state.come != self._told[0] or self._overdue

    @property
    def _overdue(self) -> bool:
        """Whether it is, though more is coming at the moment."""
        come, room = self._told
        return self._state.come - come >= self._many or self._state.room - room >= self._many

    @property
    def idle(self) -> bool:
        return super().idle and not self._due

    def outgoing(self, resting: bool) -> tuple[Header, memoryview] | None:
        if (answer := super().outgoing(resting)) is not None:
            return answer
        if not (self._due if resting else self._overdue):
            return None
        self._told = self._state.standing
        held_us = int((time.monotonic() - self._came_s) * 1e6)
        return Header(Kind.ACK, min(held_us, MOST_HELD_US), self._told.come, self._told.room), NOTHING

    def incoming(self, header: Header) -> memoryview:
        if header.kind is Kind.DATA:
            self.layout.check(header)
            self._note = None
        elif header.kind in (Kind.FAIL, Kind.END):
            self._note = bytearray(header.payload_bytes)
        else:
            return super().incoming(header)
        self._state.expect(header.sequence)
        self._slot = self._free.get_nowait()
        return self._slot.message if self._note is None else memoryview(self._note)

    def arrived(self, header: Header) -> None:
        slot = self._slot
        if slot is None:
            super().arrived(header)
        elif self._note is not None:
            self._come(Item(header.kind, header.epoch, header.frame, slot, self._note.decode(errors="replace")))
        elif bytes(slot.table) != self.layout.table:
            raise ProtocolError(f"tensors other than {', '.join(self.layout.offsets)} came; the two ends run different plans")
        else:
            self.tally.messages += 1
            self._come(Item(header.kind, header.epoch, header.frame, slot))

    def _come(self, item: Item) -> None:
        """A message has come, whole."""
        self._slot = None
        self._state.take()
        self._came_s = time.monotonic()
        self._epoch, self._ended = item.epoch, item.kind is Kind.END
        if not item.lost:
            self._filled.put(item)
        elif item.slot is not None and self._line is not None:  # nothing more will come: its sender waits for us to hang up
            self._free.put(item.slot)
            self._news, self._left = item.note, True
            self._line.end()

    def _fresh(self) -> Standing:
        return Standing(0, self._free.qsize())

    def _begin(self) -> None:
        self._standing()
        self._ended, self._news = True, ""
        with self._lock:
            self._state, self._told = Receiving(self._free.qsize()), Standing()

    def _standing(self) -> Standing:
        if self._slot is not None:  # of a frame that did not come to its end
            self._free.put(self._slot)
            self._slot = None
        self._told = self._state.standing
        return self._told

    def _resume(self, there: Standing) -> None:
        self._standing()

    def _lost(self, why: str) -> None:
        self._standing()
        if not self._returning:
            self._filled.put(Item(Kind.FAIL, self._epoch, EVERY_FRAME, note=self._news or why))
            self._tell(self._news or why)
        elif not self._ended:
            self._ended = True
            self._filled.put(Item(Kind.END, self._epoch, 0))
