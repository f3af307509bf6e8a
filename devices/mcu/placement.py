"""Where buffers and scratch lie in the arena: as low as can be, with a proof of how low that is.

Two things that are alive together lie one above the other, by one of two difference constraints:

    a below b:    x_b - x_a >= above            the size of a; for an output a below its input b, the distance of the operator
    b below a:    x_a - x_b >= below            the size of b

A chain of overlaps is a chain of such constraints, and the whole a disjunctive problem as in the scheduling of shops (Balas 1969): pick
one of the two for each pair. For one height of the arena the search keeps the lowest and highest place of each thing, takes what only
one choice leaves possible, and branches where the lowest places collide, at the largest pair first. Heights are bisected between
what is proven impossible and what was found.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from devices.mcu.dataflow import ALIGNMENT, aligned

__all__ = ["Item", "Pair", "Placement", "place"]


class Item(NamedTuple):
    """Something that lies in the arena from the position ``first`` to ``last``."""

    nbytes: int
    first: int
    last: int


class Pair(NamedTuple):
    """Two items that are alive together, told by index, with the least offsets of one over the other."""

    a: int
    b: int
    above: int
    below: int


class Placement(NamedTuple):
    """The offset of each item, the highest byte plus 1, and what no placement goes below."""

    offsets: tuple[int, ...]
    nbytes: int
    least: int


class _Search(NamedTuple):
    """The lowest and highest offset of each item, and of each pair 0 (open), 1 (a below b) or 2."""

    low: list[int]
    high: list[int]
    chosen: bytearray


Neighbours = list[list[tuple[int, int, int, int, int]]]
"""For each item: pair, other item, least offset of the other over this one and of this over the other, what ``chosen`` says for it."""


def place(items: list[Item], overlaps: dict[tuple[int, int], int], least: int, *, nodes: int = 4000, below: int | None = None) -> Placement:
    """The lowest placement; ``overlaps`` tells of (input, output) the distance, ``least`` is a lower bound that is known.

    Exact where ``nbytes == least``; else it took more than ``nodes`` branches at some height of the arena. Where ``below`` is given,
    only heights below it are looked at; ``nbytes`` is ``below`` and there are no offsets where nothing was found.
    """
    pairs = _pairs(items, overlaps)
    neighbours = _neighbours(len(items), pairs)
    best = min((_stacked(items, neighbours, order) for order in _orders(items)), key=lambda offsets: _top(items, offsets))
    most = _top(items, best)
    if below is not None and below <= most:
        best, most = [], below
    proven, height, tried = least, least, least
    while tried < most:
        found, complete = _fit(items, pairs, neighbours, height, nodes)
        if found is not None:
            best, most = found, _top(items, found)
        else:
            tried = height + 1
            proven = tried if complete else proven
        height = (tried + most - 1) // 2
    return Placement(tuple(best), most, min(proven, most))


def _top(items: list[Item], offsets: list[int]) -> int:
    return max((offset + item.nbytes for item, offset in zip(items, offsets, strict=True)), default=0)


def _pairs(items: list[Item], overlaps: dict[tuple[int, int], int]) -> list[Pair]:
    """Every two items that are alive together, those first that lift most."""
    found = []
    for i, one in enumerate(items):
        for j in range(i):
            if one.first <= items[j].last and items[j].first <= one.last:
                a, b = (i, j) if (j, i) in overlaps else (j, i)
                apart = overlaps.get((b, a), items[a].nbytes)
                found.append(Pair(a, b, aligned(apart), aligned(items[b].nbytes)))
    return sorted(found, key=lambda pair: -min(pair.above, pair.below))


def _neighbours(count: int, pairs: list[Pair]) -> Neighbours:
    found: Neighbours = [[] for _ in range(count)]
    for index, (a, b, above, below) in enumerate(pairs):
        found[a].append((index, b, above, below, 1))
        found[b].append((index, a, below, above, 2))
    return found


def _orders(items: list[Item]) -> Iterator[list[int]]:
    """Orders in which to stack: the largest first, as they come, the last first, those that live longest first."""
    indices = range(len(items))
    yield sorted(indices, key=lambda i: (-items[i].nbytes, items[i].first))
    yield sorted(indices, key=lambda i: (items[i].first, -items[i].nbytes))
    yield sorted(indices, key=lambda i: (-items[i].last, -items[i].nbytes))
    yield sorted(indices, key=lambda i: (items[i].first - items[i].last, -items[i].nbytes))


def _stacked(items: list[Item], neighbours: Neighbours, order: list[int]) -> list[int]:
    """Each item in turn at the lowest offset that those before leave free."""
    offsets: list[int] = [-1] * len(items)
    for item in order:
        taken = sorted(
            (offsets[other] - under, offsets[other] + over) for _, other, under, over, _ in neighbours[item] if offsets[other] >= 0
        )
        offset = 0
        for begin, stop in taken:
            if begin < offset < stop:
                offset = stop
        offsets[item] = offset
    return offsets


def _fit(items: list[Item], pairs: list[Pair], neighbours: Neighbours, height: int, nodes: int) -> tuple[list[int] | None, bool]:
    """Offsets within a height, or None; and whether None is proven."""
    high = [(height - item.nbytes) // ALIGNMENT * ALIGNMENT for item in items]
    if min(high, default=0) < 0:
        return None, True
    root = _Search([0] * len(items), high, bytearray(len(pairs)))
    stack = [root] if _settled(root, neighbours, range(len(items))) else []
    while stack and nodes:
        search = stack.pop()
        index = _collision(search, pairs)
        if index is None:
            return search.low, True
        stack += _branches(search, pairs[index], index, neighbours)
        nodes -= 1
    return None, not stack


def _collision(search: _Search, pairs: list[Pair]) -> int | None:
    """The first open pair that collides where all lie as low as they may."""
    low, chosen = search.low, search.chosen
    for index, (a, b, above, below) in enumerate(pairs):
        if not chosen[index] and low[a] - below < low[b] < low[a] + above:
            return index
    return None


def _branches(search: _Search, pair: Pair, index: int, neighbours: Neighbours) -> list[_Search]:
    """Both choices that are possible, the one that lifts less last."""
    a, b, above, below = pair
    lifts = sorted([(search.low[a] + above - search.low[b], 1), (search.low[b] + below - search.low[a], 2)], reverse=True)
    found = []
    for _, choice in lifts:
        branch = _Search(search.low.copy(), search.high.copy(), bytearray(search.chosen))
        branch.chosen[index] = choice
        if _settled(branch, neighbours, (a, b)):
            found.append(branch)
    return found


def _settled(search: _Search, neighbours: Neighbours, changed: range | tuple[int, ...]) -> bool:
    """Take every choice that is the only one left, and lift and lower what it moves; False where nothing is left."""
    low, high, chosen = search
    queue = deque(changed)
    while queue:
        item = queue.popleft()
        for index, other, over, under, choice in neighbours[item]:
            state = chosen[index]
            if not state:
                below, above = low[item] + over <= high[other], low[other] + under <= high[item]
                if below and above:
                    continue
                if not below and not above:
                    return False
                state = chosen[index] = choice if below else 3 - choice
            lower, upper, apart = (item, other, over) if state == choice else (other, item, under)
            if low[lower] + apart > low[upper]:
                low[upper] = low[lower] + apart
                queue.append(upper)
            if high[upper] - apart < high[lower]:
                high[lower] = high[upper] - apart
                queue.append(lower)
            if low[upper] > high[upper] or low[lower] > high[lower]:
                return False
    return True
