"""The two ends of a link: an outlet sends messages from a ring of buffers, an inlet receives them into one.

    stage thread                sender thread             receiver thread               stage thread
    outlet.acquire() ─slot─▶ outlet.give(…) ─queue─▶ socket ───────▶ inlet ring ─queue─▶ inlet.head()
          ▲                        │                    ◀── ACK ──      ▲                     │
          └────── free slots ◀─────┘                                    └──── drop() ◀────────┘

Rings hold ``SLOTS`` buffers: while one is computed on, the next one fills. A full ring stops reading, TCP stops
the sender, and so the pressure walks back to the source. Each message holds a slot, a failed frame's too, so
queues never grow beyond the ring.
"""

from typing import NamedTuple

from edgekit.runtime.frames import EVERY_FRAME, Kind, Layout

__all__ = ["SLOTS", "Item", "Slot"]

SLOTS = 2
"""Buffers at each end of a link."""


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
