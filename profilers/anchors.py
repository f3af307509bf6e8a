"""Where an optimised kernel stands in the original graph: the nodes whose outputs or names it still bears.

onnxruntime's optimisers keep tensor names where they can, and append to names where they cannot; what they append
is known and is taken off again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from edgekit.graph import Graph, Node

__all__ = ["Anchor", "find_anchors"]

_BLOCKED = re.compile(r"(_bn|_mul)?_nchwc$")
_APPENDED = re.compile(r"(_token_\d+|/duplicated|_new_reshape|_nhwc|_quant|/\w*Fusion|/)$")


class Anchor(Struct, frozen=True):
    """Positions of the original nodes that a kernel stands for; empty where none can be told.

    ``open`` where a name told them that the kernel had before it may have taken in what follows.
    """

    positions: tuple[int, ...] = ()
    open: bool = False


def find_anchors(graph: Graph, optimized: Sequence[Node]) -> tuple[Anchor, ...]:
    """The anchor of each optimised node, by the first of these that finds one:

    1. an output tensor that exists in the original: its producer;
    2. an output or a name that is an original tensor with ``_nchwc`` appended (blocked layout): its producer;
    3. a name that is an original node's, or becomes one once what the optimisers append is taken off.
    """
    maker = {name: position for position, node in enumerate(graph.nodes) for name in node.outputs if name}
    place = {node.name: position for position, node in enumerate(graph.nodes)}
    return tuple(_anchor(node, maker, place) for node in optimized)


def _anchor(node: Node, maker: Mapping[str, int], place: Mapping[str, int]) -> Anchor:
    blocked = [_BLOCKED.sub("", name) for name in (*node.outputs, node.name) if _BLOCKED.search(name)]
    for names in (node.outputs, blocked):
        if found := {maker[name] for name in names if name in maker}:
            return Anchor(tuple(sorted(found)), open=names is blocked)
    for name in _earlier_names(node):
        if name in place:
            return Anchor((place[name],), open=True)
    return Anchor()


def _earlier_names(node: Node) -> Iterator[str]:
    """The name of a kernel, then with what optimisers appended taken off piece by piece.

    A name that ends up as the bare operator's (``Transpose`` of ``Transpose_token_7``) was made up, and says nothing.
    """
    name = node.name
    yield name
    while (shorter := _APPENDED.sub("", name)) not in (name, node.op):
        name = shorter
        yield name
