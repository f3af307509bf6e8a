"""Programs whose operators follow one another: their lowest placement, by one pass over the operators for a height of the arena.

Operator k reads buffer k and writes buffer k + 1, beside its scratch. Nothing else is alive then, so that where buffer k may lie decides
where the next one may: a few ranges of offsets are all that has to be kept.

    y below x:  x - y >= apart     the scratch above both, below both, or between them
    y above x:  y - x >= size of x                    the same
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from devices.mcu.dataflow import ALIGNMENT, Dataflow, aligned
from devices.mcu.lifetimes import fullest
from devices.mcu.placement import Placement

__all__ = ["Chain", "chain_bytes", "chain_needs", "chain_of", "place_chain"]


class _Link(NamedTuple):
    """An operator: bytes of its input, output and scratch, and how far the output may lie over the input; None: not at all."""

    taken: int
    made: int
    scratch: int
    apart: int | None


PART = 4
"""Operators whose lowest placement is remembered, as segments of one network have most of them in common."""

Chain = tuple[_Link, ...]
Range = tuple[int, int]


class _Way(NamedTuple):
    """One way for input x and output y to lie: their ranges, and ``gap``: x - y at least, or y - x where ``up``; ``at`` tells of the
    scratch whether it lies "below", "above", "between" them, or "" where there is none."""

    x: Range
    y: Range
    up: bool
    gap: int
    at: str


def chain_of(flow: Dataflow) -> Chain | None:
    """The operators of a program as a chain; None where it is none, or its buffers are not counted in the order of the operators."""
    count = len(flow.output)
    straight = flow.inputs == tuple((each,) for each in range(count)) and flow.output == tuple(range(1, count + 1))
    if not count or not straight or flow.entries != {0} or flow.exits != {count}:
        return None
    return tuple(_Link(flow.sizes[each], flow.sizes[each + 1], flow.scratch[each], flow.distances[each][each]) for each in range(count))


def chain_needs(chain: Chain) -> tuple[int, ...]:
    """What ``lifetimes.overlap_bytes`` tells of the program."""
    return (chain[0].taken, *map(_need, chain), chain[-1].made)


@lru_cache(maxsize=4096)
def _need(link: _Link) -> int:
    parts, over = ([link.scratch, link.taken], []) if link.apart is None else ([link.scratch], [(link.taken, link.apart)])
    return fullest(parts, link.made, over)


def chain_bytes(chain: Chain) -> int:
    """The highest byte plus 1 of the lowest placement; no part of the chain takes more than the whole."""
    parts = {chain[at : at + PART] for at in range(max(1, len(chain) - PART + 1))}
    return _lowest(chain, max(map(_part_bytes, parts)))


@lru_cache(maxsize=4096)
def _part_bytes(chain: Chain) -> int:
    return _lowest(chain, max(chain_needs(chain)))


def _lowest(chain: Chain, height: int) -> int:
    """The lowest height in which a chain fits; none below ``height`` does."""
    if _ranges(chain, height) is not None:
        return height
    below, step = height, ALIGNMENT
    while _ranges(chain, below + step) is None:
        below, step = below + step, 2 * step
    most = below + step
    while most - below > 1:
        middle = (below + most) // 2
        below, most = (below, middle) if _ranges(chain, middle) is not None else (middle, most)
    return most


def place_chain(chain: Chain) -> Placement:
    """The lowest placement: offsets of the buffers, then of each scratch that there is."""
    height = chain_bytes(chain)
    ranges = _ranges(chain, height)
    assert ranges is not None
    y = ranges[-1][0][0]
    offsets, scratch = [y], list[int]()
    for link, before in zip(reversed(chain), reversed(ranges[:-1]), strict=True):
        x, at = next(_inputs(link, height, before, y))
        offsets.append(x)
        scratch += [at] if link.scratch else []
        y = x
    return Placement((*reversed(offsets), *reversed(scratch)), height, height)


def _ranges(chain: Chain, height: int) -> list[list[Range]] | None:
    """For each buffer the offsets at which it may lie; None: not all fit within the height."""
    high = _highest(height, chain[0].taken)
    found = [[(0, high)]] if high >= 0 else []
    for link in chain if found else ():
        now: list[Range] = []
        for way in _ways(link, height):
            for low, most in _within(found[-1], way.x):
                begin, end = (max(way.y[0], low + way.gap), way.y[1]) if way.up else (way.y[0], min(way.y[1], most - way.gap))
                now += [(begin, end)] if begin <= end else []
        if not now:
            return None
        found.append(_merged(now))
    return found or None


def _inputs(link: _Link, height: int, ranges: list[Range], y: int) -> Iterator[tuple[int, int]]:
    """Possible pairs (offset of the input, offset of the scratch) while the output is at offset y."""
    for way in _ways(link, height):
        if not way.y[0] <= y <= way.y[1]:
            continue
        for low, most in _within(ranges, way.x):
            x = low if way.up else max(low, y + way.gap)
            if x <= (min(most, y - way.gap) if way.up else most):
                ends = {"above": max(x + aligned(link.taken), y + aligned(link.made)), "below": 0, "": 0}
                yield x, ends.get(way.at, x + aligned(link.taken) if way.up else y + aligned(link.made))


def _ways(link: _Link, height: int) -> list[_Way]:
    taken, made, scratch = aligned(link.taken), aligned(link.made), aligned(link.scratch)
    x, y = (0, _highest(height, link.taken)), (0, _highest(height, link.made))
    apart = made if link.apart is None else aligned(link.apart)
    if not scratch:
        return [_Way(x, y, False, apart, ""), _Way(x, y, True, taken, "")]
    top = _highest(height, link.scratch)
    above = (0, min(x[1], top - taken)), (0, min(y[1], top - made))
    below = (scratch, x[1]), (scratch, y[1])
    found = [_Way(*ends, up, gap, at) for ends, at in ((above, "above"), (below, "below")) for up, gap in ((False, apart), (True, taken))]
    between = (_Way(x, y, False, max(apart, made + scratch), "between"), _Way(x, y, True, taken + scratch, "between"))
    return [*found, *between]


def _highest(height: int, nbytes: int) -> int:
    return (height - nbytes) // ALIGNMENT * ALIGNMENT


def _within(ranges: list[Range], bounds: Range) -> list[Range]:
    cut = ((max(low, bounds[0]), min(most, bounds[1])) for low, most in ranges)
    return [(low, most) for low, most in cut if low <= most]


def _merged(ranges: list[Range]) -> list[Range]:
    """Ranges in order, those that touch made into one."""
    found: list[Range] = []
    for low, most in sorted(ranges):
        if found and low <= found[-1][1] + ALIGNMENT:
            found[-1] = (found[-1][0], max(most, found[-1][1]))
        else:
            found.append((low, most))
    return found
