"""Softmax of rows."""

from math import floor, prod

import numpy as np

from devices.mcu.arithmetic import multiplier_of
from devices.mcu.compiler.draft import Draft, arranged, mapped, refuse
from devices.mcu.compiler.entries import Curve, Pending, Placed, Reals, Scaling, dequantized
from devices.mcu.compiler.functions import table
from devices.mcu.program import Softmax
from edgekit.onnxio.network import Operator as Node

__all__ = ["softmax"]

INTEGER_BITS = 5
"""Of a difference to the maximum of a row, in the fixed-point numbers of TensorFlow Lite."""


def softmax(draft: Draft, node: Node, held: Curve, axes: tuple[int, ...]) -> Pending:
    """exp(x) / Σ exp(x) over some axes, which are the last ones where ONNX is older than version 13."""
    places = held.placed.places
    gone = [axis % places.ndim for axis in axes]
    kept = [axis for axis in range(places.ndim) if axis not in gone]
    order = (*kept, *gone)
    rows, count = prod(places.shape[axis] for axis in kept), prod(places.shape[axis] for axis in gone)

    def emit(out: Scaling, gain: Reals, offset: Reals) -> Placed:
        if out.scale < 1 / 300:
            refuse(node, f"its output has scale {out.scale:.5f}, finer than the 1/256 that a board makes; quantize it with 1/256")
        source = arranged(draft, node, held.placed, order)
        target = draft.new(node.outputs[0], places.shape, order)
        assert held.scaling is not None
        multiplier, shift = multiplier_of(min(held.scaling.scale * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1))
        least = -floor((2.0**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
        made = Softmax(
            name=node.name,
            input=source,
            output=target.buffer,
            rows=rows,
            count=count,
            multiplier=multiplier,
            shift=shift,
            least=least,
        )
        draft.operators.append(made)
        return mapped(draft, node, target, _rescaled(target, out))

    return Pending(node=node.name, shape=places.shape, emit=emit)


def _rescaled(target: Placed, out: Scaling) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    """From the scale 1/256 of the kernel to that of the output."""
    return table(dequantized(target, 1 / 256, -128), out).reshape(256)
