"""A stage's model with codecs at its ends: nodes that read what comes as it is written, and write what leaves.

x::u8, x::scale, x::zero ─ DequantizeLinear ─ x ─ … the model … ─ y ─ Cast ─▶ y::fp16
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from onnx import ModelProto, TensorProto, helper

from edgekit.codec import FREE, OPSETS, STRAIGHT, Codec, Written, carried
from edgekit.graph import Held, Tensor
from edgekit.onnxio.channel_steps import constants, from_steps, to_steps
from edgekit.onnxio.onnx_graph import value_info
from edgekit.onnxio.straight import needed, restored, taken
from edgekit.onnxio.weight_bytes import join, split
from edgekit.range import Range

__all__ = ["coded"]


def coded(
    data: bytes, inputs: Sequence[Written], outputs: Sequence[Written], *, ranges: Iterable[Range] = (), held: Iterable[Held] = ()
) -> bytes:
    """The model of a stage that reads ``inputs`` and makes ``outputs``, each as its codec writes it.

    What is read need not be an input of the model, nor what is written made by it: that is only written otherwise than it came.
    The graph that the model is of must be of an opset that has the codecs' nodes, and ``ranges`` hold those of all tensors in u8c,
    ``held`` what goes straight in; what goes straight out is made by the model.
    """
    proto, payloads = split(data)
    described = {value.name: value for value in (*proto.graph.input, *proto.graph.output)}
    known = {each.tensor: each for each in ranges}
    straight = {each.tensor: each for each in held}
    made = ModelProto()
    made.CopyFrom(proto)
    del made.graph.node[:], made.graph.input[:], made.graph.output[:]
    made.graph.input.extend(_values(inputs, described))
    made.graph.output.extend(_values(outputs, described))
    nodes, weights = list(proto.graph.node), {weight.name: weight for weight in proto.graph.initializer}
    for whole in (straight[tensor.name] for tensor, codec in inputs if codec in STRAIGHT):
        restoring, steps = restored(whole)
        nodes = [restoring, *taken(nodes, weights, whole)]
        made.graph.initializer.extend(steps)
    nodes = [node for tensor, codec in inputs for node in _read(tensor, codec)] + nodes
    nodes += [node for tensor, codec in outputs for node in _written(tensor, codec)]
    made.graph.node.extend(needed(nodes, [value.name for value in made.graph.output]))
    counted = dict.fromkeys(tensor for tensor, codec in (*inputs, *outputs) if codec == "u8c")
    made.graph.initializer.extend(constant for tensor in counted for constant in constants(tensor, known[tensor.name]))
    _raise_opset(made, max(OPSETS[codec] for _, codec in (*inputs, *outputs)))
    return join(made, payloads)


def _values(ends: Sequence[Written], described: dict[str, Any]) -> Iterator[Any]:
    for tensor, codec in ends:
        for each in carried(tensor, codec):
            yield described.get(each.name) or value_info(each)


def _read(tensor: Tensor, codec: Codec) -> list[Any]:
    names, name = [each.name for each in carried(tensor, codec)], f"{tensor.name}::read"
    if codec in FREE:
        return []
    if codec == "fp16":
        return [helper.make_node("Cast", names, [tensor.name], name, to=TensorProto.FLOAT)]
    if codec == "u8c":
        return from_steps(tensor, names[0])
    return [helper.make_node("DequantizeLinear", names, [tensor.name], name)]


def _written(tensor: Tensor, codec: Codec) -> list[Any]:
    names, name = [each.name for each in carried(tensor, codec)], f"{tensor.name}::{codec}"
    if codec in FREE:
        return []
    if codec == "fp16":
        return [helper.make_node("Cast", [tensor.name], names, name, to=TensorProto.FLOAT16)]
    if codec == "u8c":
        return to_steps(tensor, names[0])
    return [helper.make_node("DynamicQuantizeLinear", [tensor.name], names, name)]


def _raise_opset(proto: Any, least: int) -> None:
    """Nodes mean the same at any opset between the lowest that they can have, which the model is stamped with, and that of its graph."""
    own = next((entry for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), None)
    if own is None:
        proto.opset_import.append(helper.make_opsetid("", least))
    elif own.version < least:
        own.version = least
    proto.ir_version = max(proto.ir_version, helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True))
