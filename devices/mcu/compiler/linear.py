"""Operators that carry their scales with them: QLinearConv, QLinearMatMul, and those that onnxruntime's quantizer makes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu.compiler.arrangements import concatenated
from devices.mcu.compiler.draft import Draft, refuse
from devices.mcu.compiler.entries import Constant, Curve, Entry
from devices.mcu.compiler.functions import BINARY, UNARY
from devices.mcu.compiler.pools import average, averaged_axes
from devices.mcu.compiler.products import convolution, dense
from devices.mcu.compiler.scales import activation, note_type, quantized, scaling, weight
from devices.mcu.compiler.softmax_rows import softmax
from devices.mcu.compiler.sums import combined
from edgekit.onnxio.network import Operator as Node

__all__ = ["LINEAR", "linear"]


def linear(draft: Draft, node: Node) -> Entry:
    """The int8 output of such an operator."""
    made, scale, zero = LINEAR[node.op](draft, node)
    if node.attributes.get("channels_last"):
        refuse(node, "expected tensors in the order N C H W, got channels_last; quantize before other optimizations")
    note_type(draft, node, zero)
    return quantized(draft, node, made, scaling(draft, node, scale, zero))


def _conv(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    held = activation(draft, node, 0, 1, 2)
    bias = draft.constant(node, 8).numbers if draft.has(node, 8) else None
    kernels = weight(draft, node, 3, 4, 5, 0)
    return convolution(draft, node, held, kernels, _bias(held, kernels, bias), node.inputs[3]), 6, 7


def _bias(held: Curve, kernels: Constant, numbers: NDArray[Any] | None) -> Constant | None:
    """An int32 bias, whose unit is that of the products."""
    if numbers is None:
        return None
    assert kernels.scale is not None and held.scaling is not None
    unit = kernels.scale.reshape(kernels.scale.shape[0], -1)[:, 0] * held.scaling.scale
    flat = numbers.astype(np.int64).ravel()
    return Constant(flat, np.broadcast_to(unit, flat.shape) if flat.size == unit.size else np.full(flat.shape, unit[0]))


def _matmul(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    held = activation(draft, node, 0, 1, 2)
    matrix = weight(draft, node, 3, 4, 5, -1)
    if matrix.numbers.ndim != 2 or matrix.scale is None:
        refuse(node, f"expected a constant matrix, got one of shape {matrix.numbers.shape}")
    turned = Constant(matrix.numbers.T, matrix.scale.T)
    return dense(draft, node, held, turned, None, node.inputs[3]), 6, 7


def _gemm(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    held = activation(draft, node, 0, 1, 2)
    if node.attributes.get("transA"):
        held = replace(held, placed=replace(held.placed, places=held.placed.places.T))
    across = bool(node.attributes.get("transB", 0))
    matrix = weight(draft, node, 3, 4, 5, 0 if across else 1)
    if matrix.scale is None or not draft.has(node, 7):
        refuse(node, "its output is in float, expected int8 with a scale; quantize with onnxruntime's QDQ format")
    turned = matrix if across else Constant(matrix.numbers.T, matrix.scale.T)
    bias = draft.constant(node, 6).numbers if draft.has(node, 6) else None
    alpha = node.attributes.get("alpha", 1.0)
    gain = float(alpha) if isinstance(alpha, int | float) else 1.0
    if bias is not None and gain != 1.0:
        refuse(node, f"expected alpha 1 beside a bias, got {gain}; export it with alpha in the weights")
    return dense(draft, node, held, turned, _bias(held, turned, bias), node.inputs[3], gain=gain), 7, 8


def _either(draft: Draft, node: Node, index: int) -> Curve | Constant:
    """An operand of a sum or product: its numbers, scale and zero."""
    if isinstance(draft.entry(node, index), Constant):
        return weight(draft, node, index, index + 1, index + 2, 0)
    return activation(draft, node, index, index + 1, index + 2)


def _combined(product: bool) -> "Rule":
    def rule(draft: Draft, node: Node) -> tuple[Entry, int, int]:
        left, right, name = _either(draft, node, 0), _either(draft, node, 3), node.inputs[3]
        if isinstance(left, Constant):
            left, right, name = right, left, node.inputs[0]
        if isinstance(left, Constant):
            refuse(node, "both of its inputs are constants; export the network with constants folded")
        if isinstance(right, Constant) and right.numbers.size == 1 and right.numbers.ndim <= left.placed.places.ndim:
            return Curve(left.placed, BINARY["Mul" if product else "Add"](left.reals, right.values.ravel()[0])), 6, 7
        return combined(draft, node, left, right, product, name), 6, 7

    return rule


def _average(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    return average(draft, node, activation(draft, node, 0, 1, 2)), 3, 4


def _global_average(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    held = activation(draft, node, 0, 1, 2)
    axes = range(2, held.placed.places.ndim)
    return averaged_axes(draft, node, held, axes, True), 3, 4


def _concat(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    parts = [activation(draft, node, index, index + 1, index + 2) for index in range(2, len(node.inputs), 3)]
    return concatenated(draft, node, parts), 0, 1


def _softmax(draft: Draft, node: Node) -> tuple[Entry, int, int]:
    held = activation(draft, node, 0, 1, 2)
    axis, opset = node.attributes.get("axis", -1), node.attributes.get("opset", 13)
    axis = axis if isinstance(axis, int) else -1
    rank = held.placed.places.ndim
    axes = (axis,) if isinstance(opset, int) and opset >= 13 else tuple(range(axis % rank, rank))
    return softmax(draft, node, held, axes), 3, 4


def _function(op: str) -> "Rule":
    def rule(draft: Draft, node: Node) -> tuple[Entry, int, int]:
        held = activation(draft, node, 0, 1, 2)
        return Curve(held.placed, UNARY[op](node, held.reals)), 3, 4

    return rule


Rule = Callable[[Draft, Node], tuple[Entry, int, int]]
"""What an operator computes in real values, and which inputs are the scale and the zero of its output."""

LINEAR: dict[str, Rule] = {
    "QGemm": _gemm,
    "QLinearAdd": _combined(False),
    "QLinearAveragePool": _average,
    "QLinearConcat": _concat,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _global_average,
    "QLinearLeakyRelu": _function("LeakyRelu"),
    "QLinearMatMul": _matmul,
    "QLinearMul": _combined(True),
    "QLinearSigmoid": _function("Sigmoid"),
    "QLinearSoftmax": _softmax,
}
"""By the ONNX operator."""
