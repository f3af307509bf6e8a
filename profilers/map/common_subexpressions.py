"""Original nodes that compute the same as others, of which onnxruntime keeps one (common subexpression elimination).

original    Conv x ── Relu ─┐              optimised    Conv x ── Relu ─┬─ Concat
            Conv x ── Relu ─┴─ Concat                                   └┘
"""

from collections import Counter
from collections.abc import Mapping

from edgekit.graph import Graph

__all__ = ["find_twins"]


def find_twins(graph: Graph, own: set[int], read: Mapping[int, int], taken: set[int]) -> dict[int, int]:
    """Of what a kernel might claim, the nodes that are computed elsewhere: each with the one that is computed in its place.

    ``own`` are the nodes that the kernel might claim; ``read`` those it gets a tensor from, and how often. A node of ``read``
    whose tensor ``own`` asks for less often stands in for others: for those that do the same with the same.
    """
    asked = Counter(name for position in own for name in graph.nodes[position].inputs)
    maker: dict[str, int] = {}
    twins: dict[int, int] = {}
    for position, times in read.items():
        if times > sum(asked[name] for name in graph.nodes[position].outputs):
            maker = maker or {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
            for one in sorted(own - taken):
                twins |= _pairs(graph, maker, one, position, taken) or {}
    return twins


def _pairs(graph: Graph, maker: dict[str, int], one: int, other: int, taken: set[int]) -> dict[int, int] | None:
    """Node ``one`` and those before it, each with its like at ``other``; None where they differ, or have a kernel each.

    Weights are not compared: which tensor the kernel reads has shown that onnxruntime found them equal.
    """
    if one == other:
        return {}
    left, right = graph.nodes[one], graph.nodes[other]
    if one in taken or (left.op, left.macs, len(left.inputs)) != (right.op, right.macs, len(right.inputs)):
        return None
    pairs = {one: other}
    for mine, yours in zip(left.inputs, right.inputs, strict=True):
        if mine == yours:
            continue
        live = [name for name in (mine, yours) if name in graph.inputs or (name in maker and not graph.nodes[maker[name]].constant)]
        if not live:
            continue
        before = _pairs(graph, maker, maker[mine], maker[yours], taken) if len(live) == 2 and mine in maker and yours in maker else None
        if before is None:
            return None
        pairs |= before
    return pairs
