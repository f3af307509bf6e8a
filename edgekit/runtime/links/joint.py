"""All inlets, or all outlets, of one end of a plan: joins the messages of a frame and deals them out in turn.

A neighbour served by r replicas has r links, and frame i travels on link i mod r. So the order of frames needs no
negotiation: an end that waits for frame i knows on which link of each neighbour it will come.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.runtime.links.frames import Kind, Layout
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.link import Item, Slot
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.verbs import End, Port, end_name

__all__ = ["Inlets", "Outlets", "Turn"]

POLL_S = 0.002


class Turn(NamedTuple):
    """One frame at one end: its tensors by name (DATA), why there are none (FAIL), or that no more come (END)."""

    kind: Kind
    epoch: int
    arrays: Mapping[str, NDArray[np.generic]]
    note: str = ""
    lost: bool = False


class Inlets:
    """The receiving side of one end; ``tell`` is told when a link is lost."""

    def __init__(self, ports: tuple[Port, ...], tell: Callable[[str], None] = lambda why: None):
        self.links: dict[tuple[End, int], Inlet] = {
            (port.end, replica): Inlet(Layout(port.tensors), end_name(port.end), tell=tell, returning=port.end == "client")
            for port in ports
            for replica in range(port.replicas)
        }
        self._ports = ports
        self._due: list[Inlet] = []
        self._ended = self._epoch = -1

    def take(self, frame: int, epoch: int | None = None, timeout_s: float | None = None) -> Turn:
        """Wait for ``frame`` from every neighbour; ``done`` must follow when its arrays are no longer needed.

        ``epoch``: the stream that it belongs to; None: whichever comes next. Messages of earlier streams, left behind
        by a client that went away or on links whose turn did not come, are dropped on the way, and so are those of earlier
        frames, for which nobody waits any more.

        Raises:
            TimeoutError: a neighbour sent nothing in time.
        """
        self._due = [self.links[port.end, frame % port.replicas] for port in self._ports]
        while True:
            heads = [inlet.head(timeout_s) for inlet in self._due]
            if lost := next((item for item in heads if item.lost), None):
                return Turn(Kind.FAIL, lost.epoch if epoch is None else epoch, {}, lost.note, lost=True)
            newest = max(item.epoch for item in heads)
            if epoch is not None and newest > epoch:
                return self._end(epoch)
            stale = [inlet for inlet, item in zip(self._due, heads, strict=True) if self._stale(item, frame, newest, epoch)]
            if not stale:
                break
            for inlet in stale:
                inlet.drop()
        if newest != self._epoch:
            self._epoch = newest
            for inlet in self.links.values():
                inlet.discard(newest)
        return self._turn(frame, newest, heads)

    def _stale(self, item: Item, frame: int, newest: int, current: int | None) -> bool:
        if item.epoch < newest or (item.epoch == self._ended if current is None else item.epoch < current):
            return True
        return item.frame < frame and item.kind is not Kind.END

    def _turn(self, frame: int, epoch: int, heads: list[Item]) -> Turn:
        if any(item.kind is Kind.END for item in heads):
            self.done()
            return self._end(epoch)
        wrong = [item.frame for item in heads if item.frame != frame]
        if wrong:
            return Turn(Kind.FAIL, epoch, {}, f"expected frame {frame}, got {wrong[0]}", lost=True)
        notes = [item.note for item in heads if item.kind is Kind.FAIL]
        if notes:
            self.done()
            return Turn(Kind.FAIL, epoch, {}, notes[0])
        return Turn(Kind.DATA, epoch, {name: view for item in heads if item.slot for name, view in item.slot.views.items()})

    def _end(self, epoch: int) -> Turn:
        self._ended = epoch
        return Turn(Kind.END, epoch, {})

    @property
    def come(self) -> int:
        """Messages that have come, over all links."""
        return sum(link.come for link in self.links.values())

    def done(self) -> None:
        """Give the buffers of the last turn back to their links."""
        for inlet in self._due:
            inlet.drop()
        self._due = []

    def interrupt(self, why: str) -> None:
        """Have ``take`` find that all is lost, once it has given what came before."""
        for inlet in self.links.values():
            inlet.interrupt(why)

    def close(self) -> None:
        """Hang up every link."""
        for inlet in self.links.values():
            inlet.close()


class Outlets:
    """The sending side of one end; ``tell`` is told when a link is lost that is not a client's, for those come and go."""

    def __init__(self, ports: tuple[Port, ...], tell: Callable[[str], None] = lambda why: None):
        self.links: dict[tuple[End, int], Outlet] = {
            (port.end, replica): Outlet(Layout(port.tensors), end_name(port.end), *([] if port.end == "client" else [tell]))
            for port in ports
            for replica in range(port.replicas)
        }
        self._ports = ports

    def acquire(self, frame: int) -> list[Slot]:
        """A free buffer for ``frame`` towards each neighbour."""
        return [outlet.acquire() for outlet in self._due(frame)]

    def give(self, epoch: int, frame: int, slots: list[Slot]) -> None:
        """Send the buffers that ``acquire`` lent."""
        for outlet, slot in zip(self._due(frame), slots, strict=True):
            outlet.give(epoch, frame, slot)

    def fail(self, epoch: int, frame: int, note: str, slots: list[Slot]) -> None:
        """Tell those who wait for ``frame`` that it failed; the slots are those that ``acquire`` lent."""
        for outlet, slot in zip(self._due(frame), slots, strict=True):
            outlet.fail(epoch, frame, note, slot)

    def lose(self, epoch: int, note: str) -> None:
        """Tell everyone that no frame will come any more."""
        for outlet in self.links.values():
            outlet.lose(epoch, note)

    def leave(self, epoch: int, note: str, within_s: float) -> None:
        """Tell everyone that no frame will come any more, let them hang up, and close."""
        self.lose(epoch, note)
        end_s = time.monotonic() + within_s
        while any(outlet.connected for outlet in self.links.values()) and time.monotonic() < end_s:
            time.sleep(POLL_S)
        for outlet in self.links.values():
            outlet.abort()

    def end(self, epoch: int) -> None:
        """Tell everyone that the stream is complete."""
        for outlet in self.links.values():
            outlet.end(epoch)

    def _due(self, frame: int) -> Iterator[Outlet]:
        return (self.links[port.end, frame % port.replicas] for port in self._ports)
