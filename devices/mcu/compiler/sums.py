"""Sums and products of two tensors, or of one and a constant."""

from typing import NamedTuple

import numpy as np

from devices.mcu.arithmetic import multiplier_of
from devices.mcu.compiler.draft import Draft, contiguous, placed_in_order, refuse
from devices.mcu.compiler.entries import Constant, Curve, Pending, Placed, Places, Reals, Scaling, shape_of
from devices.mcu.compiler.integers import bytes_of
from devices.mcu.program import Add, Bytes, Mul
from edgekit.onnxio.network import Operator as Node

__all__ = ["combined"]


class _Operands(NamedTuple):
    """What is combined: a whole buffer, the bytes or the buffer of the other, how many elements each has, and the places of the result."""

    buffer: int
    other: int | Bytes
    size: int
    other_size: int
    places: Places


def combined(draft: Draft, node: Node, left: Curve, right: Curve | Constant, product: bool, name: str) -> Pending:
    """left + right, or left · right, element by element; the smaller one is repeated along the axes that it lacks.

    ``name``: what messages call the right one.
    """
    shape = _shape(node, left, right)
    if isinstance(right, Curve) and shape_of(left) != shape and shape_of(right) == shape:
        left, right = right, left

    def emit(out: Scaling, gain: Reals, offset: Reals) -> Placed:
        placed = contiguous(draft, node, Placed(left.placed.buffer, np.broadcast_to(left.placed.places, shape)))
        if isinstance(right, Constant):
            found, operands = _with_constant(node, placed, right, name)
        else:
            assert right.scaling is not None
            found, operands = right.scaling, _with_tensor(draft, node, placed, right)
        assert left.scaling is not None
        target = draft.buffer(node.outputs[0], operands.size)
        add = _product if product else _sum
        draft.operators.append(add(node, operands, target, (left.scaling, found, out)))
        return Placed(target, operands.places)

    return Pending(node=node.name, shape=shape, emit=emit)


def _shape(node: Node, left: Curve, right: Curve | Constant) -> tuple[int, ...]:
    shapes = shape_of(left), shape_of(right)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        refuse(node, f"expected shapes that fit each other, got {shapes[0]} and {shapes[1]}")


def _with_constant(node: Node, placed: Placed, constant: Constant, name: str) -> tuple[Scaling, _Operands]:
    found, scaling = bytes_of(node, name, constant)
    order = np.argsort(placed.places, axis=None)
    flat = np.broadcast_to(found, placed.places.shape).ravel()[order].astype(np.int8)
    count = _period(flat)
    return scaling, _Operands(placed.buffer, flat[:count].copy(), flat.size, count, placed.places)


def _period(flat: Bytes) -> int:
    """After how many numbers they repeat themselves."""
    sizes = (size for size in range(1, flat.size + 1) if flat.size % size == 0)
    return next(size for size in sizes if (flat.reshape(-1, size) == flat[:size]).all())


def _with_tensor(draft: Draft, node: Node, placed: Placed, right: Curve) -> _Operands:
    order = np.argsort(placed.places, axis=None)
    flat = np.broadcast_to(right.placed.places, placed.places.shape).ravel()[order]
    size = draft.buffers[right.placed.buffer].nbytes
    if flat.size % size == 0 and np.array_equal(flat.reshape(-1, size), np.broadcast_to(np.arange(size), (flat.size // size, size))):
        return _Operands(placed.buffer, right.placed.buffer, flat.size, size, placed.places)
    other = placed_in_order(draft, node, right.placed, flat)
    return _Operands(placed.buffer, other, flat.size, flat.size, placed.places)


def _sum(node: Node, operands: _Operands, output: int, scalings: tuple[Scaling, Scaling, Scaling]) -> Add:
    """Both operands in a common unit, as TensorFlow Lite prepares it: the larger of their scales, twice."""
    left, right, out = scalings
    unit = 2 * max(left.scale, right.scale)
    parts = [multiplier_of(each) for each in (left.scale / unit, right.scale / unit, unit / (out.scale * 2**20))]
    return Add(
        name=node.name,
        input=operands.buffer,
        other=operands.other,
        output=output,
        count=operands.size,
        other_count=operands.other_size,
        multipliers=(parts[0][0], parts[1][0], parts[2][0]),
        shifts=(parts[0][1], parts[1][1], parts[2][1]),
        zeros=(left.zero, right.zero, out.zero),
        low=out.low,
        high=out.high,
    )


def _product(node: Node, operands: _Operands, output: int, scalings: tuple[Scaling, Scaling, Scaling]) -> Mul:
    left, right, out = scalings
    multiplier, shift = multiplier_of(float(np.float32(left.scale) * np.float32(right.scale) / np.float32(out.scale)))
    return Mul(
        name=node.name,
        input=operands.buffer,
        other=operands.other,
        output=output,
        count=operands.size,
        other_count=operands.other_size,
        multiplier=multiplier,
        shift=shift,
        zeros=(left.zero, right.zero, out.zero),
        low=out.low,
        high=out.high,
    )
