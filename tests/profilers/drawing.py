"""Graphs and mappings as lines of text.

Graphs are drawn one unit a line, each node as ``name:Op inputs>outputs``; ``name:Op!`` computes a constant.
Mappings are drawn as ``name 0`` for a kernel of unit 0, and ``name 0+1`` for one that spans units 0 and 1.
"""

from edgekit.graph import Graph, Node, Unit
from edgekit.runtime.verbs import KernelTime
from profilers.map.kernels import Mapping, map_kernels

__all__ = ["CHAIN", "draw", "drawn", "graph", "mapped"]


def draw(text: str) -> tuple[Node, ...]:
    nodes = []
    for name_op, edges in zip(text.split()[::2], text.split()[1::2], strict=True):
        name, op = name_op.split(":")
        inputs, outputs = edges.split(">")
        constant = op.endswith("!")
        nodes.append(Node(name, op.rstrip("!"), tuple(filter(None, inputs.split(","))), tuple(outputs.split(",")), constant=constant))
    return tuple(nodes)


def graph(*lines: str) -> Graph:
    units, nodes = [], []
    for line in lines:
        start = len(nodes)
        nodes += draw(line)
        units.append(Unit(start, len(nodes)))
    return Graph("net", "digest", tuple(nodes), tuple(units), (), (), ("x",), ("y",))


def mapped(original: Graph, optimized: str, seconds: float = 1.0) -> Mapping:
    nodes = draw(optimized)
    return map_kernels(original, tuple(KernelTime(name=node.name, op=node.op, seconds=seconds) for node in nodes), nodes)


def drawn(mapping: Mapping) -> list[str]:
    return [f"{kernel.name} {'+'.join(map(str, kernel.units))}" for kernel in mapping.kernels]


CHAIN = graph(
    "c1:Conv x>a  r1:Clip a>b",
    "c2:Conv b>c  r2:Clip c>y",
)
