"""Borders of zeros: written around a tensor, or taken into the window of the operator that reads it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from devices.mcu.compiler.draft import Draft, Padded, contiguous, copied, order_of, refuse
from devices.mcu.compiler.entries import Curve, Placed
from devices.mcu.program import Fill
from edgekit.onnxio.network import Operator as Node

__all__ = ["padded", "unpadded"]

ORDERS = ((0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1), (0, 1, 2))


def padded(draft: Draft, node: Node, placed: Placed, before: Sequence[int], after: Sequence[int], value: int) -> Placed:
    """A tensor within a border of one number; it is dropped again where every reader takes the border into itself."""
    if min(*before, *after) < 0:
        refuse(node, f"expected pads of at least 0, got {tuple(before)} and {tuple(after)}")
    if not -128 <= value <= 127:
        refuse(node, f"its border is {value} in int8, expected a value within the range of the tensor")
    if not any((*before, *after)):
        return placed
    source = contiguous(draft, node, placed)
    shape = [size + first + last for size, first, last in zip(source.places.shape, before, after, strict=True)]
    made = draft.new(node.outputs[0], shape, order_of(source.places))
    draft.operators.append(Fill(name=node.name, output=made.buffer, value=value))
    inside = tuple(slice(first, first + size) for first, size in zip(before, source.places.shape, strict=True))
    copied(draft, node, source.buffer, made.buffer, source.places, made.places[inside])
    draft.padded[made.buffer] = Padded(placed, tuple(before), tuple(after), value, made.places)
    return made


def unpadded(draft: Draft, held: Curve) -> tuple[Curve, tuple[int, int, int, int]]:
    """What stands within a border of zeros along height and width, and its pads: top, left, bottom, right."""
    none = (0, 0, 0, 0)
    found = draft.padded.get(held.placed.buffer)
    places = held.placed.places
    if found is None or held.scaling is None or found.value != held.scaling.zero or found.outer.ndim != places.ndim:
        return held, none
    for axes in ORDERS:
        if len(axes) != places.ndim or not np.array_equal(found.outer.transpose(axes), places):
            continue
        before, after = ([pads[axis] for axis in axes] for pads in (found.before, found.after))
        if any((before[0], before[1], after[0], after[1])):
            break
        inner = replace(held, placed=replace(found.inner, places=found.inner.places.transpose(axes)))
        border = (before[2], before[3], after[2], after[3]) if len(axes) == 4 else (0, before[2], 0, after[2])
        return inner, border
    return held, none
