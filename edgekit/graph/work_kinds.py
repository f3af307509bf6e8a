"""What kind of work each node of a unit is: kinds differ in how near they come to what a machine could do.

Nodes that a kernel before them takes in cost nothing of their own, nor do those that only look at a tensor differently.
"""

from typing import Literal

from msgspec import Struct

from edgekit.graph import Graph, Node
from edgekit.graph.unit_rule import HEAVY
from edgekit.quantity import Bytes, Count

__all__ = ["KINDS", "Kind", "Part", "parts_of"]

Kind = Literal["conv", "depthwise", "pointwise", "gemm", "elementwise", "function", "pool", "layout"]

KINDS: tuple[Kind, ...] = ("conv", "depthwise", "pointwise", "gemm", "elementwise", "function", "pool", "layout")
"""Products first; then what only moves and changes elements, some of it (softmax, norms, error functions) slowly."""

_VIEWS = frozenset("Dropout Flatten Identity Reshape Shape Size Squeeze Unsqueeze".split())
_LAYOUTS = frozenset("Concat DepthToSpace Expand Gather GatherND Pad Resize Slice SpaceToDepth Split Tile Transpose Upsample".split())
_POOLS = frozenset("AveragePool GlobalAveragePool GlobalMaxPool LpPool MaxPool ReduceMax ReduceMean ReduceMin ReduceSum".split())
_FUNCTIONS = frozenset(
    """
    BiasGelu Celu Cos Elu Erf Exp FastGelu Gelu GroupNormalization HardSwish InstanceNormalization LayerNormalization Log LogSoftmax
    LpNormalization Mish Pow QuickGelu RMSNormalization Selu Sigmoid SimplifiedLayerNormalization Sin Softmax Softplus Sqrt Swish Tanh
    """.split()
)
_FUSED = frozenset("BatchNormalization Clip HardSigmoid LeakyRelu Relu Sigmoid Tanh".split())
_SUMS = frozenset({"Add", "Sum"})


class Part(Struct, frozen=True):
    """One kernel's worth of a unit: its multiply-accumulates, and the bytes of activations that it reads and makes."""

    kind: Kind
    macs: Count = 0
    nbytes: Bytes = 0


def parts_of(graph: Graph, unit: int) -> tuple[Part, ...]:
    """The parts of one unit, in the order of its nodes."""
    found: list[Part] = []
    heavy: Node | None = None
    for node in graph.unit_nodes(unit):
        if node.constant or node.op in _VIEWS or _absorbed(node, heavy):
            continue
        if node.op in HEAVY or node.macs:
            heavy = node
        found.append(Part(_kind(graph, node), node.macs, _nbytes(graph, node)))
    return tuple(found)


def _absorbed(node: Node, heavy: Node | None) -> bool:
    """Whether the product before it takes a node into itself, as convolutions do with what follows and with a sum."""
    if heavy is None:
        return False
    return (node.op in _FUSED and heavy.op != "MatMul") or (node.op in _SUMS and "Conv" in heavy.op)


def _kind(graph: Graph, node: Node) -> Kind:
    if "Conv" in node.op:
        shape = graph.tensor(node.inputs[3 if node.op == "QLinearConv" else 1]).shape or ()
        if len(shape) > 1 and shape[1] == 1 and shape[0] > 1:
            return "depthwise"
        return "pointwise" if all(size == 1 for size in shape[2:]) else "conv"
    if node.op in HEAVY or node.macs:
        return "gemm"
    if node.op in _LAYOUTS:
        return "layout"
    if node.op in _POOLS:
        return "pool"
    return "function" if node.op in _FUNCTIONS else "elementwise"


def _nbytes(graph: Graph, node: Node) -> int:
    made = sum(graph.tensor(name).nbytes for name in node.outputs if name)
    if node.op in _LAYOUTS:  # a slice reads no more than it makes
        return 2 * made
    return made + sum(graph.tensor(name).nbytes for name in dict.fromkeys(node.inputs) if name and not graph.is_constant(name))
