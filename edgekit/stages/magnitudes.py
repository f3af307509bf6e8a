"""How large the values are that a tensor is computed from: what rounding errors of it are relative to.

    Conv, MatMul    the usual size of such a sum, of the sizes of what it reads and of the weights
    Add, Sub        the larger operand
    Relu, Slice …   what is read, as it only passes through
    Mul             either operand, times the other
    Sigmoid …       the value itself, times what its slope makes of an error of what is read, and a few rounding steps at 1

Only a few nodes behind a tensor are looked at: errors of what is further back are in the values themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod, sqrt

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgekit.graph import Graph, Node
from edgekit.onnxio import Model, exposed, weight
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import Scale

__all__ = ["QUANTIZED", "rounding_of", "scales"]

DEPTH = 8
"""Nodes in a row that are looked at behind a tensor."""

QUANTIZED = 127.0
"""Steps of a tensor in eight bits, which is as large as its range however small its values are."""

_ROUNDING = {"fp16": 2.0**-8, "int8": 2.0 / 255, "u8": 2.0 / 255, "u8c": 2.0 / 255}

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
SUMS = frozenset({"Add", "Mean", "Sub", "Sum"})
BOUNDED = frozenset({"Erf", "HardSigmoid", "Sin", "Softsign", "Tanh"})
"""Like what passes, but never more than 1."""

EXPONENTIAL = frozenset({"Sigmoid", "Softmax"})
"""Near 0 their relative error is the error of what they read, here of up to ``STEEPEST``."""

STEEPEST = 100.0

COARSE = 1e-4
"""Rounding in fewer bits than those of fp32."""

PASSES = frozenset(
    "Abs AveragePool Cast Celu Clip Concat DepthToSpace DequantizeLinear Dropout Elu Expand Flatten Gather GatherElements GatherND Gelu "
    "GlobalAveragePool GlobalMaxPool HardSwish Identity LeakyRelu Max MaxPool Min Mish Neg PRelu Pad QuantizeLinear ReduceMax ReduceMean "
    "ReduceMin ReduceSum Relu Reshape Resize Selu Slice Softplus SpaceToDepth Split Squeeze Swish ThresholdedRelu Tile Transpose "
    "Trilu Unsqueeze Upsample Where".split()
)

Arrays = Mapping[str, NDArray[np.generic]]
Sizes = dict[str, tuple[float, float]]
"""The largest magnitude of a tensor, and its root mean square; of all frames the most."""


def rounding_of(*precisions: str) -> float:
    """A few rounding steps of a value near 1."""
    return max(_ROUNDING.get(precision, 2.0**-21) for precision in precisions)


def scales(graph: Graph, model: Model, names: Iterable[str], frames: Sequence[Arrays], rounding: float) -> tuple[Scale, ...]:
    """What differences of tensors are to be measured by, as the unsplit network computes them for these frames."""
    wanted = [name for name in dict.fromkeys(names) if name in graph.makers and not graph.is_constant(name)]
    followed = _behind(graph, wanted)
    sizes = _sizes(graph, model, followed, frames)
    found: dict[str, Scale] = {}
    slopes: dict[str, float] = {}
    for node in graph.nodes:
        for name in node.outputs:
            if name in followed and name in sizes:
                found[name] = _scale(name, node, graph, model, sizes, found, rounding)
                if slope := _slope(node, found, slopes):
                    slopes[name] = slope
                    own = sizes[name][0]
                    found[name] = replace(found[name], magnitude=own * max(1.0, (1 - own) * slope))
    return tuple(found[name] for name in wanted if name in found)


def _behind(graph: Graph, names: Iterable[str]) -> set[str]:
    """The tensors and all that is to be known to tell their scale."""
    found: dict[str, int] = {}
    stack = [(name, DEPTH) for name in names]
    while stack:
        name, depth = stack.pop()
        if found.get(name, -1) >= depth:
            continue
        found[name] = depth
        node = graph.makers.get(name)
        if node is None or depth == 0:
            continue
        deeper = 0 if node.op in PRODUCTS else depth - 1
        if node.op in PRODUCTS | SUMS | BOUNDED | PASSES | EXPONENTIAL | {"Mul"}:
            stack += [(each, deeper) for each in node.inputs if _floats(graph, each)]
    return set(found)


def _floats(graph: Graph, name: str) -> bool:
    tensor = graph.tensor(name)
    return tensor.dtype in ("float16", "float32", "float64") and tensor.shape is not None


def _sizes(graph: Graph, model: Model, names: Iterable[str], frames: Sequence[Arrays]) -> Sizes:
    found: Sizes = {}
    for name in names:
        if (held := weight(model, name)) is not None:
            found[name] = _size(held)
    made = [name for name in names if name in graph.makers and _floats(graph, name)]
    watched = exposed(model, made)
    for frame in frames:
        values = {**frame, **run_once(watched, frame)}
        for name in (*made, *(name for name in graph.inputs if name in names and _floats(graph, name))):
            size = _size(values[name])
            before = found.get(name, (0.0, 0.0))
            found[name] = max(before[0], size[0]), max(before[1], size[1])
    return found


def _size(values: NDArray[np.generic]) -> tuple[float, float]:
    flat = values.astype(np.float64).reshape(-1)
    finite = np.abs(flat[np.isfinite(flat)])
    return (float(finite.max()), float(np.sqrt(np.mean(finite**2)))) if finite.size else (0.0, 0.0)


def _scale(name: str, node: Node, graph: Graph, model: Model, sizes: Sizes, found: Mapping[str, Scale], rounding: float) -> Scale:
    own = sizes[name][0]
    reads = [each for each in node.inputs if each in sizes]
    behind = [found.get(each, Scale(each, sizes[each][0])) for each in reads]
    magnitude = max((each.magnitude for each in behind), default=0.0)
    floor = max((each.floor for each in behind), default=0.0)
    if node.op in PRODUCTS:
        return Scale(name, max(own, _usual_sum(node, graph, sizes)))
    if node.op in EXPONENTIAL:
        exact = node.op == "Softmax" and rounding < COARSE  # it divides, and so keeps the digits of small values
        return Scale(name, own, rounding * rounding if exact else rounding)
    if node.op == "DequantizeLinear" and len(node.inputs) > 1 and (step := weight(model, node.inputs[1])) is not None:
        return Scale(name, max(own, QUANTIZED * _size(step)[0]))
    if node.op in SUMS or node.op in PASSES:
        return Scale(name, max(own, magnitude), floor)
    if node.op in BOUNDED:
        return Scale(name, max(own, min(1.0, magnitude)), floor)
    if node.op == "Mul" and len(behind) == 2:
        (one, other), (left, right) = behind, [sizes[each] for each in reads]
        times = max(one.magnitude * right[1], left[1] * other.magnitude)
        return Scale(name, max(own, times), max(one.floor * right[0], left[0] * other.floor))
    return Scale(name, own)


def _slope(node: Node, found: Mapping[str, Scale], slopes: Mapping[str, float]) -> float:
    """The magnitude of what an exponential function reads, also where its values only pass through; 0 of anything else."""
    if node.op in EXPONENTIAL:
        return min(max((found[each].magnitude for each in node.inputs if each in found), default=1.0), STEEPEST)
    behind = [slopes.get(each, 0.0) for each in node.inputs if each in found]
    return max(behind) if node.op in PASSES and behind and all(behind) else 0.0


def _usual_sum(node: Node, graph: Graph, sizes: Sizes) -> float:
    """The deviation of a sum of products of independent values, or the largest bias."""
    one, other = node.inputs[:2] if len(node.inputs) > 1 else (node.inputs[0],) * 2
    if one not in sizes or other not in sizes:
        return 0.0
    shape = graph.tensor(other if node.op.startswith("Conv") else one).shape or (1,)
    terms = prod(shape[1:]) if node.op == "Conv" else shape[0] * prod(shape[2:]) if node.op == "ConvTranspose" else shape[-1]
    bias = sizes[node.inputs[2]][0] if len(node.inputs) > 2 and node.inputs[2] in sizes else 0.0
    return max(sizes[one][1] * sizes[other][1] * sqrt(terms), bias)
