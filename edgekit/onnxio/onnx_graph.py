"""An .onnx file as a Graph."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from edgekit.errors import GraphError
from edgekit.graph import Graph, Node, Tensor
from edgekit.graph.unit_rule import group
from edgekit.onnxio.depends import constant_nodes
from edgekit.onnxio.file_bytes import Model, decode, file_bytes, load
from edgekit.onnxio.fixed import fixed_shape
from edgekit.onnxio.macs import macs
from edgekit.onnxio.names import module_of, reads

__all__ = ["element_type", "kernel_nodes", "read", "value_info"]

_DTYPE = {"FLOAT": "float32", "DOUBLE": "float64"}


def read(source: str | Path | bytes | Model) -> Graph:
    """The network in a normalised file; its digest is the SHA-256 of the file.

    Raises:
        GraphError: missing, not ONNX, or not normalised.
    """
    model = load(source)
    proto = model.proto.graph
    weights = tuple(
        [Tensor(weight.name, tuple(weight.dims), _dtype(weight.data_type)) for weight in proto.initializer]
        + [Tensor(w.values.name, tuple(w.dims), _dtype(w.values.data_type)) for w in proto.sparse_initializer]
    )
    tensors = _tensors(model)
    shapes = {tensor.name: tensor.shape for tensor in (*weights, *tensors)}
    constant = constant_nodes(list(proto.node), (weight.name for weight in weights))
    nodes = tuple(
        Node(n.name, n.op_type, reads(n), tuple(name for name in n.output if name), macs(n, shapes), n.name in constant, module_of(n))
        for n in proto.node
    )
    outputs = tuple(value.name for value in proto.output)
    ordered, units = group(nodes, outputs)
    if ordered != nodes:
        raise GraphError(f"{model.name}: expected nodes in the order of units, got another one; run edgekit export on the original again")
    opset = max((entry.version for entry in model.proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    inputs = tuple(value.name for value in proto.input)
    return Graph(model.name, model.digest, nodes, units, tensors, weights, inputs, outputs, opset)


def _tensors(model: Model) -> tuple[Tensor, ...]:
    """Every input and every tensor that a node makes, in that order."""
    graph = model.proto.graph
    names = [value.name for value in graph.input] + [name for node in graph.node for name in node.output if name]
    missing = [name for name in names if name not in model.described]
    if missing:
        raise GraphError(f"{model.name}: tensor {missing[0]} has no type; run edgekit export on the original again")
    return tuple(_tensor(name, model.described[name].type) for name in names)


def _tensor(name: str, kind: Any) -> Tensor:
    if not kind.HasField("tensor_type"):
        return Tensor(name, None, str(kind.WhichOneof("value") or "unknown").removesuffix("_type"))
    return Tensor(name, fixed_shape(kind), _dtype(kind.tensor_type.elem_type))


def _dtype(element: int) -> str:
    if element not in TensorProto.DataType.values():
        return "unknown"
    name = str(TensorProto.DataType.Name(element))
    return _DTYPE.get(name, name.lower())


def kernel_nodes(model: bytes | Path) -> tuple[Node, ...]:
    """The nodes of a model as onnxruntime optimised and saved it; its weights are not looked at.

    What a node reads twice is named twice: it may stand for two tensors of the original.

    Raises:
        GraphError: missing, or not ONNX.
    """
    proto, _ = decode(model, "the model") if isinstance(model, bytes) else decode(file_bytes(model), str(model))
    return tuple(
        Node(n.name or f"{n.op_type}_{i}", n.op_type, _each_time(n), tuple(filter(None, n.output))) for i, n in enumerate(proto.graph.node)
    )


def _each_time(node: Any) -> tuple[str, ...]:
    own = tuple(filter(None, node.input))
    return own + tuple(name for name in reads(node) if name not in own)


def element_type(tensor: Tensor) -> int:
    """What ONNX calls the type of a tensor's elements."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)))


def value_info(tensor: Tensor) -> Any:
    """The description of a tensor as a model has it."""
    return helper.make_tensor_value_info(tensor.name, element_type(tensor), tensor.shape)
