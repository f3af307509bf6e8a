"""Scales and zeros: QuantizeLinear, DequantizeLinear, and those that QLinear operators carry with them."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import clamp_range
from devices.mcu.compiler.draft import Draft, mapped, refuse
from devices.mcu.compiler.entries import Constant, Curve, Entry, Outside, Pending, Placed, Scaling, dequantized
from devices.mcu.compiler.functions import table
from edgekit.errors import GraphError
from edgekit.onnxio.network import Operator as Node

__all__ = ["activation", "emitted", "note_type", "quantized", "scaling", "settled", "weight"]

SIGNED = {"int8": 0, "uint8": 128}
"""What is subtracted from a number and its zero for the board."""


def scaling(draft: Draft, node: Node, scale: int, zero: int) -> Scaling:
    """The scale and zero of an activation, from two inputs of a node; without a zero it is uint8 and 0."""
    found = draft.constant(node, scale).values.ravel()
    zeros = draft.constant(node, zero).values.ravel() if draft.has(node, zero) else np.zeros(1, _type_without_zero(node))
    if found.size != 1 or zeros.size != 1:
        refuse(node, f"expected one scale for an activation, got {found.size}; quantize activations per tensor")
    if zeros.dtype.name not in SIGNED:
        refuse(node, f"expected int8 or uint8, got {zeros.dtype.name}; quantize the network to 8 bits")
    if not np.isfinite(found[0]) or found[0] <= 0:
        refuse(node, f"expected a scale above 0, got {float(found[0])}; quantize the network again")
    return Scaling(float(found[0]), int(zeros[0]) - SIGNED[zeros.dtype.name])


def _type_without_zero(node: Node) -> str:
    """Of a QuantizeLinear: uint8, or what it states (3 is int8 in ONNX)."""
    return "int8" if node.attributes.get("output_dtype") == 3 else "uint8"


def activation(draft: Draft, node: Node, index: int, scale: int, zero: int) -> Curve:
    """An int8 or uint8 input with the scale and zero that the node states."""
    entry = draft.entry(node, index)
    if not isinstance(entry, Placed):
        refuse(node, f"expected {node.inputs[index]} in int8 or uint8, got {'a constant' if isinstance(entry, Constant) else 'float'}")
    found = scaling(draft, node, scale, zero) if draft.has(node, zero) else _unsigned_or_not(draft, node, index, scale)
    return dequantized(entry, found.scale, found.zero)


def _unsigned_or_not(draft: Draft, node: Node, index: int, scale: int) -> Scaling:
    """Without a zero, the number 0 is it, which a board sees as -128 where the tensor is uint8."""
    found = draft.constant(node, scale).values.ravel()
    if found.size != 1:
        refuse(node, f"expected one scale for an activation, got {found.size}; quantize activations per tensor")
    return Scaling(float(found[0]), -128 if node.inputs[index] in draft.unsigned else 0)


def weight(draft: Draft, node: Node, index: int, scale: int, zero: int, axis: int) -> Constant:
    """A constant with scales along an axis, or with one for all."""
    numbers = draft.constant(node, index).numbers
    scales = draft.constant(node, scale).values.astype(np.float64)
    zeros: NDArray[Any] = draft.constant(node, zero).values if draft.has(node, zero) else np.zeros((), numbers.dtype)
    if numbers.dtype.name not in (*SIGNED, "int32"):
        refuse(node, f"expected weights in int8, got {numbers.dtype.name}; quantize the network to 8 bits")
    if node.attributes.get("block_size"):
        refuse(node, "its scales are for blocks of weights, expected one for each output channel; quantize again")
    shape = [1] * numbers.ndim
    if scales.size > 1:
        if numbers.shape[axis % numbers.ndim] != scales.size:
            refuse(node, f"expected {numbers.shape[axis % numbers.ndim]} scales along axis {axis}, got {scales.size}")
        shape[axis % numbers.ndim] = scales.size
    wide = np.broadcast_to(scales.reshape(shape if scales.size > 1 else [1] * numbers.ndim), numbers.shape)
    offset = zeros.astype(np.int64).reshape(shape if zeros.size > 1 else [1] * numbers.ndim)
    return Constant(numbers.astype(np.int64) - offset, wide)


def quantized(draft: Draft, node: Node, entry: Entry, out: Scaling) -> Entry:
    """A real tensor as int8 numbers."""
    match entry:
        case Outside():
            return settled(draft, node, entry, out)
        case Pending():
            return emitted(entry, out)
        case Curve():
            if entry.scaling is not None and (entry.scaling.scale, entry.scaling.zero) == (out.scale, out.zero):
                return entry.placed
            return mapped(draft, node, entry.placed, table(entry, out))
        case Placed():
            refuse(node, f"{node.inputs[0]} is in int8 already, expected float")
        case _:
            refuse(node, f"{node.inputs[0]} is a constant; export the network with constants folded")


def emitted(entry: Pending, out: Scaling) -> Placed:
    """The operator that a tensor waits for, with an output scale."""
    try:
        low, high = clamp_range(entry.low, entry.high, out.scale, out.zero)
        none = np.zeros(0)
        bounded = out._replace(low=max(low, out.low), high=min(high, out.high))
        made = entry.emit(bounded, none if entry.gain is None else entry.gain, none if entry.offset is None else entry.offset)
    except GraphError as error:
        if str(error).startswith("node "):
            raise
        raise GraphError(f"node {entry.node}: {error}") from error
    places = made.places
    for view in entry.views:
        places = view(places)
    return replace(made, places=places)


def note_type(draft: Draft, node: Node, zero: int) -> None:
    """Remember that the output of a node is uint8, which its zero tells."""
    dtype = draft.constant(node, zero).numbers.dtype.name if draft.has(node, zero) else _type_without_zero(node)
    if dtype == "uint8":
        draft.unsigned.add(node.outputs[0])


def settled(draft: Draft, node: Node, entry: Outside, out: Scaling) -> Placed:
    """A float input, which the host brings to int8 with the scale of the first QuantizeLinear that reads it."""
    held = draft.scales.setdefault(entry.name, (out.scale, out.zero))
    if held == (out.scale, out.zero):
        return entry.placed
    refuse(node, f"input {entry.name} is quantized with scales {held[0]} and {out.scale}, expected one; quantize the network again")
