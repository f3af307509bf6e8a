"""Whether a device computes in the precision of the graph, told from the graph as its onnxruntime optimised it.

    fp16 on a device with its kernels      x16 ── Conv ── Relu ──▶
    on one without them                    x16 ── Cast ── Conv(fp32) ── Relu(fp32) ── Cast ──▶
    the same, optimised further            x32 ── Conv(fp32) ── Relu(fp32) ──▶         the Casts are gone, the precision too

So Casts alone do not tell: the tensors that were cast are known by the name that onnxruntime gave them.
"""

from collections.abc import Sequence

from edgekit.graph import Graph, Node

__all__ = ["widened"]

_CAST = "InsertedPrecisionFreeCast_"
"""What onnxruntime puts before the name of a tensor that it casts because no kernel takes it as it is."""


def widened(graph: Graph, optimized: Sequence[Node]) -> int:
    """Kernels that read or make a tensor that onnxruntime cast, or that are such a Cast; 0 where the precision is supported."""
    own = {node.name for node in graph.nodes if node.op == "Cast"}
    return sum((node.op == "Cast" and node.name not in own) or _cast(node) for node in optimized)


def _cast(node: Node) -> bool:
    return any(name.startswith(_CAST) for name in (node.name, *node.inputs, *node.outputs))
