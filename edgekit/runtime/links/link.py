"""A link without its connection: what is given is numbered, held until it has come, and sent again where a connection was lost.

    stage thread                 sender                          receiver                   stage thread
    outlet.acquire() ─slot─▶ outlet.give(…) ─ 1 2 3 4 ──▶  inlet's ring of slots ─▶ inlet.head()
          ▲                        │         ◀── ACK 2, room to 5 ──   ▲                     │
          └── slots up to 2 ◀──────┘                                   └──── drop() ◀────────┘

An acknowledgement says up to which message all have come, and up to which there is room. Nothing is sent for which there is no
room; so the receiver always reads, a sign of life never waits behind data, and a full ring walks back to the source.
"""

from collections import deque
from typing import NamedTuple

from msgspec import Struct

from edgekit.errors import ProtocolError
from edgekit.runtime.links.frames import EVERY_FRAME, Kind, Layout

__all__ = ["Item", "Receiving", "Sending", "Slot", "Standing"]


class Slot:
    """A buffer for one message, as it goes over a connection, with its tensors as arrays in place."""

    def __init__(self, layout: Layout):
        message = layout.message()
        self.message = message.data
        self.table = self.message[: len(layout.table)]
        self.views = layout.views(message[len(layout.table) :])


class Item(Struct, frozen=True):
    """A message in its slot: DATA, FAIL with the reason, or END of the stream. News of the link itself has no slot."""

    kind: Kind
    epoch: int
    frame: int
    slot: Slot | None = None
    note: str = ""

    @property
    def lost(self) -> bool:
        """Whether nothing will come any more."""
        return self.frame == EVERY_FRAME and self.kind is Kind.FAIL


class Standing(NamedTuple):
    """How far a receiving end is: the last message that has come, and the last one that there is room for."""

    come: int = 0
    room: int = 0


class Sending:
    """The sending end: messages that are given, sent, and come, in this order.

    >>> link = Sending()
    >>> for frame in range(3):
    ...     link.give(Item(Kind.DATA, 1, frame))
    >>> link.acknowledge(Standing(0, 2))
    []
    >>> [number for number, item in iter(link.next, None)]
    [1, 2]
    >>> [item.frame for item in link.acknowledge(Standing(1, 3))], link.next()[0]
    ([0], 3)
    """

    def __init__(self) -> None:
        self._sent = self._come = self._room = 0
        self._held: deque[Item] = deque()

    def give(self, item: Item) -> None:
        """Hold a message; its number is one more than that of the last. Another thread may do so while this one sends."""
        self._held.append(item)

    def next(self) -> tuple[int, Item] | None:
        """The message that is to be sent now, with its number."""
        if self.waits:
            return None
        self._sent += 1
        return self._sent, self._held[self._sent - self._come - 1]

    @property
    def waits(self) -> bool:
        """Whether there is none."""
        return self._sent >= self._room or self._sent - self._come >= len(self._held)

    @property
    def credits(self) -> int:
        """Messages for which there is room, and that have not been sent."""
        return max(self._room - self._sent, 0)

    def acknowledge(self, there: Standing) -> list[Item]:
        """How far the receiver is: those that need no longer be held.

        Raises:
            ProtocolError: that was never sent, or was taken back.
        """
        come, room = there
        if not self._come <= come <= self._sent or room < self._room:
            raise ProtocolError(f"{come} of {self._sent} messages are acknowledged, with room to {room}; the link is damaged")
        self._room = room
        done = [self._held.popleft() for _ in range(come - self._come)]
        self._come = come
        return done

    def resume(self, there: Standing) -> list[Item]:
        """As ``acknowledge``, on another connection: what is held goes out again."""
        done = self.acknowledge(there)
        self._sent = self._come
        return done

    def clear(self) -> list[Item]:
        """Forget all that is held."""
        done, self._held = list(self._held), deque()
        self._sent = self._come = self._room = 0
        return done


class Receiving:
    """The receiving end: messages in their order, as far as there is room.

    >>> link = Receiving(room=1)
    >>> link.expect(1)
    >>> link.standing
    Standing(come=0, room=1)
    >>> link.take()
    >>> link.expect(2)
    Traceback (most recent call last):
    edgekit.errors.ProtocolError: message 2 came, expected 2 at most 1; the link is damaged
    """

    def __init__(self, room: int):
        self.come, self.room = 0, room

    @property
    def standing(self) -> Standing:
        """How far it is."""
        return Standing(self.come, self.room)

    def expect(self, number: int) -> None:
        """A message begins to come.

        Raises:
            ProtocolError: another one is due, or there is no room for it.
        """
        if number != self.come + 1 or number > self.room:
            raise ProtocolError(f"message {number} came, expected {self.come + 1} at most {self.room}; the link is damaged")

    def take(self) -> None:
        """It has come, whole."""
        self.come += 1

    def free(self) -> None:
        """There is room for one more."""
        self.room += 1
