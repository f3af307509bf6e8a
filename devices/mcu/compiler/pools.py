"""Means and maxima over windows and over whole axes."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from devices.mcu.arithmetic import mean_multiplier, multiplier_of
from devices.mcu.compiler.draft import Draft, arranged, planar, refuse, text
from devices.mcu.compiler.entries import Curve, Pending, Placed, Places, Reals, Scaling
from devices.mcu.compiler.padding import unpadded
from devices.mcu.compiler.sliding_windows import Window, integers, window
from devices.mcu.program import Average, Maximum, Shape
from edgekit.onnxio.network import Operator as Node

__all__ = ["average", "averaged_axes", "maximum", "maximum_of_axes"]


class _Frame(NamedTuple):
    """A pool: its input as height, width and channels; the shape of what it makes, and the axes in which that lies."""

    image: Placed
    extent: Shape
    over: Window
    made: tuple[int, ...]
    axes: tuple[int, ...]


def average(draft: Draft, node: Node, held: Curve) -> Pending:
    """The mean over a window."""
    included = bool(node.attributes.get("count_include_pad", 0))
    own = any(integers(node, "pads", ())) or text(node, "auto_pad", "NOTSET") != "NOTSET"
    inner, border = unpadded(draft, held) if included or not own else (held, (0, 0, 0, 0))
    at = _windows(node, inner.placed, border)
    _keep_inside(node, at)
    if included and node.attributes.get("ceil_mode"):
        refuse(node, "expected either ceil_mode or count_include_pad, got both; export it with one of them")
    return _averaged(draft, node, inner, at, included or any(border))


def averaged_axes(draft: Draft, node: Node, held: Curve, axes: Sequence[int], keep: bool) -> Pending:
    """The mean over whole axes, two at most."""
    return _averaged(draft, node, held, _whole_axes(node, held.placed.places, axes, keep, held.placed.buffer), False)


def maximum(draft: Draft, node: Node, placed: Placed) -> Placed:
    """The largest number in a window."""
    at = _windows(node, placed, (0, 0, 0, 0))
    _keep_inside(node, at)
    return _largest(draft, node, at)


def maximum_of_axes(draft: Draft, node: Node, placed: Placed, axes: Sequence[int], keep: bool) -> Placed:
    """The largest number over whole axes, two at most."""
    return _largest(draft, node, _whole_axes(node, placed.places, axes, keep, placed.buffer))


def _windows(node: Node, placed: Placed, border: tuple[int, int, int, int]) -> _Frame:
    places = placed.places
    image = planar(node, places)
    extent = (image.shape[2], image.shape[3], image.shape[1])
    sides = integers(node, "kernel_shape", (1, 1))
    over = window(node, extent, (sides[0], sides[1]) if len(sides) == 2 else (1, sides[0]), places.ndim - 2, border)
    if over.dilation != (1, 1):
        refuse(node, f"expected a pool without dilation, got {over.dilation}")
    made = (1, extent[2], *(over.outputs if places.ndim == 4 else over.outputs[1:]))
    return _Frame(Placed(placed.buffer, image.transpose(0, 2, 3, 1)), extent, over, made, (0, *range(2, len(made)), 1))


def _keep_inside(node: Node, at: _Frame) -> None:
    """Refuse a window that lies wholly in padding."""
    for axis in range(2):
        last = (at.over.outputs[axis] - 1) * at.over.stride[axis] - at.over.pads[axis]
        if at.over.pads[axis] >= at.over.kernel[axis] or last >= at.extent[axis]:
            refuse(node, f"a window of {at.over.kernel} lies wholly in its pads {at.over.pads}; make the pads smaller than the window")


def _whole_axes(node: Node, places: Places, axes: Sequence[int], keep: bool, buffer: int) -> _Frame:
    """The axes that vanish as height and width, all others as channels."""
    gone = sorted({axis % places.ndim for axis in axes})
    gone = [axis for axis in gone if places.shape[axis] > 1] or gone[:1]
    kept = [axis for axis in range(places.ndim) if axis not in gone]
    if len(gone) > 2 or max(places.shape[axis] for axis in gone) > 255:
        refuse(node, f"expected one or two axes of up to 255 elements to reduce, got {tuple(places.shape[axis] for axis in gone)}")
    sides = [1] * (2 - len(gone)) + [places.shape[axis] for axis in gone]
    channels = prod(places.shape[axis] for axis in kept)
    image = places.transpose([*gone, *kept]).reshape(1, *sides, channels)
    every = {axis % places.ndim for axis in axes}
    made = [1 if axis in every else size for axis, size in enumerate(places.shape) if keep or axis not in every]
    over = Window((sides[0], sides[1]), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1))
    extent = (sides[0], sides[1], channels)
    return _Frame(Placed(buffer, image), extent, over, tuple(made), tuple(range(len(made))))


def _averaged(draft: Draft, node: Node, held: Curve, at: _Frame, counted: bool) -> Pending:
    scaling = held.scaling
    assert scaling is not None

    def emit(out: Scaling, gain: Reals, offset: Reals) -> Placed:
        source = arranged(draft, node, at.image, (0, 1, 2, 3))
        target = draft.new(node.outputs[0], at.made, at.axes)
        made = Average(
            name=node.name,
            input=source,
            output=target.buffer,
            in_shape=at.extent,
            out_shape=(*at.over.outputs, at.extent[2]),
            kernel=at.over.kernel,
            stride=at.over.stride,
            pads=(at.over.pads[0], at.over.pads[1]),
            whole=counted and any(at.over.pads),
            scales=_scales(node, scaling, out, prod(at.over.kernel)),
            zero_in=scaling.zero,
            zero_out=out.zero,
            low=out.low,
            high=out.high,
        )
        draft.operators.append(made)
        return target

    return Pending(node=node.name, shape=at.made, emit=emit)


def _scales(node: Node, before: Scaling, after: Scaling, most: int) -> tuple[tuple[int, int], ...] | None:
    """Of each number of elements, as LiteRT's reference kernels have them: that of MEAN scales always."""
    if node.op == "ReduceMean":
        return tuple(mean_multiplier(before.scale / after.scale, count) for count in range(1, most + 1))
    if np.float32(before.scale) == np.float32(after.scale) and before.zero == after.zero:
        return None
    return tuple(multiplier_of(before.scale / (after.scale * count)) for count in range(1, most + 1))


def _largest(draft: Draft, node: Node, at: _Frame) -> Placed:
    source = arranged(draft, node, at.image, (0, 1, 2, 3))
    target = draft.new(node.outputs[0], at.made, at.axes)
    made = Maximum(
        name=node.name,
        input=source,
        output=target.buffer,
        in_shape=at.extent,
        out_shape=(*at.over.outputs, at.extent[2]),
        kernel=at.over.kernel,
        stride=at.over.stride,
        pads=(at.over.pads[0], at.over.pads[1]),
        low=-128,
        high=127,
    )
    draft.operators.append(made)
    return target
