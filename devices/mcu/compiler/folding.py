"""What an operator takes into itself: BatchNormalization, sums and products with constants, and bounds."""

from dataclasses import replace
from typing import NoReturn

import numpy as np

from devices.mcu.compiler.draft import Draft, refuse
from devices.mcu.compiler.entries import Constant, Pending, Reals
from edgekit.onnxio.network import Operator as Node

__all__ = ["affine", "bounded", "normalised"]


def bounded(entry: Pending, low: float, high: float) -> Pending:
    """A result kept between two values, and between those that it had: Relu6 of a Relu keeps to both."""
    return replace(entry, low=min(max(entry.low, low), high), high=max(min(entry.high, high), low))


def normalised(draft: Draft, node: Node, entry: Pending) -> Pending:
    """A result through BatchNormalization: (x - mean) · scale / sqrt(variance + epsilon) + bias."""
    scale, bias, mean, variance = (draft.constant(node, index).values.astype(np.float64) for index in range(1, 5))
    epsilon = float(np.asarray(node.attributes.get("epsilon", 1e-5)))
    gain = scale / np.sqrt(variance + epsilon)
    if gain.shape != (entry.shape[1] if len(entry.shape) > 1 else 0,) or entry.channels != 1:
        refuse(node, f"expected numbers for each of the channels of {entry.shape}, got {gain.shape}")
    return _folded(node, entry, gain, bias - mean * gain)


def affine(node: Node, entry: Pending, constant: Constant) -> Pending:
    """A result plus, minus, times or divided by a constant, the same for all elements of a channel."""
    if entry.gain is None:
        _refuse_float(node, entry)
    values = constant.values.astype(np.float64)
    channels = entry.gain.size
    if np.broadcast_shapes(values.shape, entry.shape) != entry.shape:
        refuse(node, f"expected a constant that fits {entry.shape}, got shape {values.shape}")
    wide = np.broadcast_to(values, entry.shape)
    flat = np.moveaxis(wide, entry.channels, 0).reshape(channels, -1)
    if (flat != flat[:, :1]).any():
        refuse(node, f"expected one number for each of {channels} channels, got shape {values.shape}")
    each = flat[:, 0]
    ones, zeros = np.ones(channels), np.zeros(channels)
    match node.op:
        case "Add":
            return _folded(node, entry, ones, each)
        case "Sub":
            return _folded(node, entry, ones, -each)
        case "Mul":
            return _folded(node, entry, each, zeros)
        case "Div" if each.all():
            return _folded(node, entry, 1 / each, zeros)
        case _:
            _refuse_float(node, entry)


def _refuse_float(node: Node, entry: Pending) -> NoReturn:
    what = f"it reads what node {entry.node} makes in float, expected a QuantizeLinear in between"
    refuse(node, f"{what}; quantize the network again")


def _folded(node: Node, entry: Pending, gain: Reals, offset: Reals) -> Pending:
    if entry.gain is None or entry.offset is None or entry.views or (entry.low, entry.high) != (-np.inf, np.inf):
        refuse(node, f"it cannot be folded into node {entry.node}: something stands between them; quantize the network again")
    return replace(entry, gain=entry.gain * gain, offset=entry.offset * gain + offset)
