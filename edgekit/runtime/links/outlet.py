"""The sending end of a link: a ring of buffers that are lent, given, and free again once they have come."""

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from edgekit.errors import DeviceError, ProtocolError
from edgekit.ring import slots_of
from edgekit.runtime.links.frames import EVERY_FRAME, NOTHING, Header, Kind, Layout
from edgekit.runtime.links.link import Item, Sending, Slot, Standing
from edgekit.runtime.links.link_end import LinkEnd
from edgekit.runtime.stage.counters import HISTORY
from edgekit.runtime.stage.status_records import Passage

__all__ = ["Outlet"]

PINGS = 3
"""Empty round trips at the beginning of a connection, which tell how long an acknowledgement travels."""

NOTE_BYTES = 4096


class Outlet(LinkEnd):
    """Sends the messages of one link, in order; without a peer, or after it is lost, it discards them.

    ``tell`` is told when a peer is lost, on whichever thread finds out.
    """

    def __init__(self, layout: Layout, name: str, tell: Callable[[str], None] = lambda why: None):
        super().__init__(name)
        self.layout = layout
        self._tell = tell
        self.broken = False
        self.transfers: deque[Passage] = deque(maxlen=HISTORY)
        """Of each message from the first byte handed over until it had come, in this end's monotonic seconds."""
        self._free: SimpleQueue[Slot | None] = SimpleQueue()
        self._lock = threading.Lock()
        """Held while a message is given, and while a link begins or ends: what is given to none is free again at once."""
        self._state = Sending()
        self._open = False
        self._pings = 0
        self._sent: dict[int, float] = {}
        self._most = 0
        """The last message that has been sent, be it again or not."""
        self._way_back_s = 0.0
        for _ in range(slots_of(layout.nbytes)):
            self._free.put(Slot(layout))

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
        self._give(Item(Kind.DATA, epoch, frame, slot))

    def fail(self, epoch: int, frame: int, note: str, slot: Slot) -> None:
        """Tell the receiver that a frame has no data, instead of sending the buffer that ``acquire`` lent."""
        self._give(Item(Kind.FAIL, epoch, frame, slot, note))

    def lose(self, epoch: int, note: str) -> None:
        """Tell the receiver that nothing will come any more."""
        self._give(Item(Kind.FAIL, epoch, EVERY_FRAME, note=note))

    def end(self, epoch: int) -> None:
        """Tell the receiver that the stream is complete."""
        self._give(Item(Kind.END, epoch, 0))

    def abort(self) -> None:
        """Hang up now; what is held is discarded."""
        self._shut = True
        self._free.put(None)
        self.leave()

    @property
    def credits(self) -> int:
        """Messages that the receiver has room for and that have not been sent."""
        return self._state.credits

    @property
    def idle(self) -> bool:
        return super().idle and not self._pings and self._state.waits

    def outgoing(self, resting: bool) -> tuple[Header, memoryview] | None:
        if (answer := super().outgoing(resting)) is not None:
            return answer
        if self._pings:
            self._pings -= 1
            return Header(Kind.PING, frame=time.perf_counter_ns()), NOTHING
        found = self._state.next()
        if found is None:
            return None
        number, item = found
        if item.kind is not Kind.DATA or item.slot is None:
            note = item.note.encode(errors="replace")[:NOTE_BYTES]
            return Header(item.kind, item.epoch, number, item.frame, 0, len(note)), memoryview(note)
        self._sent[number] = time.monotonic()
        self.tally.messages += 1
        if number > self._most:
            self._most = number
        else:
            self.tally.resent += 1
        layout = self.layout
        return Header(Kind.DATA, item.epoch, number, item.frame, len(layout.table), layout.nbytes), item.slot.message

    def incoming(self, header: Header) -> memoryview:
        return NOTHING if header.kind is Kind.ACK and not header.payload_bytes else super().incoming(header)

    def arrived(self, header: Header) -> None:
        super().arrived(header)
        if header.kind is Kind.ACK:
            now_s = time.monotonic()
            done = self._state.acknowledge(Standing(header.sequence, header.frame))
            end_s = now_s - self._way_back_s - header.epoch * 1e-6
            for number, item in enumerate(done, header.sequence - len(done) + 1):
                begin_s = self._sent.pop(number, None)
                if begin_s is not None:
                    self._came(item, begin_s, max(begin_s, end_s))
            self._release(done)
        elif header.kind is Kind.PONG:
            trip_s = (time.perf_counter_ns() - header.frame) / 1e9
            if trip_s < 0:
                raise ProtocolError(f"{self.name} answers a ping that was not sent")
            self._way_back_s = min(self._way_back_s or trip_s, trip_s / 2)

    def _came(self, item: Item, begin_s: float, end_s: float) -> None:
        self.transfers.append(Passage(item.epoch, item.frame, begin_s, end_s))
        self.tally.seconds.add(end_s - begin_s)

    def _give(self, item: Item) -> None:
        with self._lock:
            linked = self._open
            if linked:
                self._state.give(item)
        if linked:
            self.wake()
        else:
            self._release([item])

    def _release(self, items: list[Item]) -> None:
        for item in items:
            if item.slot is not None and not self._shut:
                self._free.put(item.slot)

    def _begin(self) -> None:
        with self._lock:
            self._state, self._most = Sending(), 0
            self._open, self.broken = True, False

    def _resume(self, there: Standing) -> None:
        self._sent.clear()
        self._pings, self._way_back_s = PINGS, 0.0
        self._release(self._state.resume(there))

    def _lost(self, why: str) -> None:
        with self._lock:
            self._open = False
            done = self._state.clear()
        self._release(done)
        self.broken = True
        self._tell(why)
