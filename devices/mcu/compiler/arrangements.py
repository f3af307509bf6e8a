"""Operators that arrange elements anew: most are views, which move nothing; the bytes move where an operator needs them elsewhere."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu.compiler.draft import Draft, copied, order_of, refuse
from devices.mcu.compiler.entries import Curve, Pending, Placed, Reals, Scaling, View, shape_of
from devices.mcu.compiler.functions import table
from edgekit.onnxio.network import Operator as Node

__all__ = ["concatenated", "joined", "views"]


def views(draft: Draft, node: Node) -> list[View]:
    """The view that each output of a node is of its first input."""
    shape = shape_of(draft.entry(node, 0))
    match node.op:
        case "Transpose":
            axes = draft.integers(node, "perm", -1) or tuple(range(len(shape)))[::-1]
            return [lambda x: x.transpose(axes)]
        case "Slice":
            index = _slices(draft, node, shape)
            return [lambda x: x[index]]
        case "Split":
            return _parts(draft, node, shape)
        case "Gather":
            indices, axis = draft.constant(node, 1).values, _axis(node, "axis", 0)
            return [lambda x: np.take(x, indices, axis)]
        case "Expand":
            wide = np.broadcast_shapes(shape, draft.integers(node, "shape", 1) or ())
            return [lambda x: np.broadcast_to(x, wide)]
        case "DepthToSpace" | "SpaceToDepth":
            return [_blocks(node, shape)]
        case _:
            target = _reshaped(draft, node, shape)
            return [lambda x: x.reshape(target)]


def _axis(node: Node, name: str, default: int) -> int:
    found = node.attributes.get(name, default)
    return found if isinstance(found, int) else default


def _reshaped(draft: Draft, node: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that Reshape, Flatten, Squeeze, Unsqueeze, Identity and Dropout give."""
    match node.op:
        case "Reshape":
            wanted = draft.integers(node, "shape", 1) or ()
            keep = not node.attributes.get("allowzero")
            return tuple(shape[axis] if size == 0 and keep else size for axis, size in enumerate(wanted))
        case "Flatten":
            axis = _axis(node, "axis", 1)
            axis += len(shape) if axis < 0 else 0
            return prod(shape[:axis]), prod(shape[axis:])
        case "Squeeze":
            axes = draft.integers(node, "axes", 1)
            gone = {axis % len(shape) for axis in axes} if axes else {axis for axis, size in enumerate(shape) if size == 1}
            return tuple(size for axis, size in enumerate(shape) if axis not in gone)
        case "Unsqueeze":
            axes = draft.integers(node, "axes", 1) or ()
            rank = len(shape) + len(axes)
            new = {axis % rank for axis in axes}
            rest = iter(shape)
            return tuple(1 if axis in new else next(rest) for axis in range(rank))
        case _:
            return shape


def _slices(draft: Draft, node: Node, shape: tuple[int, ...]) -> tuple[slice, ...]:
    starts, stops = draft.integers(node, "starts", 1) or (), draft.integers(node, "ends", 2) or ()
    axes = draft.integers(node, "axes", 3) or tuple(range(len(starts)))
    steps = draft.integers(node, "steps", 4) or (1,) * len(starts)
    index = [slice(None)] * len(shape)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        least = -shape[axis] - 1
        index[axis] = slice(start, None if step < 0 and stop <= least else stop, step)
    return tuple(index)


def _parts(draft: Draft, node: Node, shape: tuple[int, ...]) -> list[View]:
    axis = _axis(node, "axis", 0)
    count = len(node.outputs)
    sizes = draft.integers(node, "split", 1)
    if sizes is None:
        step = -(-shape[axis] // count)
        sizes = tuple(min(step, shape[axis] - step * part) for part in range(count))
    stops = np.cumsum(sizes)

    def part(start: int, stop: int) -> View:
        return lambda x: np.take(x, range(start, stop), axis)

    return [part(int(stop) - size, int(stop)) for size, stop in zip(sizes, stops, strict=True)]


def _blocks(node: Node, shape: tuple[int, ...]) -> View:
    """DepthToSpace in both modes, and SpaceToDepth."""
    b = _axis(node, "blocksize", 1)
    n, c, h, w = shape

    def view(x: NDArray[Any]) -> NDArray[Any]:
        if node.op == "SpaceToDepth":
            return x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)
        if node.attributes.get("mode", "DCR") == "CRD":
            return x.reshape(n, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // (b * b), h * b, w * b)
        return x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)

    return view


def joined(draft: Draft, node: Node, parts: Sequence[Placed], tables: Sequence[NDArray[np.int8] | None]) -> Placed:
    """Tensors one behind the other along the axis of a Concat, each through its table."""
    axis = _axis(node, "axis", 0) % max(parts[0].places.ndim, 1)
    shapes = [list(part.places.shape) for part in parts]
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1:
        refuse(node, f"expected inputs that differ along axis {axis} alone, got {[tuple(shape) for shape in shapes]}")
    total = [*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]]
    made = draft.new(node.outputs[0], total, order_of(parts[0].places))
    start = 0
    for part, through in zip(parts, tables, strict=True):
        stop = start + part.places.shape[axis]
        target = np.take(made.places, range(start, stop), axis)
        copied(draft, node, part.buffer, made.buffer, part.places, target, table=through)
        start = stop
    return made


def concatenated(draft: Draft, node: Node, parts: Sequence[Curve]) -> Pending:
    """A Concat of tensors with scales of their own, brought to that of the output."""
    axis = _axis(node, "axis", 0)
    shapes = [shape_of(part) for part in parts]
    made = list(shapes[0])
    made[axis] = sum(shape[axis] for shape in shapes)

    def emit(out: Scaling, gain: Reals, offset: Reals) -> Placed:
        same = np.arange(-128, 128)
        tables = (table(part, out) for part in parts)
        through = [None if np.array_equal(each, same) else each for each in tables]
        return joined(draft, node, [part.placed for part in parts], through)

    return Pending(node=node.name, shape=tuple(made), emit=emit)
