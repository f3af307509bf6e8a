"""A network: nodes, units, cuts and segments, with every tensor described."""

from edgekit.graph.elements import Cut, Held, Node, Segment, Twin, Unit
from edgekit.graph.graph import Graph
from edgekit.graph.tensor import ITEMSIZE, Tensor

__all__ = ["ITEMSIZE", "Cut", "Graph", "Held", "Node", "Segment", "Tensor", "Twin", "Unit"]
