"""A stage's model with codecs at its ends: nodes that read what comes as it is written, and write what leaves.

x::u8, x::scale, x::zero ─ DequantizeLinear ─ x ─ … the model … ─ y ─ Cast ─▶ y::fp16
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from onnx import ModelProto, TensorProto, helper

from edgekit.codec import OPSETS, Codec, Written, carried
from edgekit.graph import Tensor
from edgekit.onnxio.reading import value_info
from edgekit.onnxio.wire import join, split

__all__ = ["coded"]


def coded(data: bytes, inputs: Sequence[Written], outputs: Sequence[Written]) -> bytes:
    """The model of a stage that reads ``inputs`` and makes ``outputs``, each as its codec writes it.

    What is read need not be an input of the model, nor what is written made by it: that is only written otherwise than it came.
    The graph that the model is of must be of an opset that has the codecs' nodes.
    """
    proto, payloads = split(data)
    described = {value.name: value for value in (*proto.graph.input, *proto.graph.output)}
    made = ModelProto()
    made.CopyFrom(proto)
    del made.graph.node[:], made.graph.input[:], made.graph.output[:]
    made.graph.input.extend(_values(inputs, described))
    made.graph.output.extend(_values(outputs, described))
    made.graph.node.extend(node for tensor, codec in inputs if codec != "raw" for node in _read(tensor, codec))
    made.graph.node.extend(proto.graph.node)
    made.graph.node.extend(node for tensor, codec in outputs if codec != "raw" for node in _written(tensor, codec))
    _raise_opset(made, max(OPSETS[codec] for _, codec in (*inputs, *outputs)))
    return join(made, payloads)


def _values(ends: Sequence[Written], described: dict[str, Any]) -> Iterator[Any]:
    for tensor, codec in ends:
        for each in carried(tensor, codec):
            yield described.get(each.name) or value_info(each)


def _read(tensor: Tensor, codec: Codec) -> Iterable[Any]:
    names = [each.name for each in carried(tensor, codec)]
    if codec == "fp16":
        return [helper.make_node("Cast", names, [tensor.name], f"{tensor.name}::read", to=TensorProto.FLOAT)]
    return [helper.make_node("DequantizeLinear", names, [tensor.name], f"{tensor.name}::read")]


def _written(tensor: Tensor, codec: Codec) -> Iterable[Any]:
    names = [each.name for each in carried(tensor, codec)]
    if codec == "fp16":
        return [helper.make_node("Cast", [tensor.name], names, f"{tensor.name}::{codec}", to=TensorProto.FLOAT16)]
    return [helper.make_node("DynamicQuantizeLinear", [tensor.name], names, f"{tensor.name}::{codec}")]


def _raise_opset(proto: Any, least: int) -> None:
    """Nodes mean the same at any opset between the lowest that they can have, which the model is stamped with, and that of its graph."""
    own = next((entry for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), None)
    if own is None:
        proto.opset_import.append(helper.make_opsetid("", least))
    elif own.version < least:
        own.version = least
    proto.ir_version = max(proto.ir_version, helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True))
