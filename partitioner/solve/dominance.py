"""Which points no other point beats: the one screen behind every front."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.front import cost_of, value
from edgekit.objectives import Objective
from edgekit.plan import Plan

__all__ = ["front", "parted"]

_BLOCK = 256

_SCOUTS = 24
"""Rows that are low all round, against which all others are held first: most are beaten by one of them."""


def front(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices, ascending, of the rows of ``points`` [n, m] that no other row dominates; smaller is better.

    A row is dominated by another that is nowhere larger and somewhere smaller. Of equal rows the first stays.
    Comparisons are exact, so ties are decided as they stand.

    >>> front(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [1.0, 3.0]])).tolist()
    [0, 1]
    """
    if len(points) == 0:
        return np.empty(0, np.intp)
    points = points[:, (points != points[0]).any(axis=0)]  # a column of one value distinguishes nothing
    if points.shape[1] == 0:
        return np.zeros(1, np.intp)
    order = np.lexsort(points.T[::-1])  # stable; whatever dominates a row, or equals it and came first, now stands before it
    ordered = points[order]
    if points.shape[1] == 1:
        return order[:1]
    keep = _sweep(ordered[:, 1]) if points.shape[1] == 2 else _blocks(ordered[:, 1:])
    kept: NDArray[np.intp] = np.sort(order[keep])
    return kept


def _sweep(second: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows sorted by their first column stay where the second falls below all before it."""
    lowest = np.minimum.accumulate(second)
    keep = np.ones(len(second), bool)
    keep[1:] = second[1:] < lowest[:-1]
    return np.flatnonzero(keep)


def _blocks(rest: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows sorted by a first column that is left out here: each stays unless a row before it is nowhere larger.

    Blocks are screened against what has stayed so far, then within themselves.
    """
    kept = np.empty(0, np.intp)
    stayed = rest[:0]
    open_ = np.arange(len(rest)) if len(rest) <= _BLOCK else _unscouted(rest)
    for start in range(0, len(open_), _BLOCK):
        block = open_[start : start + _BLOCK]
        block = block[~_covered(rest[block], stayed).any(axis=1)]
        within = np.tril(_covered(rest[block], rest[block]), -1)
        block = block[~within.any(axis=1)]
        kept = np.concatenate([kept, block])
        stayed = rest[kept]
    return kept


def _unscouted(rest: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that none of the scouts before them covers."""
    low, high = rest.min(axis=0), rest.max(axis=0)
    heights = ((rest - low) / np.where(high > low, high - low, 1.0)).sum(axis=1) + np.linspace(0.0, 1.0, len(rest))
    scouts = np.argpartition(heights, _SCOUTS)[:_SCOUTS]
    covered = np.zeros(len(rest), bool)
    for scout in scouts:
        covered[scout + 1 :] |= (rest[scout] <= rest[scout + 1 :]).all(axis=1)
    return np.flatnonzero(~covered)


def _covered(rows: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[rows, by]: whether each of ``by`` is nowhere larger than each of ``rows``."""
    covered = np.ones((len(rows), len(by)), bool)
    for column in range(rows.shape[1]):
        covered &= by[None, :, column] <= rows[:, None, column]
    return covered


def parted(plans: Sequence[Plan], objectives: Sequence[Objective]) -> tuple[list[Plan], list[Plan]]:
    """The plans that none dominates, sorted, and the others; of equal ones the first stays."""
    points = np.array([[value(cost_of(plan), objective) for objective in objectives] for plan in plans])
    kept = sorted(front(points).tolist(), key=lambda i: points[i].tolist())
    others = set(range(len(plans))).difference(kept)
    return [plans[i] for i in kept], [plans[i] for i in sorted(others)]
