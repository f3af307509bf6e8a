"""Maps the kernels that onnxruntime timed back to the original nodes, and so to units.

    original     Conv ── Clip ── Conv ── Add ──▶        units    0: Conv Clip   1: Conv Add
                 └────┬───┘      └───┬───┘
    optimised       Conv ── Reorder ─ Conv ──▶          kernels  Conv (0)  Reorder (1)  Conv (1)

A kernel is anchored at the original nodes that it stands for, and claims them with all before them that no other
kernel is anchored at. A kernel without an anchor only moves data, and goes with its neighbour.
"""

import re
from collections import defaultdict, deque
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from devices.connection import KernelTime
from edgekit.graph import Graph, Node
from edgekit.profile import Kernel
from profilers.map.anchors import Anchor, find_anchors
from profilers.map.claims import MOVES, Original, claim, contradicted, edges

__all__ = ["LEAVING", "Mapping", "map_kernels", "match_times"]

LEAVING = frozenset({"MemcpyToHost", "ReorderOutput"})
"""Moves of what was computed; all other moves prepare what comes next."""


class Mapping(Struct, frozen=True):
    """Kernels with the units whose nodes they claim.

    Attributes:
        claimed: original nodes that some kernel computes.
        folded: original nodes that left no kernel behind (folded constants, dropped identities, nodes that no output needs).
        coverage: share of optimised nodes that were mapped, or of original ones that were claimed or folded, whichever is
            less; below 1, kernels are missing and their sum says nothing.
        overhead_s: seconds of kernels that only move data, already attributed to their neighbours' units.
    """

    kernels: tuple[Kernel, ...]
    claimed: int
    folded: int
    coverage: float
    overhead_s: float

    @property
    def spanning(self) -> int:
        """Kernels that belong to several units."""
        return sum(len(kernel.units) > 1 for kernel in self.kernels)


def map_kernels(graph: Graph, times: tuple[KernelTime, ...], optimized: tuple[Node, ...]) -> Mapping:
    """Give every timed kernel its units; those that cannot be placed, are contradicted or have no time lower the coverage.

    ``optimized`` are the nodes of the optimised model in its order; ``times`` bear the same names.
    """
    anchors = find_anchors(graph, optimized)
    original = Original(graph)
    claims = claim(original, optimized, anchors)
    wrong = contradicted(original, optimized, claims)
    units = _place(original, optimized, anchors, claims)
    kernels = []
    overhead_s = 0.0
    for index, (node, time) in enumerate(zip(optimized, match_times(times, optimized), strict=True)):
        if units[index] and time is not None and index not in wrong:
            shares = _shares(original, claims[index], units[index])
            kernels.append(Kernel(node.name, node.op, time.seconds, units[index], shares, time.provider))
            overhead_s += time.seconds if node.op in MOVES and not claims[index] else 0.0
    claimed = set().union(*claims)
    folded = original.folded - claimed
    mapped = len(kernels) / len(optimized) if optimized else 1.0
    told = len(claimed | folded) / len(graph.nodes) if optimized else 1.0
    return Mapping(tuple(kernels), len(claimed), len(folded), min(mapped, told), overhead_s)


def _shares(original: Original, claimed: set[int], units: tuple[int, ...]) -> tuple[float, ...]:
    """How the time of a kernel that spans units divides among them: as their multiplications do, () where it has none."""
    work = [sum(original.nodes[position].macs for position in claimed if original.unit[position] == unit) for unit in units]
    return tuple(macs / sum(work) for macs in work) if len(units) > 1 and any(work) else ()


def match_times(times: Sequence[KernelTime], optimized: Sequence[Node]) -> list[KernelTime | None]:
    """The time of each optimised node, None where the profile has none.

    Where nodes share a name, their times are taken in order if there is one for each; else each gets their mean. Nodes without
    a name go by their type and a number, which the profile and the file do not agree on: they get theirs in order, or none.
    """
    known = {(node.name, node.op) for node in optimized}
    held = {(time.name, time.op) for time in times}
    found: dict[tuple[str, str], list[KernelTime]] = defaultdict(list)
    alike: dict[tuple[str, str], int] = defaultdict(int)
    for time in times:
        found[_called(time.name, time.op, known)].append(time)
    for node in optimized:
        alike[_called(node.name, node.op, held)] += 1
    queues = {
        key: deque(one if len(one) == alike[key] else [_mean(one)] * alike[key])
        for key, one in found.items()
        if key[0] or len(one) == alike[key]
    }
    keys = [_called(node.name, node.op, held) for node in optimized]
    return [queues[key].popleft() if queues.get(key) else None for key in keys]


def _called(name: str, op: str, others: set[tuple[str, str]]) -> tuple[str, str]:
    """What a kernel goes by: its name and type, or its type alone where the name is made of that and is not among the ``others``."""
    return ("", op) if (name, op) not in others and re.fullmatch(rf"{re.escape(op)}_\d+", name) else (name, op)


def _mean(times: Sequence[KernelTime]) -> KernelTime:
    return replace(times[0], seconds=sum(time.seconds for time in times) / len(times))


def _place(original: Original, optimized: Sequence[Node], anchors: Sequence[Anchor], claims: Sequence[set[int]]) -> list[tuple[int, ...]]:
    """The units of each kernel, sorted: of what it claims, else of what it stands for, else its neighbour's.

    Kernels that only move data, compute constants, or compute within an original node have a neighbour: who reads them,
    or who feeds what is leaving.
    """
    units: list[tuple[int, ...]] = []
    for anchor, claimed in zip(anchors, claims, strict=True):
        live = [position for position in claimed or anchor.positions if not original.nodes[position].constant]
        units.append(tuple(sorted({original.unit[position] for position in live})))
    feeding, reading = edges(optimized)
    waiting = [i for i, node in enumerate(optimized) if not units[i] and (node.op in MOVES or anchors[i].positions or anchors[i].inner)]
    leaving = [i for i in waiting if optimized[i].op in LEAVING]
    entering = [i for i in waiting if optimized[i].op not in LEAVING]
    for order, near_by in ((entering[::-1], reading), (leaving, feeding), (waiting, feeding), (waiting[::-1], reading)):
        for index in order:
            units[index] = units[index] or next((units[near] for near in near_by[index] if units[near]), ())
    return [own or tuple(sorted({original.unit[p] for p in anchor.positions})) for own, anchor in zip(units, anchors, strict=True)]
