"""In which order the tensors that travel lie on the board."""

from collections.abc import Sequence
from math import prod

import numpy as np

from devices.mcu.compiler.arrangements import views
from devices.mcu.compiler.draft import Draft, order_of
from devices.mcu.compiler.entries import Placed, Places, viewed
from edgekit.errors import GraphError
from edgekit.onnxio.network import Network, Operator

__all__ = ["input_axes", "output_axes"]

ALONG = frozenset("Cast Clip DequantizeLinear Flatten Identity Pad QuantizeLinear Relu Reshape Sigmoid Squeeze Transpose Unsqueeze".split())
"""Operators whose output lies as their input does."""

CHANNELS_FIRST = frozenset(
    "AveragePool Conv GlobalAveragePool GlobalMaxPool MaxPool QLinearAveragePool QLinearConv QLinearGlobalAveragePool".split()
)
"""Operators that are declared with channels before height and width, and whose kernels want them behind."""


def input_axes(draft: Draft, net: Network, name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The transposition of an input that its first convolution or pool asks for; else channels last where there are 4 axes."""
    waiting = [(name, np.arange(prod(shape)).reshape(shape))]
    while waiting:
        found, places = waiting.pop(0)
        for node in (node for node in net.operators if node.inputs and node.inputs[0] == found):
            if node.op in CHANNELS_FIRST and places.ndim in (3, 4):
                wanted = places.transpose(0, *range(2, places.ndim), 1)
                return _axes_of(wanted, shape)
            if node.op in ALONG and node.outputs:
                waiting.append((node.outputs[0], _seen(draft, node, places)))
    return _usual(len(shape))


def _seen(draft: Draft, node: Operator, places: Places) -> Places:
    if node.op not in ("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"):
        return places
    entries = draft.entries
    draft.entries = {**entries, node.inputs[0]: Placed(0, places)}
    try:
        made = viewed(draft.entries[node.inputs[0]], views(draft, node)[0])
    except (GraphError, ValueError):
        return places
    finally:
        draft.entries = entries
    assert isinstance(made, Placed)
    return made.places


def _axes_of(wanted: Places, shape: Sequence[int]) -> tuple[int, ...]:
    """The transposition of a shape that gives an order of elements; the usual one where none does."""
    flat = wanted.ravel()
    at = np.empty(flat.size, np.int64)
    at[flat] = np.arange(flat.size)
    return output_axes(at.reshape(shape)) or _usual(len(shape))


def _usual(rank: int) -> tuple[int, ...]:
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


def output_axes(places: Places) -> tuple[int, ...] | None:
    """The transposition from the declared shape to that in which a buffer lies; None: there is none."""
    rank = places.ndim
    usual = [_usual(rank), tuple(range(rank)), (0, *range(2, rank), 1) if rank > 1 else (0,), order_of(places)]
    same = np.arange(places.size)
    return next((axes for axes in usual if len(axes) == rank and np.array_equal(places.transpose(axes).ravel(), same)), None)
