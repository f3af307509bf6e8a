"""Convolutions, fully connected operators and products with a constant matrix."""

from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from devices.mcu.compiler.draft import Draft, arranged, planar, refuse
from devices.mcu.compiler.entries import Constant, Curve, Pending, Placed, Places, Reals, Scaling
from devices.mcu.compiler.integers import Numbers, Weights, numbers, weights
from devices.mcu.compiler.padding import unpadded
from devices.mcu.compiler.sliding_windows import Window, window
from devices.mcu.program import Conv, Dense, Depthwise, Shape
from edgekit.onnxio.network import Operator as Node

__all__ = ["convolution", "dense"]


class _Geometry(NamedTuple):
    """What a convolution slides over."""

    extent: Shape
    over: Window
    groups: int


def convolution(draft: Draft, node: Node, held: Curve, kernels: Constant, bias: Constant | None, name: str) -> Pending:
    """A Conv over one or two axes: declared N C H W or N C W. ``name``: what messages call the weights."""
    shape = held.placed.places.shape
    if kernels.numbers.ndim != len(shape):
        refuse(node, f"expected weights of {len(shape)} axes, as many as the input has, got shape {kernels.numbers.shape}")
    given = weights(node, name, kernels)
    flat = given.numbers if len(shape) == 4 else given.numbers[:, :, None, :]
    given = Weights(flat.transpose(0, 2, 3, 1), given.scales)
    group = node.attributes.get("group", 1)
    groups = group if isinstance(group, int) else 1
    if given.numbers.shape[3] * groups != shape[1] or given.numbers.shape[0] % groups:
        refuse(node, f"expected weights for {shape[1]} channels in {groups} groups, got shape {kernels.numbers.shape}")
    inner, border = unpadded(draft, held)
    image = planar(node, inner.placed.places)
    extent = (image.shape[2], image.shape[3], image.shape[1])
    over = window(node, extent, (given.numbers.shape[1], given.numbers.shape[2]), len(shape) - 2, border)
    made = (1, given.numbers.shape[0], *(over.outputs if len(shape) == 4 else over.outputs[1:]))

    def emit(out: Scaling, gain: Reals, offset: Reals) -> Placed:
        source = arranged(draft, node, replace(inner.placed, places=image), (0, 2, 3, 1))
        assert inner.scaling is not None
        parts = numbers(node, inner.scaling, given, bias, out, gain, offset)
        target = draft.new(node.outputs[0], made, (0, *range(2, len(made)), 1))
        _convolve(draft, node, (source, target.buffer), _Geometry(extent, over, groups), (inner.scaling, out), parts)
        return target

    outputs = given.numbers.shape[0]
    return Pending(node=node.name, shape=made, emit=emit, gain=np.ones(outputs), offset=np.zeros(outputs), channels=1)


def _convolve(draft: Draft, node: Node, ends: tuple[int, int], at: _Geometry, scalings: tuple[Scaling, Scaling], parts: Numbers) -> None:
    kind = Depthwise if at.groups > 1 and at.groups == at.extent[2] else Conv
    made = kind(
        name=node.name,
        input=ends[0],
        output=ends[1],
        in_shape=at.extent,
        out_shape=(*at.over.outputs, parts.weights.shape[0]),
        stride=at.over.stride,
        dilation=at.over.dilation,
        pads=(at.over.pads[0], at.over.pads[1]),
        groups=at.groups,
        zero_in=scalings[0].zero,
        zero_out=scalings[1].zero,
        low=scalings[1].low,
        high=scalings[1].high,
        **parts._asdict(),
    )
    draft.operators.append(made)


def dense(draft: Draft, node: Node, held: Curve, matrix: Constant, bias: Constant | None, name: str, *, gain: float = 1.0) -> Pending:
    """Rows of an activation times a constant matrix [outputs, inputs], the last axis with its second one."""
    given = weights(node, name, matrix)
    outputs, inputs = given.numbers.shape
    places = held.placed.places
    if places.ndim == 0 or places.shape[-1] != inputs:
        refuse(node, f"expected rows of {inputs}, got an input of shape {places.shape}")
    rows = prod(places.shape[:-1])
    made = (*places.shape[:-1], outputs)

    def emit(out: Scaling, gains: Reals, offset: Reals) -> Placed:
        source, starts, columns = _rows(draft, node, held.placed, rows, inputs)
        turned = np.empty_like(given.numbers)
        turned[:, columns] = given.numbers
        assert held.scaling is not None
        parts = numbers(node, held.scaling, Weights(turned, given.scales), bias, out, gains, offset)
        buffer = draft.buffer(node.outputs[0], rows * outputs)
        made_of = (held.scaling, out)
        draft.operators.append(_dense(node, (source, buffer), rows, made_of, parts))
        return Placed(buffer, (starts[:, None] * outputs + np.arange(outputs)).reshape(made))

    return Pending(
        node=node.name,
        shape=made,
        emit=emit,
        gain=np.full(outputs, gain),
        offset=np.zeros(outputs),
        channels=len(made) - 1,
    )


def _rows(draft: Draft, node: Node, placed: Placed, rows: int, inputs: int) -> tuple[int, Places, Places]:
    """A buffer of rows, the number of each row there, and the place of each column within a row.

    Rows whose elements lie in another order, as those of an image after Flatten, stay where they are: the columns of the
    weights follow them.
    """
    places = placed.places.reshape(rows, inputs)
    starts = places.min(axis=1)
    columns = places[0] - starts[0]
    size = draft.buffers[placed.buffer].nbytes
    same = np.array_equal(places - starts[:, None], np.broadcast_to(columns, places.shape))
    if same and size == rows * inputs and columns.max() == inputs - 1 and not (starts % inputs).any():
        numbers_of_rows = starts // inputs
        if np.unique(columns).size == inputs and np.unique(numbers_of_rows).size == rows:
            return placed.buffer, numbers_of_rows, columns
    flat = Placed(placed.buffer, places)
    return arranged(draft, node, flat, (0, 1)), np.arange(rows), np.arange(inputs)


def _dense(node: Node, ends: tuple[int, int], rows: int, scalings: tuple[Scaling, Scaling], parts: Numbers) -> Dense:
    return Dense(
        name=node.name,
        input=ends[0],
        output=ends[1],
        rows=rows,
        zero_in=scalings[0].zero,
        zero_out=scalings[1].zero,
        low=scalings[1].low,
        high=scalings[1].high,
        **parts._asdict(),
    )
