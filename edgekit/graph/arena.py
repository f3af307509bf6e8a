"""How many bytes the tensors of a segment need at once: what no schedule can go below, and an arena that really holds them.

    step    0  1  2  3          offset
    a       ██ ██                    ┌──────┐ c, the largest, is placed first
    b          ██ ██               0 │  c   │ a and b lie above it where they live at the same time,
    c             ██ ██              ├──┬───┤ and below it where they do not
                                     │b │ a…

Packing is greedy by size, as Pisarchyk and Lee describe it (2020, arXiv:2001.03288).
"""

from collections.abc import Sequence
from typing import NamedTuple

from edgekit.graph import Graph

__all__ = ["Lifetime", "lifetimes", "live_bytes", "packed_bytes"]

ALIGNMENT = 64
"""Bytes to a multiple of which onnxruntime and most others align tensors."""


class Lifetime(NamedTuple):
    """A tensor that is alive from step ``first`` to step ``last``, both included."""

    name: str
    nbytes: int
    first: int
    last: int


def lifetimes(graph: Graph, start: int, stop: int) -> tuple[Lifetime, ...]:
    """Of all that units ``[start, stop)`` read and make, but weights and constants; a step is a node.

    Inputs are alive from the first step to their last reader, outputs until the end.
    """
    segment = graph.segment(start, stop)
    nodes = graph.nodes[graph.units[start].start : graph.units[stop - 1].stop] if start < stop else ()
    live = [node for node in nodes if not node.constant]
    first = {tensor.name: 0 for tensor in segment.inputs}
    last = dict(first)
    for step, node in enumerate(live):
        last |= {name: step for name in node.inputs if name in first}
        made = {name: step for name in node.outputs if name}
        first, last = first | made, last | made
    last |= {tensor.name: len(live) - 1 for tensor in segment.outputs if tensor.name in first}
    return tuple(Lifetime(name, graph.tensor(name).nbytes, begin, last[name]) for name, begin in first.items())


def live_bytes(tensors: Sequence[Lifetime]) -> int:
    """The most bytes alive in one step: no arena is smaller.

    >>> live_bytes([Lifetime("a", 4, 0, 1), Lifetime("b", 8, 1, 2), Lifetime("c", 4, 2, 3)])
    12
    """
    change: dict[int, int] = {}
    for tensor in tensors:
        change[tensor.first] = change.get(tensor.first, 0) + tensor.nbytes
        change[tensor.last + 1] = change.get(tensor.last + 1, 0) - tensor.nbytes
    most = alive = 0
    for step in sorted(change):
        alive += change[step]
        most = max(most, alive)
    return most


def packed_bytes(tensors: Sequence[Lifetime], alignment: int = ALIGNMENT) -> int:
    """Size of an arena in which each tensor has a place of its own while it lives: largest first, each as low as it fits.

    >>> packed_bytes([Lifetime("a", 4, 0, 1), Lifetime("b", 8, 1, 2), Lifetime("c", 4, 2, 3)], alignment=1)
    12
    """
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last; by offset
    for tensor in sorted(tensors, key=lambda tensor: (-tensor.nbytes, tensor.first, tensor.name)):
        size = -(-tensor.nbytes // alignment) * alignment
        offset = 0
        for begin, end, first, last in placed:
            if first > tensor.last or last < tensor.first:
                continue
            if begin - offset >= size:
                break
            offset = max(offset, end)
        placed.append((offset, offset + size, tensor.first, tensor.last))
        placed.sort()
    return max((end for _, end, _, _ in placed), default=0)
