"""What a kernel's cost is regressed on: its kind, the terms of its roofline, and its sizes as logarithms."""

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgekit.samples import Fused
from profilers.map.blocked_layout import convolves, direct, filled, groups, in_blocks
from profilers.map.kernel_descriptions import main_op

__all__ = ["TERMS", "common", "features", "kind", "moved", "terms", "weight_bytes"]

Vector = NDArray[np.float64]

ELEMENT_BYTES = 4
VECTOR = 16
"""Numbers in the widest vectors that processors have."""

AT_ONCE = 4
"""Blocks of channels that are made at one time, where there are so many."""

TERMS = ("kernels", "MACs in whole blocks", "MACs out of blocks", "elements read and made", "elements of weights", "elements bent")

_COSTLY = ("Sigmoid", "HardSwish", "HardSigmoid", "Tanh", "Clip", "LeakyRelu", "Relu", "Gelu", "Erf")
_CURVES = frozenset({"Erf", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh"})
_FREE = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def kind(kernel: Fused) -> str:
    """Kernels of one kind share a regression."""
    op = main_op(kernel.ops)
    if op == "Conv" and convolves(kernel):
        channels, group = groups(kernel)
        weight = kernel.weights[0]
        over = " 1D" if len(weight) == 3 else ""  # never in blocks
        if group > 1:
            return ("Conv depthwise" if group == channels else "Conv grouped") + over
        return ("Conv point" if prod(weight[2:]) == 1 else "Conv") + over
    if op in ("Gemm", "MatMul"):
        return "Product of weights" if any(len(shape) == 2 for shape in kernel.weights) else "Product"
    if op in _FREE:
        return "View"
    return op


def terms(kernel: Fused, width: int) -> Vector:
    """The terms of the roofline, in the order of TERMS; ``width``: channels in a block."""
    elements, held = moved(kernel), sum(map(prod, kernel.weights))
    pooled = prod(kernel.window) * sum(map(prod, kernel.makes)) if kernel.window else 0
    inside, outside = float(kernel.macs + pooled), 0.0
    if convolves(kernel):
        read, made = in_blocks(kernel, width)
        channels, _ = groups(kernel)
        inside *= read / channels * made / kernel.weights[0][0]
        inside, outside = (inside, 0.0) if width in kernel.blocks else (0.0, inside)
    if not kind(kernel).startswith(("Conv", "Product")):  # a weight costs there what any element does; few samples hold many
        elements, held = elements + held, 0
    return np.array([1.0, inside, outside, elements, held, _bent(kernel) * sum(map(prod, kernel.makes))], dtype=float)


def moved(kernel: Fused) -> int:
    """Elements that a kernel reads and makes, without those that are held."""
    return sum(map(prod, (*kernel.reads, *kernel.makes)))


def weight_bytes(kernels: Sequence[Fused]) -> int:
    """Of a network of these kernels."""
    return sum(ELEMENT_BYTES * prod(shape) for kernel in kernels for shape in kernel.weights)


def common(kernels: Sequence[Fused]) -> Vector:
    """What tells how much of a kernel is still in the caches when its network runs again: the logarithms of the network's weights,
    of what its kernels go through on average, and of their number."""
    held = weight_bytes(kernels)
    gone_through = held + ELEMENT_BYTES * sum(map(moved, kernels))
    return np.array([_log(held / 2**20), np.log2(1 + gone_through / len(kernels) / 2**10), np.log2(len(kernels))])


def features(kernel: Fused, network: Vector, width: int) -> Vector:
    """Sizes by their logarithm, whether they fit blocks, the layout around, and what it has in common with its ``network``."""
    around = [
        float(width in kernel.blocks),
        float(width in kernel.before),
        float(width in kernel.after),
        float(len(kernel.reads)),
        *network,
    ]
    if convolves(kernel):
        return np.array([*_convolution(kernel, width), *around])
    if kind(kernel).startswith("Product"):
        return np.array([*_product(kernel), *around])
    read, made = (max(shapes, key=prod, default=()) for shapes in (kernel.reads, kernel.makes))
    channels = read[1] if len(read) > 1 else 1
    inner = prod(read[2:]) if len(read) > 2 else 1
    sizes = [_log(prod(read)), _log(prod(made)), _log(channels), _log(inner), _log(read[-1] if read else 1)]
    window = [_log(prod(kernel.window) * prod(made)), _log(prod(read) / max(1, prod(made)))]
    return np.array([*sizes, *window, *_fit(channels, width), _log(len(kernel.makes)), float(len(kernel.ops)), *around])


def _convolution(kernel: Fused, width: int) -> list[float]:
    weight = kernel.weights[0]
    channels, group = groups(kernel)
    read_channels, made_channels = in_blocks(kernel, width)
    made = kernel.makes[0] if kernel.makes else ()
    read = kernel.reads[0] if kernel.reads else ()
    area, before = prod(made[2:]), prod(read[2:])
    return [
        _log(kernel.macs),
        _log(read_channels),
        _log(made_channels),
        _log(area),
        _log(made[-1] if len(made) > 2 else 1),
        _log(prod(weight[2:])),
        _log(before / max(1, area)),
        _log(group),
        float(direct(kernel, width)),
        *_fit(channels, width),
        *_fit(weight[0], width),
        weight[0] / filled(weight[0], AT_ONCE * width),
        _bent(kernel),
        float("Add" in kernel.ops),
        float("Relu" in kernel.ops),
        float(bool({"Clip", "LeakyRelu"} & set(kernel.ops))),
        _log(moved(kernel)),
        _log(prod(weight)),
        (weight[-1] - 1) / max(1, made[-1] if made else 1),
    ]


def _bent(kernel: Fused) -> float:
    """Whether what a product makes goes through a curve in the same kernel; where it is read without, too, another one does that."""
    return float(convolves(kernel) and len(kernel.makes) == 1 and not _CURVES.isdisjoint(kernel.ops))


def _product(kernel: Fused) -> list[float]:
    """Batch, rows, inner and columns of the product."""
    made = kernel.makes[0] if kernel.makes else (1,)
    rows, columns = (made[-2] if len(made) > 1 else 1), made[-1]
    batch = prod(made[:-2]) if len(made) > 2 else 1
    held = [shape for shape in kernel.weights if len(shape) == 2]
    if held:
        rows, batch, columns = prod(made) // max(1, columns), 1, columns
    inner = kernel.macs / max(1, batch * rows * columns)
    sizes = [_log(kernel.macs), _log(batch), _log(rows), _log(inner), _log(columns), *_fit(columns, VECTOR), *_fit(int(inner), VECTOR)]
    return [*sizes, float("Gemm" in kernel.ops), float(bool(set(_COSTLY) & set(kernel.ops))), float(rows == 1)]


def _fit(size: int, width: int) -> list[float]:
    """Whether channels come in fours and in blocks, and what share of the last block is filled."""
    return [float(size % 4 == 0), float(size % width == 0), size / filled(size, width) if size else 1.0]


def _log(value: float) -> float:
    return float(np.log2(max(value, 0.0) + (1.0 if value < 1 else 0.0)) if value > 0 else 0.0)
