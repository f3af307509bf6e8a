"""A network that also gives what it has in between."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

from edgekit.onnxio.file_bytes import Model
from edgekit.onnxio.weight_bytes import join

__all__ = ["exposed", "weight"]


def exposed(model: Model, names: Iterable[str]) -> bytes:
    """The network with some of its tensors as further outputs, behind its own."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    have = {value.name for value in (*proto.graph.output, *proto.graph.input)}
    proto.graph.output.extend(model.described[name] for name in dict.fromkeys(names) if name not in have)
    return join(proto, model.payloads)


def weight(model: Model, name: str) -> NDArray[np.generic] | None:
    """The values of a weight; None: there is none of this name."""
    if name in model.payloads:
        return np.asarray(numpy_helper.to_array(TensorProto.FromString(bytes(model.payloads[name]))))
    held = next((each for each in model.proto.graph.initializer if each.name == name), None)
    return None if held is None else np.asarray(numpy_helper.to_array(held))
