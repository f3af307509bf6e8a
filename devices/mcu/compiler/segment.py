"""A quantized segment of a network as a Program for a microcontroller.

    ONNX ─network─▶ nodes ─rules─▶ a draft: buffers and operators ─▶ Program

Each node is looked at once, in order. Views move no bytes, results wait for the QuantizeLinear that
states their scale, and what nothing reads in the end is dropped. Nothing is folded over the ends of
the segment: there each tensor has the form that the network gives it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from devices.mcu.compiler.axes import input_axes, output_axes
from devices.mcu.compiler.draft import Draft, copied, order_of
from devices.mcu.compiler.entries import Constant, Curve, Outside, Pending, Placed
from devices.mcu.compiler.rules import applied
from devices.mcu.program import Add, End, Fill, Mul, Operator, Program
from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.onnxio.network import Network, network
from edgekit.onnxio.network import Operator as Node

__all__ = ["compile_segment"]


def compile_segment(onnx: bytes, inputs: Sequence[Tensor] | None = None, outputs: Sequence[Tensor] | None = None) -> Program:
    """The Program of a segment; ``inputs`` and ``outputs``: its ends in the order in which they travel, None: as the model has them.

    Raises:
        GraphError: a node cannot run on a microcontroller; the message names it.
    """
    net = network(onnx)
    draft = Draft(net.opset)
    draft.entries |= {name: Constant(values) for name, values in net.constants.items()}
    ends = [_opened(draft, net, tensor) for tensor in (net.inputs if inputs is None else inputs)]
    for node in net.operators:
        made = applied(draft, node)
        draft.entries |= {name: entry for name, entry in zip(node.outputs, made, strict=False) if name}
    results = [_closed(draft, tensor, ends) for tensor in (net.outputs if outputs is None else outputs)]
    return _pruned(draft, [_scaled(draft, end) for end in ends], results)


def _opened(draft: Draft, net: Network, tensor: Tensor) -> End:
    """An input, and the buffer in which it comes."""
    if tensor.shape is None or 0 in tensor.shape:
        raise GraphError(f"input {tensor.name} has no fixed shape; export the network with fixed shapes")
    if len(tensor.shape) > 2 and tensor.shape[0] != 1:
        raise GraphError(f"expected input {tensor.name} of one frame, got shape {tensor.shape}; export the network with batch 1")
    if tensor.dtype not in ("int8", "uint8", "float32"):
        raise GraphError(f"expected input {tensor.name} in int8, uint8 or float32, got {tensor.dtype}; quantize the network to 8 bits")
    axes = input_axes(draft, net, tensor.name, tensor.shape)
    placed = draft.new(tensor.name, tensor.shape, axes)
    draft.entries[tensor.name] = Outside(tensor.name, placed) if tensor.dtype == "float32" else placed
    if tensor.dtype == "uint8":
        draft.unsigned.add(tensor.name)
    return End(tensor.name, placed.buffer, tensor.shape, tensor.dtype, axes)


def _scaled(draft: Draft, end: End) -> End:
    """A float input with the scale with which the network quantizes it."""
    if end.dtype != "float32":
        return end
    if end.name not in draft.scales:
        raise GraphError(f"input {end.name} is in float and nothing quantizes it; quantize the network first: edgekit quantize net.onnx")
    scale, zero = draft.scales[end.name]
    return end._replace(scale=scale, zero=zero)


def _closed(draft: Draft, tensor: Tensor, ends: Sequence[End]) -> End:
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
    raise GraphError(f"{what}; quantize the network first, for example: edgekit quantize net.onnx")


def _pruned(draft: Draft, inputs: Sequence[End], outputs: Sequence[End]) -> Program:
    """The Program without operators and buffers that no output needs."""
    needed = {end.buffer for end in outputs}
    kept: list[Operator] = []
    for operator in reversed(draft.operators):
        if operator.output in needed:
            kept.append(operator)
            needed.update(_reads(operator))
    used = sorted(needed | {end.buffer for end in inputs})
    number = {buffer: index for index, buffer in enumerate(used)}
    return Program(
        buffers=tuple(draft.buffers[buffer] for buffer in used),
        operators=tuple(_renumbered(operator, number) for operator in reversed(kept)),
        inputs=tuple(end._replace(buffer=number[end.buffer]) for end in inputs),
        outputs=tuple(end._replace(buffer=number[end.buffer]) for end in outputs),
    )


def _reads(operator: Operator) -> list[int]:
    if isinstance(operator, Fill):
        return []
    other = [operator.other] if isinstance(operator, Add | Mul) and isinstance(operator.other, int) else []
    return [operator.input, *other]


def _renumbered(operator: Operator, number: Mapping[int, int]) -> Operator:
    if isinstance(operator, Fill):
        return replace(operator, output=number[operator.output])
    if isinstance(operator, Add | Mul) and isinstance(operator.other, int):
        operator = replace(operator, other=number[operator.other])
    return replace(operator, input=number[operator.input], output=number[operator.output])
