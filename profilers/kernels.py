"""Maps the kernels that onnxruntime timed back to the original nodes, and so to units.

    original     Conv ── Clip ── Conv ── Add ──▶        units    0: Conv Clip   1: Conv Add
                 └────┬───┘      └───┬───┘
    optimised       Conv ── Reorder ─ Conv ──▶          kernels  Conv (0)  Reorder (1)  Conv (1)

A kernel is anchored at the original nodes that it stands for, and claims them with all before them that no other
kernel is anchored at. A kernel without an anchor only moves data, and goes with its neighbour.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

from msgspec import Struct

from devices.connection import KernelTime
from edgekit.graph import Graph, Node
from edgekit.profile import Kernel
from profilers.anchors import Anchor, find_anchors

__all__ = ["Mapping", "map_kernels"]

DROPPED = frozenset({"Dropout", "Identity"})
"""Operators that onnxruntime removes, so that no kernel stands for them."""

LEAVING = frozenset({"MemcpyToHost", "ReorderOutput"})
"""Moves of what was computed; all other moves prepare what comes next."""

MOVES = LEAVING | frozenset(
    "Cast DequantizeLinear Flatten MemcpyFromHost QuantizeLinear ReorderInput Reshape Squeeze Transpose Unsqueeze".split()
)
"""Operators that onnxruntime puts in on its own, to hand a tensor on in another form."""


class Mapping(Struct, frozen=True):
    """Kernels with the units whose nodes they claim.

    Attributes:
        folded: original nodes that left no kernel behind (folded constants, dropped identities).
        coverage: share of optimised nodes that were mapped; below 1, kernels are missing and their sum says nothing.
        overhead_s: seconds of kernels that only move data, already attributed to their neighbours' units.
    """

    kernels: tuple[Kernel, ...]
    folded: int
    coverage: float
    overhead_s: float


def map_kernels(graph: Graph, times: tuple[KernelTime, ...], optimized: tuple[Node, ...]) -> Mapping:
    """Give every timed kernel its units; those that cannot be placed, or have no time, lower the coverage.

    ``optimized`` are the nodes of the optimised model in its order; ``times`` bear the same names.
    """
    anchors = find_anchors(graph, optimized)
    original = _Original(graph)
    claims = _claim(original, anchors)
    units = _place(original, optimized, anchors, claims)
    kernels = []
    overhead_s = 0.0
    for node, own, claimed, seconds in zip(optimized, units, claims, _seconds(times, optimized), strict=True):
        if own and seconds is not None:
            kernels.append(Kernel(node.name, node.op, seconds, own))
            overhead_s += seconds if node.op in MOVES and not claimed else 0.0
    folded = len(graph.nodes) - sum(len(claimed) for claimed in claims)
    return Mapping(tuple(kernels), folded, len(kernels) / len(optimized) if optimized else 1.0, overhead_s)


def _seconds(times: Sequence[KernelTime], optimized: Sequence[Node]) -> list[float | None]:
    """The time of each optimised node, None where the profile has none.

    Where nodes share a name, their times are taken in order if there is one for each; else each gets their mean.
    """
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    alike: dict[tuple[str, str], int] = defaultdict(int)
    for time in times:
        found[time.name, time.op].append(time.seconds)
    for node in optimized:
        alike[node.name, node.op] += 1
    queues = {key: deque(s if len(s) == alike[key] else [sum(s) / len(s)] * alike[key]) for key, s in found.items()}
    return [queues[node.name, node.op].popleft() if (node.name, node.op) in queues else None for node in optimized]


class _Original:
    """The original nodes by position: their unit, what feeds them, and what reads them."""

    def __init__(self, graph: Graph):
        self.nodes = graph.nodes
        self.before, self.after = _edges(graph.nodes)
        self.unit = [index for index, unit in enumerate(graph.units) for _ in range(unit.start, unit.stop)]

    def reach(self, start: Iterable[int], edges: list[list[int]], barred: set[int], home: set[int] | None = None) -> set[int]:
        """What leads on from ``start`` along ``edges``, up to barred and constant nodes, within the units of ``home``."""
        found: set[int] = set()
        stack = [near for position in start for near in edges[position]]
        while stack:
            position = stack.pop()
            outside = home is not None and self.unit[position] not in home
            if not (outside or position in barred or position in found or self.nodes[position].constant):
                found.add(position)
                stack += edges[position]
        return {position for position in found if self.nodes[position].op not in DROPPED}


def _claim(original: _Original, anchors: Sequence[Anchor]) -> list[set[int]]:
    """Positions of the original nodes that each kernel claims; none is claimed twice.

    Of several kernels anchored at one node the first has it: the others hand on what that one computed.
    """
    taken: set[int] = set()
    claims = []
    for anchor in anchors:
        claims.append(set(anchor.positions) - taken)
        taken |= claims[-1]
    for anchor, claimed in zip(anchors, claims, strict=True):
        if anchor.open:  # its own unit, which runtimes usually fuse, is all that is known of how far it reaches
            claimed |= original.reach(claimed, original.after, taken, {original.unit[position] for position in claimed})
            taken |= claimed
    for claimed in claims:
        claimed |= original.reach(claimed, original.before, taken)
        taken |= claimed
    return claims


def _place(original: _Original, optimized: Sequence[Node], anchors: Sequence[Anchor], claims: Sequence[set[int]]) -> list[tuple[int, ...]]:
    """The units of each kernel, sorted: of what it claims, else of what it stands for, else its neighbour's.

    Kernels that only move data, or compute constants, have a neighbour: who reads them, or who feeds what is leaving.
    """
    units: list[tuple[int, ...]] = []
    for anchor, claimed in zip(anchors, claims, strict=True):
        live = [position for position in claimed or anchor.positions if not original.nodes[position].constant]
        units.append(tuple(sorted({original.unit[position] for position in live})))
    feeding, reading = _edges(optimized)
    waiting = [i for i, node in enumerate(optimized) if not units[i] and (node.op in MOVES or anchors[i].positions)]
    leaving = [i for i in waiting if optimized[i].op in LEAVING]
    entering = [i for i in waiting if optimized[i].op not in LEAVING]
    for order, edges in ((entering[::-1], reading), (leaving, feeding), (waiting, feeding), (waiting[::-1], reading)):
        for index in order:
            units[index] = units[index] or next((units[near] for near in edges[index] if units[near]), ())
    return [own or tuple(sorted({original.unit[p] for p in anchor.positions})) for own, anchor in zip(units, anchors, strict=True)]


def _edges(nodes: Sequence[Node]) -> tuple[list[list[int]], list[list[int]]]:
    """For each node by position: the nodes that feed it, and those that read it."""
    maker = {name: position for position, node in enumerate(nodes) for name in node.outputs if name}
    feeding = [[maker[name] for name in node.inputs if name in maker] for node in nodes]
    reading: list[list[int]] = [[] for _ in nodes]
    for position, sources in enumerate(feeding):
        for source in sources:
            reading[source].append(position)
    return feeding, reading
