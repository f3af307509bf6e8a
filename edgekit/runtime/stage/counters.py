"""What a stage counts while it serves: plain numbers, each written by one thread alone, so that no frame waits for a lock.

A stage has several links one after the other to the same neighbour where one is lost; they share one tally.
"""

import time
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

from edgekit.codec import codec_of
from edgekit.runtime.links.ends import End
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.stage.status_records import Distribution, Passage

__all__ = ["BOUNDS_S", "HISTORY", "Histogram", "LinkTally", "Tally", "bytes_by_codec"]

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HISTORY = 4096
"""Frames, and transfers of each link, that are remembered."""


class Histogram:
    """Times, sorted into buckets.

    >>> times = Histogram()
    >>> for seconds in (0.0001, 0.001, 20.0):
    ...     times.add(seconds)
    >>> times.told().counts[:3], times.told().counts[-1], times.told().count
    ((1, 1, 0), 1, 3)
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def told(self) -> Distribution:
        """As it is now."""
        return Distribution(BOUNDS_S, tuple(self._counts), self.sum_s)


@dataclass
class LinkTally:
    """What has gone over the links to one neighbour. ``began`` counts links, ``resumed`` connections in the place of a lost one."""

    began: int = 0
    resumed: int = 0
    messages: int = 0
    resent: int = 0
    seconds: Histogram = field(default_factory=Histogram)


@dataclass
class Tally:
    """What a stage has done since it was loaded; passages are (epoch, frame, begin, end) in monotonic seconds.

    ``computing`` is the frame that it computes, and since when.
    """

    frames: int = 0
    failed: int = 0
    passages: deque[Passage] = field(default_factory=lambda: deque(maxlen=HISTORY))
    seconds: Histogram = field(default_factory=Histogram)
    inlets: dict[tuple[End, int], LinkTally] = field(default_factory=dict)
    outlets: dict[tuple[End, int], LinkTally] = field(default_factory=dict)
    computing: tuple[int, float] | None = None

    def begin(self, frame: int) -> float:
        """A frame is begun; the time."""
        begin_s = time.monotonic()
        self.computing = frame, begin_s
        return begin_s

    def fail(self) -> None:
        """It cannot be computed."""
        self.failed += 1
        self.computing = None

    def done(self, epoch: int, frame: int, begin_s: float, *, board: tuple[float, float] | None = None) -> None:
        """It has been computed, by a microcontroller from when to when."""
        end_s = time.monotonic()
        self.computing = None
        self.frames += 1
        self.seconds.add(end_s - begin_s)
        self.passages.append(Passage(epoch, frame, begin_s, end_s, board))

    def busy_s(self, now_s: float) -> float:
        """How long frames have been computed, with the one that is being computed."""
        computing = self.computing
        return self.seconds.sum_s + (max(now_s - computing[1], 0.0) if computing is not None else 0.0)


def bytes_by_codec(layout: Layout, messages: int) -> dict[str, int]:
    """The bytes of so many messages, by how their tensors are written."""
    found: dict[str, int] = {}
    for tensor in layout.tensors:
        codec = codec_of(tensor.name)
        found[codec] = found.get(codec, 0) + messages * tensor.nbytes
    return found
