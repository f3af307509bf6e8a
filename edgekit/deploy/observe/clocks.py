"""How far the clock of a device is from ours, from pings over the connection to its agent, and how well that is known.

ours      sent_s ──────────┐           ┌──▶ came_s
theirs                     └▶ now_s ───┘         offset = now - (sent + came) / 2, wrong by (came - sent) / 2 at most

Of several pings the one that was quickest counts. A clock that drifts is asked again and again; in between, its offset is drawn
as a straight line. The clocks are monotonic ones, so nobody sets them.
"""

import time
from bisect import bisect
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["AGAIN_S", "Estimate", "estimate", "ours_s"]

PINGS = 8

AGAIN_S = 30.0
"""Time after which a clock is asked again."""


class Estimate(NamedTuple):
    """At ``at_s`` of its own clock a device was ``offset_s`` ahead of ours, by ``within_s`` more or less at most."""

    at_s: float
    offset_s: float
    within_s: float


def estimate(ask: Callable[[], float], clock: Callable[[], float] = time.monotonic, pings: int = PINGS) -> Estimate:
    """Ask for the time over there.

    >>> here = iter((10.0, 10.4, 11.0, 11.2))
    >>> estimate(iter((110.3, 111.1)).__next__, here.__next__, pings=2)
    Estimate(at_s=111.1, offset_s=100.0, within_s=0.1)
    """
    found = []
    for _ in range(pings):
        sent_s = clock()
        now_s = ask()
        came_s = clock()
        found.append(Estimate(now_s, round(now_s - (sent_s + came_s) / 2, 9), round((came_s - sent_s) / 2, 9)))
    return min(found, key=lambda each: each.within_s)


def ours_s(estimates: Sequence[Estimate], theirs_s: float) -> float:
    """A time of a device by our clock; before the first estimate and after the last its clock is taken to go as ours does.

    >>> [ours_s([Estimate(110.0, 100.0, 0.1), Estimate(130.0, 102.0, 0.1)], theirs_s) for theirs_s in (105.0, 120.0, 140.0)]
    [5.0, 19.0, 38.0]
    """
    after = bisect([each.at_s for each in estimates], theirs_s)
    if after == 0 or after == len(estimates):
        return theirs_s - estimates[min(after, len(estimates) - 1)].offset_s
    one, other = estimates[after - 1], estimates[after]
    share = (theirs_s - one.at_s) / (other.at_s - one.at_s)
    return theirs_s - one.offset_s - share * (other.offset_s - one.offset_s)
