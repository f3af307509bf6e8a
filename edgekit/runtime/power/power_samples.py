"""Reads a meter again and again for a while.

values   o----o----o----x----o----o         x: a rail did not answer
         |    interval_s             |
      begin_s                      end_s
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from edgekit.runtime.power.meter import Meter

__all__ = ["Record", "Sample", "record"]


class Sample(NamedTuple):
    """The counted rails of a meter at one moment of a monotonic clock."""

    at_s: float
    values: tuple[float, ...]


class Record(NamedTuple):
    """What was read between two moments; ``missed`` readings lacked a rail."""

    begin_s: float
    end_s: float
    samples: tuple[Sample, ...]
    missed: int = 0

    @property
    def window_s(self) -> float:
        """From the begin of the first reading to the end of the last."""
        return self.end_s - self.begin_s


def record(
    meter: Meter,
    seconds: float,
    *,
    interval_s: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    busy: Callable[[], bool] = lambda: True,
) -> Record:
    """Readings every ``interval_s``, or one after the other where a reading takes longer than that.

    Arguments:
        seconds: after which the last reading begins.
        busy: asked after every reading; ends the record at once when it says no.
    """
    begin_s, samples, missed = clock(), [], 0
    while True:
        before_s = clock()
        values = meter.values()
        after_s = clock()
        if values is None:
            missed += 1
        else:  # nobody knows when in between a slow meter looked
            samples.append(Sample((before_s + after_s) / 2, values))
        left_s = begin_s + seconds - after_s
        if left_s <= 0 or not busy():
            return Record(begin_s, after_s, tuple(samples), missed)
        sleep(min(max(0.0, before_s + interval_s - after_s), left_s))
