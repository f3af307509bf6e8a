"""Bounds for latency and period together: what a label can still reach is held against the known front in every range of periods.

latency                      known plans are the stairs; a label can end nowhere below its corners, one for
  │ ●                        each range of periods: no quicker than the quickest way on whose stages all
  │ ┗━━●   ┌ corner          keep within the range. A label whose corners all lie behind the stairs is done.
  │    ┗━━━┿━━●
  └──────────────── period   (bound sets, Ehrgott and Gandibleux 2007)
"""

import numpy as np
from numpy.typing import NDArray

from partitioner.tables import Floats, Tables

__all__ = ["Corners"]

MOST_RANGES = 24


class Corners:
    """The quickest ways on from every state under ever longer periods.

    Args:
        known: [n, 2], latency and period of attainable plans, none of which another beats.
    """

    def __init__(self, tables: Tables, known: Floats):
        ordered = known[np.argsort(known[:, 1])]
        self._periods, self._latencies = ordered[:, 1], ordered[:, 0]
        at = np.unique(np.linspace(0, len(ordered) - 1, min(MOST_RANGES, len(ordered))).astype(int))
        self._most = np.append(self._periods[at], np.inf)
        self._known_s = self._latency_within(np.concatenate([[-np.inf], self._most[:-1]]))
        self.to_go, self.onwards = _quickest(tables, self._most)

    def behind(self, latency: Floats, period: Floats, ways: Floats) -> NDArray[np.bool_]:
        """Whether all corners of labels lie behind the known front; ``ways`` [T] are the quickest on from where they are."""
        totals = latency[:, None] + ways[None, :]
        better = totals < np.minimum(self._known_s[None, :], self._latency_within(period)[:, None])
        open_ = np.logical_and(better, self._most[None, :] >= period[:, None])
        done: NDArray[np.bool_] = np.logical_not(np.any(open_, axis=1))
        return done

    def _latency_within(self, period: Floats) -> Floats:
        """The least latency known of a plan whose period is no longer."""
        at = np.searchsorted(self._periods, period, side="right") - 1
        found: Floats = np.where(at >= 0, self._latencies[np.maximum(at, 0)], np.inf)
        return found


def _quickest(tables: Tables, most: Floats) -> tuple[Floats, Floats]:
    """[P, E + 1, T] each: least latency from a stage that begins at a position to the end, and from one that ends there, in ``most``."""
    last, client = len(tables.positions) - 1, len(tables.executors)
    seconds = np.minimum.reduce([c.seconds for c in tables.channels])
    carried = np.minimum.reduce([c.link_load_s for c in tables.channels])
    seconds = np.where(tables.follows[None], seconds, np.inf)
    to_go = np.full((last + 1, client + 1, len(most)), np.inf)
    onwards = np.full_like(to_go, np.inf)
    to_go[last, client] = 0.0

    def sent(position: int) -> Floats:
        allowed = np.where(carried[position][:, :, None] <= most, seconds[position][:, :, None], np.inf)
        quickest: Floats = (allowed + to_go[position][None]).min(axis=1)
        return quickest

    loads = [np.maximum.reduce(who.load_s) for who in tables.executors]
    onwards[last] = sent(last)
    for position in range(last - 1, -1, -1):
        for executor, who in enumerate(tables.executors):
            row = slice(position + 1, None)
            allowed = np.where(loads[executor][position, row, None] <= most, who.latency_s[position, row, None], np.inf)
            to_go[position, executor] = (allowed + onwards[row, executor]).min(axis=0)
        onwards[position] = sent(position)
    return to_go, onwards
