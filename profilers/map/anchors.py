"""Where an optimised kernel stands in the original graph: the nodes whose outputs or names it still bears.

onnxruntime's optimisers keep tensor names where they can, and append to names where they cannot; what they append
is known and is taken off again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from edgekit.graph import Graph, Node

__all__ = ["Anchor", "find_anchors"]

_BORNE = re.compile(r"^InsertedPrecisionFreeCast_|_([A-Za-z]+ExecutionProvider|pre_q|q_to_dq|post_dq)(_token_\d+)?$")
_BLOCKED = re.compile(r"(_bn|_mul)?_nchwc$")
_APPENDED = re.compile(r"(_token_\d+|/duplicated|_new_reshape|_nhwc|_quant|/\w*Fusion|/)$")


class Anchor(Struct, frozen=True):
    """Positions of the original nodes that a kernel stands for; empty where none can be told.

    ``open`` where a name told them that the kernel had before it may have taken in what follows. ``inner`` where it computes
    something within an original node that onnxruntime replaced by its definition: whoever reads it computes that node.
    """

    positions: tuple[int, ...] = ()
    open: bool = False
    inner: bool = False


def find_anchors(graph: Graph, optimized: Sequence[Node]) -> tuple[Anchor, ...]:
    """The anchor of each optimised node, by the first of these that finds one:

    1. an output tensor that exists in the original, or would but for what is added where casts,
       copies between devices or quantizations are put in: its producer;
    2. an output tensor that bears the name of an original node, as transposed ones do: that node;
    3. an output or a name that is an original tensor with ``_nchwc`` appended (blocked layout): its producer;
    4. a name that is an original node's, or becomes one once what the optimisers append is taken off.
    """
    maker = {name: position for position, node in enumerate(graph.nodes) for name in node.outputs if name}
    place = {node.name: position for position, node in enumerate(graph.nodes)}
    return tuple(_anchor(node, maker, place) for node in optimized)


def _anchor(node: Node, maker: Mapping[str, int], place: Mapping[str, int]) -> Anchor:
    blocked = [_BLOCKED.sub("", name) for name in (*node.outputs, node.name) if _BLOCKED.search(name)]
    blocked += [_BORNE.sub("", name) for name in blocked]
    borne = [_BORNE.sub("", name) for name in node.outputs]
    for names, places in ((node.outputs, maker), (borne, maker), (node.outputs, place), (blocked, maker)):
        if found := {places[name] for name in names if name in places}:
            return Anchor(tuple(sorted(found)), open=names is blocked or places is place)
    for name in _earlier_names(node):
        if name in place:
            return Anchor((place[name],), open=True)
    return Anchor(inner=any("_inlfunc_" in name for name in node.outputs))


def _earlier_names(node: Node) -> Iterator[str]:
    """The name of a kernel, then with what optimisers appended taken off piece by piece.

    A name that ends up as the bare operator's (``Transpose`` of ``Transpose_token_7``) was made up, and says nothing.
    """
    name = node.name
    yield name
    while (shorter := _APPENDED.sub("", name)) not in (name, node.op):
        name = shorter
        yield name
