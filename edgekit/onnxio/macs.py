"""Multiply-accumulate operations of one node, from the shapes of its tensors."""

from collections.abc import Mapping
from math import prod
from typing import Any

__all__ = ["macs"]

Shapes = Mapping[str, tuple[int, ...] | None]

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

_OPERANDS = {
    "Conv": (0, 1),
    "ConvInteger": (0, 1),
    "ConvTranspose": (0, 1),
    "DeformConv": (0, 1),
    "FusedConv": (0, 1),
    "QLinearConv": (0, 3),
    "Gemm": (0, 1),
    "FusedGemm": (0, 1),
    "MatMul": (0, 1),
    "FusedMatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
    "Einsum": (0, 1),
    "LSTM": (0, 2),
    "GRU": (0, 2),
    "RNN": (0, 2),
}
"""Positions of the data and of what it is multiplied by."""


def macs(node: Any, shapes: Shapes) -> int:
    """Multiply-accumulates of an ONNX node; 0 for operators that are not products, and where a shape is open."""
    if node.op_type not in _OPERANDS:
        return 0
    first, second = _OPERANDS[node.op_type]
    if second >= len(node.input) and node.op_type != "Einsum":
        return 0
    data, weight = (shapes.get(node.input[i]) if i < len(node.input) else None for i in (first, second))
    made = [shapes.get(name) for name in node.output if name]
    if data is None or not made or (made[0] is None and node.op_type not in _GATES):
        return 0
    if node.op_type == "Einsum":
        return _einsum(node, shapes)
    if weight is None:
        return 0
    if node.op_type in _GATES:  # data (time, batch, in), recurrent weight (directions, gates * hidden, hidden)
        hidden = shapes.get(node.input[2])
        inner = shapes.get(node.input[1])
        return data[0] * data[1] * (prod(inner) + prod(hidden)) if inner and hidden and len(data) == 3 else 0
    if node.op_type == "ConvTranspose":
        return prod(data) * prod(weight[1:])
    if "Conv" in node.op_type:
        return prod(made[0] or ()) * prod(weight[1:])
    if "Gemm" in node.op_type:
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return prod(made[0] or ()) * data[0 if transposed else -1]
    return prod(made[0] or ()) * (data[-1] if data else 1)


def _einsum(node: Any, shapes: Shapes) -> int:
    """The product of all index sizes; 0 where the equation has an ellipsis or a single operand."""
    equation = next(attribute.s.decode() for attribute in node.attribute if attribute.name == "equation").replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    operands = [shapes.get(name) for name in node.input]
    if "." in equation or len(terms) != len(operands) or len(terms) < 2:
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, operands, strict=True):
        if shape is None or len(term) != len(shape):
            return 0
        for letter, size in zip(term, shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return prod(sizes.values())
