"""What a kernel's cost is regressed on: its kind, the terms of its roofline, and its sizes as logarithms."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from edgekit.samples import Fused
from profilers.describing import main_op

__all__ = ["TERMS", "features", "kind", "terms"]

Vector = NDArray[np.float64]

TERMS = ("kernels", "MACs in whole vectors", "MACs of channels that fit none", "elements read and made", "elements of weights")

_BLOCKED = frozenset({"Add", "AveragePool", "BatchNormalization", "Concat", "Conv", "GlobalAveragePool", "MaxPool", "Relu", "Sum"})
"""Operators that have the blocked layout of convolutions too, on processors that use one."""

_COSTLY = ("Sigmoid", "HardSwish", "HardSigmoid", "Tanh", "Clip", "LeakyRelu", "Relu", "Gelu", "Erf")
_FREE = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def kind(kernel: Fused) -> str:
    """Kernels of one kind share a regression."""
    op = main_op(kernel.ops)
    if op == "Conv" and kernel.weights and len(kernel.weights[0]) > 2:
        channels, group = _groups(kernel)
        if group > 1:
            return "Conv depthwise" if group == channels else "Conv grouped"
        return "Conv point" if prod(kernel.weights[0][2:]) == 1 else "Conv"
    if op in ("Gemm", "MatMul"):
        return "Product of weights" if any(len(shape) == 2 for shape in kernel.weights) else "Product"
    if op in _FREE:
        return "View"
    return op


def terms(kernel: Fused) -> Vector:
    """The terms of the roofline, in the order of TERMS."""
    moved = sum(map(prod, (*kernel.reads, *kernel.makes)))
    pooled = prod(kernel.window) * sum(map(prod, kernel.makes)) if kernel.window else 0
    padded, ragged = kernel.macs + pooled, 0
    if kind(kernel).startswith("Conv") and kernel.weights and len(kernel.weights[0]) > 2:
        made, (channels, _) = kernel.weights[0][0], _groups(kernel)
        padded = round(kernel.macs * _in_eights(made) / max(1, made))
        ragged = kernel.macs if made % 4 or (channels % 4 and channels > 4) else 0
    held = sum(map(prod, kernel.weights))
    if not kind(kernel).startswith(("Conv", "Product")):  # a weight costs there what any element does; few samples hold many
        moved, held = moved + held, 0
    return np.array([1.0, padded, ragged, moved, held], dtype=float)


def features(kernel: Fused, network_bytes: int) -> Vector:
    """Sizes by their logarithm, whether they fit vectors, the layout around, and whether caches hold the network's weights."""
    around = [
        float(any(op not in _BLOCKED for op in kernel.before)),
        float(any(op not in _BLOCKED for op in kernel.after)),
        _log(network_bytes / 2**20),
        float(len(kernel.reads)),
    ]
    which = kind(kernel)
    if which.startswith("Conv") and which != "ConvTranspose":
        return np.array([*_convolution(kernel), *around])
    if which.startswith("Product"):
        return np.array([*_product(kernel), *around])
    read, made = (max(shapes, key=prod, default=()) for shapes in (kernel.reads, kernel.makes))
    channels = read[1] if len(read) > 1 else 1
    inner = prod(read[2:]) if len(read) > 2 else 1
    sizes = [_log(prod(read)), _log(prod(made)), _log(channels), _log(inner), _log(read[-1] if read else 1)]
    window = [_log(prod(kernel.window) * prod(made)), _log(prod(read) / max(1, prod(made)))]
    return np.array([*sizes, *window, *_fit(channels), _log(len(kernel.makes)), float(len(kernel.ops)), *around])


def _convolution(kernel: Fused) -> list[float]:
    weight = kernel.weights[0]
    channels, _ = _groups(kernel)
    made = kernel.makes[0] if kernel.makes else ()
    read = kernel.reads[0] if kernel.reads else ()
    area, before = prod(made[2:]), prod(read[2:])
    return [
        _log(kernel.macs),
        _log(channels),
        _log(weight[0]),
        _log(area),
        _log(made[-1] if len(made) > 2 else 1),
        _log(prod(weight[2:])),
        _log(before / max(1, area)),
        _log(channels / max(1, weight[1])),
        *_fit(channels),
        *_fit(weight[0]),
        float(len(weight) == 3),
        *(float(op in kernel.ops) for op in ("Sigmoid", "HardSwish", "Add")),
        float(bool({"Relu", "Clip", "LeakyRelu", "HardSigmoid"} & set(kernel.ops))),
    ]


def _product(kernel: Fused) -> list[float]:
    """Batch, rows, inner and columns of the product."""
    made = kernel.makes[0] if kernel.makes else (1,)
    rows, columns = (made[-2] if len(made) > 1 else 1), made[-1]
    batch = prod(made[:-2]) if len(made) > 2 else 1
    held = [shape for shape in kernel.weights if len(shape) == 2]
    if held:
        rows, batch, columns = prod(made) // max(1, columns), 1, columns
    inner = kernel.macs / max(1, batch * rows * columns)
    sizes = [_log(kernel.macs), _log(batch), _log(rows), _log(inner), _log(columns), *_fit(columns), *_fit(int(inner))]
    return [*sizes, float("Gemm" in kernel.ops), float(bool(set(_COSTLY) & set(kernel.ops))), float(rows == 1)]


def _groups(kernel: Fused) -> tuple[int, int]:
    """Channels that come in, and groups they are in."""
    read = kernel.reads[0] if kernel.reads else ()
    channels = read[1] if len(read) > 1 else kernel.weights[0][1]
    return channels, max(1, channels // max(1, kernel.weights[0][1]))


def _fit(size: int) -> list[float]:
    """Whether channels come in fours and in eights, and what share of the last vector of 8 is filled."""
    return [float(size % 4 == 0), float(size % 8 == 0), size / _in_eights(size) if size else 1.0]


def _in_eights(size: int) -> int:
    return 8 * -(-size // 8)


def _log(value: float) -> float:
    return float(np.log2(max(value, 0.0) + (1.0 if value < 1 else 0.0)) if value > 0 else 0.0)
