"""What each ONNX operator does to the tensors of a draft."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from devices.mcu.compiler.arrangements import concatenated, joined, views
from devices.mcu.compiler.draft import Draft, refuse
from devices.mcu.compiler.entries import Constant, Curve, Entry, Pending, Placed, dequantized, shape_of, viewed
from devices.mcu.compiler.folding import affine, bounded, normalised
from devices.mcu.compiler.functions import BINARY, UNARY, exact_rule
from devices.mcu.compiler.integers import optional_bias
from devices.mcu.compiler.linear import LINEAR, linear
from devices.mcu.compiler.padding import padded
from devices.mcu.compiler.pools import average, averaged_axes, maximum, maximum_of_axes
from devices.mcu.compiler.products import convolution, dense
from devices.mcu.compiler.scales import activation, note_type, quantized, scaling, weight
from devices.mcu.compiler.softmax_rows import softmax
from devices.mcu.compiler.sums import combined
from edgekit.onnxio.network import Operator as Node

__all__ = ["applied"]

ARRANGING = frozenset(
    "DepthToSpace Dropout Expand Flatten Gather Identity Reshape Slice SpaceToDepth Split Squeeze Transpose Unsqueeze".split()
)
KEEPING = frozenset({"Concat", "GlobalMaxPool", "MaxPool", "Pad", "ReduceMax"})
"""Operators that leave uint8 as uint8, besides those."""


def applied(draft: Draft, node: Node) -> tuple[Entry, ...]:
    """What the outputs of a node stand for.

    Raises:
        GraphError: a microcontroller cannot run it.
    """
    if node.op in ARRANGING or node.op in KEEPING:
        draft.unsigned.update(node.outputs if node.inputs[0] in draft.unsigned else ())
    if node.op in ARRANGING:
        return tuple(viewed(draft.entry(node, 0), view) for view in views(draft, node))
    if node.op in LINEAR:
        return (linear(draft, node),)
    if node.op in BINARY:
        return (_binary(draft, node),)
    if node.op in UNARY:
        return (_unary(draft, node),)
    if node.op not in RULES:
        refuse(node, "a microcontroller has no kernel for this operator; leave it to another device")
    return (RULES[node.op](draft, node),)


def _quantize(draft: Draft, node: Node) -> Entry:
    entry = draft.entry(node, 0)
    if isinstance(entry, Constant):
        return _quantized_constant(draft, node, entry)
    note_type(draft, node, 2)
    return quantized(draft, node, entry, scaling(draft, node, 1, 2))


def _quantized_constant(draft: Draft, node: Node, entry: Constant) -> Constant:
    """The numbers of a weight that the network quantizes itself."""
    scales = draft.constant(node, 1).values.astype(np.float64)
    zeros = draft.constant(node, 2).values if draft.has(node, 2) else np.zeros((), np.uint8)
    axis = node.attributes.get("axis", 1)
    shape = [1] * entry.numbers.ndim
    if scales.size > 1 and isinstance(axis, int):
        shape[axis] = scales.size
    ratio = np.rint(entry.values / scales.reshape(shape)) + zeros.astype(np.float64).reshape(shape if zeros.size > 1 else -1)
    limits = np.iinfo(zeros.dtype)
    return Constant(np.clip(ratio, limits.min, limits.max).astype(zeros.dtype).reshape(entry.numbers.shape))


def _dequantize(draft: Draft, node: Node) -> Entry:
    if isinstance(draft.entry(node, 0), Constant):
        axis = node.attributes.get("axis", 1)
        return weight(draft, node, 0, 1, 2, axis if isinstance(axis, int) else 1)
    return activation(draft, node, 0, 1, 2)


def _conv(draft: Draft, node: Node) -> Entry:
    held, kernels = draft.held(node, 0), draft.constant(node, 1)
    return convolution(draft, node, held, kernels, optional_bias(draft, node, 2), node.inputs[1])


def _gemm(draft: Draft, node: Node) -> Entry:
    held, matrix = draft.held(node, 0), draft.constant(node, 1)
    alpha, beta = (float(np.asarray(node.attributes.get(name, 1.0))) for name in ("alpha", "beta"))
    if node.attributes.get("transA"):
        held = replace(held, placed=replace(held.placed, places=held.placed.places.T))
    turned = matrix if node.attributes.get("transB") else viewed(matrix, lambda x: x.T)
    bias = optional_bias(draft, node, 2)
    if bias is not None and (alpha, beta) != (1.0, 1.0):
        bias = Constant(bias.values * (beta / alpha))
    assert isinstance(turned, Constant)
    return dense(draft, node, held, turned, bias, node.inputs[1], gain=alpha)


def _matmul(draft: Draft, node: Node) -> Entry:
    held, matrix = draft.held(node, 0), draft.constant(node, 1)
    if matrix.numbers.ndim != 2:
        refuse(node, f"expected a constant matrix, got one of shape {matrix.numbers.shape}")
    turned = viewed(matrix, lambda x: x.T)
    assert isinstance(turned, Constant)
    return dense(draft, node, held, turned, None, node.inputs[1])


def _binary(draft: Draft, node: Node) -> Entry:
    """A sum, product and the like: of constants, of functions of one number, of a result and a constant, of two tensors."""
    left, right = draft.entry(node, 0), draft.entry(node, 1)
    compute = BINARY[node.op]
    match left, right:
        case Constant(), Constant():
            return Constant(np.asarray(compute(left.values, right.values)))
        case Curve(), Constant() if _one(right, left):
            return Curve(left.placed, compute(left.reals, right.values.ravel()[0].astype(np.float64)))
        case Constant(), Curve() if _one(left, right):
            return Curve(right.placed, compute(left.values.ravel()[0].astype(np.float64), right.reals))
        case Curve(), Curve() if left.placed.lies_as(right.placed):
            return Curve(left.placed, compute(left.reals, right.reals))
        case Pending(), Constant():
            return affine(node, left, right)
        case Constant(), Pending() if node.op in ("Add", "Mul"):
            return affine(node, right, left)
    if node.op == "Sub" and isinstance(right, Constant):
        right = Constant(-right.numbers.astype(np.int64 if right.scale is not None else np.float64), right.scale)
    elif node.op not in ("Add", "Mul"):
        refuse(node, f"a microcontroller computes it of one tensor and a number, got shapes {shape_of(left)} and {shape_of(right)}")
    product = node.op == "Mul"
    if isinstance(left, Constant):
        return combined(draft, node, draft.held(node, 1), left, product, node.inputs[0])
    return combined(
        draft, node, draft.held(node, 0), right if isinstance(right, Constant) else draft.held(node, 1), product, node.inputs[1]
    )


def _one(constant: Constant, other: Curve) -> bool:
    """Whether a constant is a single number that leaves the shape of the other operand as it is."""
    return constant.numbers.size == 1 and constant.numbers.ndim <= other.placed.places.ndim


def _unary(draft: Draft, node: Node) -> Entry:
    entry = draft.entry(node, 0)
    match entry:
        case Constant():
            return Constant(np.asarray(UNARY[node.op](node, entry.values)))
        case Curve():
            return Curve(entry.placed, UNARY[node.op](node, entry.reals), exact=exact_rule(node, entry.scaling))
        case Pending() if node.op == "Relu":
            return bounded(entry, 0.0, np.inf)
        case _:
            draft.held(node, 0)
            raise AssertionError(node)


def _clip(draft: Draft, node: Node) -> Entry:
    least, most = (draft.value(node, name, index) for index, name in ((1, "min"), (2, "max")))
    low = -np.inf if least is None else float(np.ravel(least)[0])
    high = np.inf if most is None else float(np.ravel(most)[0])
    entry = draft.entry(node, 0)
    if isinstance(entry, Curve):
        return Curve(entry.placed, np.clip(entry.reals, low, high))
    if isinstance(entry, Pending):
        return bounded(entry, low, high)
    draft.held(node, 0)
    raise AssertionError(node)


def _normalise(draft: Draft, node: Node) -> Entry:
    entry = draft.entry(node, 0)
    if not isinstance(entry, Pending) or entry.gain is None:
        refuse(node, "expected a Conv or Gemm before it, without a QuantizeLinear in between; fold it into the weights")
    return normalised(draft, node, entry)


def _concat(draft: Draft, node: Node) -> Entry:
    entries = [draft.entry(node, index) for index in range(len(node.inputs))]
    if all(isinstance(entry, Constant) for entry in entries):
        axis = node.attributes.get("axis", 0)
        return Constant(np.concatenate([entry.values for entry in entries if isinstance(entry, Constant)], int(np.asarray(axis))))
    if all(isinstance(entry, Placed) for entry in entries):
        parts = [entry for entry in entries if isinstance(entry, Placed)]
        return joined(draft, node, parts, [None] * len(parts))
    return concatenated(draft, node, [_curve(draft, node, index) for index in range(len(entries))])


def _curve(draft: Draft, node: Node, index: int) -> Curve:
    entry = draft.entry(node, index)
    return entry if isinstance(entry, Curve) else draft.held(node, index)


def _pad(draft: Draft, node: Node) -> Entry:
    entry = draft.entry(node, 0)
    pads = draft.integers(node, "pads", 1) or ()
    mode = node.attributes.get("mode", "constant")
    rank = len(shape_of(entry))
    if mode != "constant" or len(pads) != 2 * rank:
        refuse(node, f"expected constant pads of every axis, got mode {mode}, pads {pads}")
    value = float(np.ravel(draft.value(node, "value", 2, default=0.0))[0])
    if isinstance(entry, Placed):
        number = int(value) - (128 if node.inputs[0] in draft.unsigned else 0)
        return padded(draft, node, entry, pads[:rank], pads[rank:], number)
    held = draft.held(node, 0)
    assert held.scaling is not None
    number = int(np.rint(value / held.scaling.scale)) + held.scaling.zero
    made = padded(draft, node, held.placed, pads[:rank], pads[rank:], number)
    return dequantized(made, held.scaling.scale, held.scaling.zero)


def _pooled(compute: Callable[[Draft, Node, Placed], Placed]) -> Callable[[Draft, Node], Entry]:
    """A maximum, which leaves the scale as it is."""

    def rule(draft: Draft, node: Node) -> Entry:
        entry = draft.entry(node, 0)
        if isinstance(entry, Placed):
            return compute(draft, node, entry)
        held = draft.held(node, 0)
        assert held.scaling is not None
        return dequantized(compute(draft, node, held.placed), held.scaling.scale, held.scaling.zero)

    return rule


def _spatial(draft: Draft, node: Node) -> range:
    return range(2, len(shape_of(draft.entry(node, 0))))


def _reduced(draft: Draft, node: Node) -> tuple[Sequence[int], bool]:
    """The axes of a ReduceMean or ReduceMax, and whether they stay with one element."""
    axes = draft.integers(node, "axes", 1)
    return axes or range(len(shape_of(draft.entry(node, 0)))), bool(node.attributes.get("keepdims", 1))


def _softmax(draft: Draft, node: Node) -> Entry:
    held = draft.held(node, 0)
    rank = held.placed.places.ndim
    axis = node.attributes.get("axis", -1 if draft.opset >= 13 else 1)
    first = int(np.asarray(axis)) % rank
    return softmax(draft, node, held, (first,) if draft.opset >= 13 else tuple(range(first, rank)))


def _cast(draft: Draft, node: Node) -> Entry:
    """A Cast of a float input or result to float; of any other, the operator is refused."""
    entry = draft.entry(node, 0)
    if node.attributes.get("to") == 1 and not isinstance(entry, Placed):
        return entry
    refuse(node, "a microcontroller casts nothing but float to float; leave it to another device")


RULES: dict[str, Callable[[Draft, Node], Entry]] = {
    "AveragePool": lambda draft, node: average(draft, node, draft.held(node, 0)),
    "BatchNormalization": _normalise,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda draft, node: averaged_axes(draft, node, draft.held(node, 0), _spatial(draft, node), True),
    "GlobalMaxPool": _pooled(lambda draft, node, placed: maximum_of_axes(draft, node, placed, range(2, placed.places.ndim), True)),
    "MatMul": _matmul,
    "MaxPool": _pooled(maximum),
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "ReduceMax": _pooled(lambda draft, node, placed: maximum_of_axes(draft, node, placed, *_reduced(draft, node))),
    "ReduceMean": lambda draft, node: averaged_axes(draft, node, draft.held(node, 0), *_reduced(draft, node)),
    "Softmax": _softmax,
}
"""By the ONNX operator."""
