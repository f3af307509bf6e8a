"""Which buffers are alive while each operator of an order runs, and the least memory that the order can do with.

Positions count the operators as they run: -1 is the begin, where the inputs arrive; the number of operators is the end, where the
outputs leave.
"""

from itertools import permutations
from typing import NamedTuple

from devices.mcu.dataflow import Dataflow, aligned, operators_in

__all__ = ["Lifetime", "alive_at", "extent", "fullest", "lifetimes", "liveness_bytes", "need_bytes", "overlap_bytes", "overlappable"]


class Lifetime(NamedTuple):
    """The positions of the first and the last operator at which a buffer holds something."""

    first: int
    last: int


def lifetimes(flow: Dataflow, order: tuple[int, ...]) -> tuple[Lifetime, ...]:
    """Of each buffer: from its first writer to its last reader."""
    at = {operator: position for position, operator in enumerate(order)}
    found = []
    for buffer in range(len(flow.sizes)):
        written = [at[each] for each in operators_in(flow.writers[buffer])]
        read = [at[each] for each in operators_in(flow.readers[buffer])]
        first = -1 if buffer in flow.entries else min(written)
        last = len(order) if buffer in flow.exits else max([first, *written, *read])
        found.append(Lifetime(first, last))
    return tuple(found)


def alive_at(lives: tuple[Lifetime, ...], position: int) -> list[int]:
    """The buffers that hold something at a position."""
    return [buffer for buffer, life in enumerate(lives) if life.first <= position <= life.last]


def overlappable(flow: Dataflow, order: tuple[int, ...], lives: tuple[Lifetime, ...], position: int) -> dict[int, int]:
    """The inputs over which the output at ``position`` may lie, with their distances: what ends there, where the output begins."""
    operator = order[position]
    if lives[flow.output[operator]].first != position:
        return {}
    distances = flow.distances[operator].items()
    return {each: apart for each, apart in distances if apart is not None and lives[each].last == position}


def liveness_bytes(flow: Dataflow, lives: tuple[Lifetime, ...], steps: int) -> int:
    """The least memory of an order where nothing lies over anything."""
    return max(_sum([flow.sizes[each] for each in alive_at(lives, position)]) for position in range(-1, steps + 1))


def overlap_bytes(flow: Dataflow, order: tuple[int, ...]) -> tuple[int, ...]:
    """The least memory at each position, from the begin to the end: what is alive, with scratch and the best overlap of that
    operator alone. No placement of this order takes less than the largest of them."""
    needs, done = [need_bytes(flow, 0, None)], 0
    for operator in order:
        needs.append(need_bytes(flow, done, operator))
        done |= 1 << operator
    return (*needs, need_bytes(flow, done, None))


def need_bytes(flow: Dataflow, done: int, operator: int | None) -> int:
    """The least memory while an operator runs after those that are done; None: of what is alive between two operators."""
    now = 0 if operator is None else 1 << operator
    output = -1 if operator is None else flow.output[operator]
    over, parts = [], [0 if operator is None else flow.scratch[operator]]
    for buffer, size in enumerate(flow.sizes):
        writers, readers = flow.writers[buffer], flow.readers[buffer]
        if buffer == output or not (writers & done or buffer in flow.entries):
            continue
        kept = buffer in flow.exits or (readers | writers) & ~done & ~now or not (done or now)
        apart = flow.distances[operator][buffer] if operator is not None and readers & now else None
        if kept or (readers & now and (apart is None or flow.writers[output] & done)):
            parts.append(size)
        elif readers & now and apart is not None:
            over.append((size, apart))
    return _sum(parts) if output < 0 else fullest(parts, flow.sizes[output], over)


def fullest(parts: list[int], output: int, inputs: list[tuple[int, int]]) -> int:
    """The bytes of an output with the inputs (size, distance) that it may lie over, and with parts that share nothing."""
    return min(_sum([*parts, *joined]) for joined in _joined(output, inputs))


def extent(output: int, inputs: list[tuple[int, int]]) -> int:
    """The bytes of an output with the inputs (size, distance) that it may lie over, placed as closely as can be, all aligned."""
    return min(sum(map(aligned, joined)) for joined in _joined(output, inputs))


def _joined(output: int, inputs: list[tuple[int, int]]) -> list[list[int]]:
    """The ways to place an output and inputs closely: sizes of what still lies one above the other."""
    apart = [size for size, distance in inputs if aligned(distance) >= aligned(output)]
    over = [each for each in inputs if aligned(each[1]) < aligned(output)]
    return [[*apart, _stacked(output, each)] for each in permutations(over)]


def _stacked(output: int, inputs: tuple[tuple[int, int], ...]) -> int:
    end, highest = 0, output
    for size, apart in inputs:
        begin = max(aligned(max(apart, 0)), end)
        end, highest = aligned(begin + size), max(highest, begin + size)
    return highest


def _sum(sizes: list[int]) -> int:
    """Bytes of what lies one above the other, each aligned, with the one on top that wastes most."""
    return sum(map(aligned, sizes)) - max((aligned(size) - size for size in sizes), default=0)
