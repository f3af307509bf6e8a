"""The ends of a segment: buffers for what comes in, and those in which its results lie."""

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from devices.mcu.compiler.axes import output_axes
from devices.mcu.compiler.draft import QUANTIZE, Draft, copied, order_of
from devices.mcu.compiler.entries import Constant, Curve, Outside, Pending, Placed
from devices.mcu.program import End
from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.onnxio.network import Operator as Node

__all__ = ["checked", "closed", "opened", "scaled_end"]


def checked(tensor: Tensor) -> tuple[int, ...]:
    """The shape of an input.

    Raises:
        GraphError: a microcontroller cannot take it.
    """
    if tensor.shape is None or 0 in tensor.shape:
        raise GraphError(f"input {tensor.name} has no fixed shape; export the network with fixed shapes")
    if len(tensor.shape) > 2 and tensor.shape[0] != 1:
        raise GraphError(f"expected input {tensor.name} of one frame, got shape {tensor.shape}; export the network with batch 1")
    if tensor.dtype not in ("int8", "uint8", "float32"):
        raise GraphError(f"expected input {tensor.name} in int8, uint8 or float32, got {tensor.dtype}; quantize the network to 8 bits")
    return tensor.shape


def opened(draft: Draft, tensor: Tensor, axes: tuple[int, ...]) -> End:
    """An input, and the buffer in which it comes."""
    assert tensor.shape is not None
    placed = draft.new(tensor.name, tensor.shape, axes)
    draft.entries[tensor.name] = Outside(tensor.name, placed) if tensor.dtype == "float32" else placed
    if tensor.dtype == "uint8":
        draft.unsigned.add(tensor.name)
    return End(tensor.name, placed.buffer, tensor.shape, tensor.dtype, axes)


def scaled_end(draft: Draft, end: End) -> End:
    """A float input with the scale with which the network quantizes it."""
    if end.dtype != "float32":
        return end
    if end.name not in draft.scales:
        raise GraphError(f"input {end.name} is in float and nothing quantizes it; {QUANTIZE}")
    scale, zero = draft.scales[end.name]
    return end._replace(scale=scale, zero=zero)


def closed(draft: Draft, tensor: Tensor, ends: Sequence[End]) -> End:
    """An output, and the buffer in which it lies: one of its own where it would lie in that of an input."""
    maker = Node("Output", "", tensor.name, (tensor.name,), (tensor.name,), {})
    entry = draft.entries.get(tensor.name)
    scale, zero = 1.0, 0
    if isinstance(entry, Curve):
        scale, zero, *_ = draft.held(maker, 0).scaling or (scale, zero)
        entry = entry.placed
    if not isinstance(entry, Placed):
        _refuse_output(tensor.name, entry)
    axes = output_axes(entry.places)
    inside = {end.buffer for end in ends}
    if axes is None or entry.buffer in inside or entry.places.size != draft.buffers[entry.buffer].nbytes:
        axes = order_of(entry.places)
        flat = entry.places.transpose(axes).ravel()
        buffer = draft.buffer(tensor.name, flat.size)
        copied(draft, maker, entry.buffer, buffer, flat, np.arange(flat.size))
        return End(tensor.name, buffer, entry.places.shape, tensor.dtype, axes, scale, zero)
    return End(tensor.name, entry.buffer, entry.places.shape, tensor.dtype, axes, scale, zero)


def _refuse_output(name: str, entry: Pending | Outside | Constant | None) -> NoReturn:
    match entry:
        case Pending():
            what = f"node {entry.node} makes output {name} in float, expected a QuantizeLinear behind it"
        case Constant():
            what = f"output {name} is a constant, expected a tensor that the network computes"
        case _:
            what = f"output {name} is in float as it comes in, expected a tensor in int8"
    raise GraphError(f"{what}; {QUANTIZE}")
