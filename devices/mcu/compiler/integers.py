"""Weights, biases and multipliers of an operator that sums products, as integers."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import multiplier_of
from devices.mcu.compiler.draft import QUANTIZE, Draft, refuse
from devices.mcu.compiler.entries import Constant, Reals, Scaling
from devices.mcu.program import Bytes, Words
from edgekit.errors import GraphError
from edgekit.onnxio.network import Operator as Node

__all__ = ["Numbers", "Weights", "bytes_of", "numbers", "optional_bias", "weights"]


class Weights(NamedTuple):
    """int8 numbers, output channels first, and the scale of each channel."""

    numbers: NDArray[np.int64]
    scales: Reals


class Numbers(NamedTuple):
    """What an operator multiplies, adds and scales by."""

    weights: Bytes
    bias: Words
    multiplier: Words
    shift: Words


def weights(node: Node, name: str, constant: Constant) -> Weights:
    """The weights of a node with one scale for each output channel, which is the first axis; those in float must lie on a grid."""
    values = constant if constant.scale is not None else _gridded(node, name, constant.numbers)
    assert values.scale is not None
    found = values.numbers.astype(np.int64)
    outputs = found.shape[0]
    scales = np.broadcast_to(values.scale, found.shape).reshape(outputs, -1)
    if (scales != scales[:, :1]).any():
        refuse(node, f"{name} has scales along another axis than its outputs; quantize it per output channel or per tensor")
    if found.size and (found.min() < -128 or found.max() > 127):
        least, most = int(found.min()), int(found.max())
        what = f"expected symmetric weights, got {name} whose numbers less their zero are {least} to {most}"
        refuse(node, f"{what}; quantize with WeightSymmetric=True and int8 weights")
    return Weights(found, np.asarray(scales[:, 0], np.float64))


def _gridded(node: Node, name: str, values: NDArray[Any]) -> Constant:
    """Float values that are whole multiples of a scale, of the whole tensor or of each output channel."""
    flat = values.astype(np.float64).reshape(values.shape[0], -1)
    scale = _grid(flat)
    if scale is not None:
        scales = np.full(flat.shape[0], scale)
    else:
        each = [_grid(row) for row in flat]
        if any(scale is None for scale in each):
            refuse(node, f"{name} is in float, expected int8; {QUANTIZE}")
        scales = np.array(each, np.float64)
    shaped = np.broadcast_to(scales.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
    return Constant(np.rint(values / shaped).astype(np.int64), shaped)


def _grid(values: Reals) -> float | None:
    """The scale with which values are int8 numbers; None: there is none."""
    most = float(np.abs(values).max(initial=0.0))
    if most == 0.0:
        return 1.0
    for steps in range(128, 0, -1):
        ratio = values * (steps / most)
        numbers = np.rint(ratio)
        if numbers.max() <= 127 and np.abs(ratio - numbers).max() < 1e-3:
            return most / steps
    return None


def optional_bias(draft: Draft, node: Node, index: int) -> Constant | None:
    """The bias of a node, if it has one."""
    return draft.constant(node, index) if draft.has(node, index) else None


def numbers(node: Node, held: Scaling, given: Weights, bias: Constant | None, out: Scaling, gain: Reals, offset: Reals) -> Numbers:
    """The integers that make out = gain · (x · w + bias) + offset, for each output channel."""
    outputs = given.numbers.shape[0]
    sign = np.where(gain < 0, -1, 1)
    turned = given.numbers * sign.reshape(-1, *[1] * (given.numbers.ndim - 1))
    turned = np.where((gain == 0).reshape(-1, *[1] * (turned.ndim - 1)), 0, turned)
    if turned.size and turned.max() > 127:
        refuse(node, "its weight -128 is multiplied by a negative number, which int8 cannot hold; quantize with weights in [-127, 127]")
    size = np.where(gain == 0, 1.0, np.abs(gain))
    unit = held.scale * np.where(given.scales == 0, 1.0, given.scales)
    words = _bias_numbers(node, bias, unit, outputs, sign, np.where(gain == 0, 0, 1), offset / size)
    return Numbers(turned.astype(np.int8), *_fitted(node, words, unit * size / out.scale, turned))


def _bias_numbers(
    node: Node, bias: Constant | None, unit: Reals, outputs: int, sign: NDArray[Any], used: NDArray[Any], offset: Reals
) -> Reals:
    """The bias in the unit of the products, not yet in the range of int32."""
    if bias is None:
        return np.asarray(np.rint(offset / unit), np.float64)
    if bias.numbers.size not in (1, outputs):
        refuse(node, f"expected a bias for each of {outputs} outputs, got one of shape {bias.numbers.shape}")
    values = np.broadcast_to(bias.values.astype(np.float64).ravel(), (outputs,)) * sign * used
    same = bias.scale is not None and np.allclose(np.broadcast_to(bias.scale.ravel(), (outputs,)), unit, rtol=1e-5, atol=0)
    if same and not offset.any():
        return np.asarray(np.broadcast_to(bias.numbers.ravel(), (outputs,)) * sign * used, np.float64)
    return np.asarray(np.rint((values + offset) / unit), np.float64)


def _fitted(node: Node, words: Reals, real: Reals, turned: NDArray[Any]) -> tuple[Words, Words, Words]:
    """Biases in int32, and multipliers; a channel without weights may take a coarser unit so that its bias fits."""
    empty = ~turned.reshape(turned.shape[0], -1).any(axis=1)
    coarser = np.where(empty & (np.abs(words) > 2**24), np.abs(words) / 2**24, 1.0)
    words, real = np.rint(words / coarser), real * coarser
    room = 2**31 - 1 - 255.0 * np.abs(turned.reshape(turned.shape[0], -1)).sum(axis=1)
    if (np.abs(words) > room).any():
        channel = int(np.argmax(np.abs(words) - room))
        refuse(node, f"the sum of output channel {channel} does not fit into int32 (its bias is {words[channel]:.0f}); quantize again")
    try:
        pairs = [multiplier_of(float(each)) for each in real]
    except GraphError as error:
        refuse(node, str(error))
    multiplier, shift = np.array(pairs, np.int64).reshape(-1, 2).T
    return words.astype(np.int32), multiplier.astype(np.int32), shift.astype(np.int32)


def bytes_of(node: Node, name: str, constant: Constant) -> tuple[NDArray[np.int64], Scaling]:
    """A constant operand as int8 numbers with one scale and one zero."""
    values = constant
    if values.scale is None:
        flat = _gridded(node, name, np.atleast_1d(constant.numbers).reshape(1, -1))
        assert flat.scale is not None
        values = Constant(flat.numbers.reshape(constant.numbers.shape), flat.scale.reshape(constant.numbers.shape))
    assert values.scale is not None
    found, scales = values.numbers.astype(np.int64), values.scale
    if found.size == 0 or (scales != scales.ravel()[0]).any():
        refuse(node, f"expected one scale of the constant {name}, got one for each channel; quantize it per tensor")
    least, most = int(found.min()), int(found.max())
    zero = 0 if least >= -128 and most <= 127 else max(-128 - least, -128)
    if zero > 127 or most + zero > 127:
        refuse(node, f"the constant {name} does not fit into int8; quantize it per tensor to int8 or uint8")
    return found + zero, Scaling(float(scales.ravel()[0]), zero)
