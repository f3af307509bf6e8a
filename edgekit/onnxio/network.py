"""What a model holds in plain Python and numpy, for a compiler that does not import onnx."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.onnxio.file_bytes import decode
from edgekit.onnxio.fixed import fixed_shape

__all__ = ["Attribute", "Network", "Operator", "network"]

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Operator:
    """One node: ``inputs`` has an empty name where an optional one is left out; subgraphs are not among the attributes."""

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, eq=False)
class Network:
    """A model: its nodes in order, its weights and constants by name, its ends, and the version of the ONNX operators."""

    opset: int
    operators: tuple[Operator, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def network(model: bytes) -> Network:
    """The contents of a model in one file; the values of Constant nodes are among the constants.

    Raises:
        GraphError: not ONNX, or a type that numpy lacks.
    """
    proto, payloads = decode(model, "the model")
    constants = {}
    for weight in proto.graph.initializer:
        held = TensorProto.FromString(bytes(payloads[weight.name])) if weight.name in payloads else weight
        constants[weight.name] = numpy_helper.to_array(held)
    operators = []
    for index, node in enumerate(proto.graph.node):
        name = node.name or f"{node.op_type}_{index}"
        attributes = {each.name: _plain(each) for each in node.attribute if each.type in _PLAIN}
        if node.op_type == "Constant" and attributes:
            constants[node.output[0]] = np.asarray(next(iter(attributes.values())))
            continue
        domain = "" if node.domain == "ai.onnx" else node.domain
        operators.append(Operator(node.op_type, domain, name, tuple(node.input), tuple(node.output), attributes))
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    inputs = tuple(_tensor(value) for value in proto.graph.input if value.name not in constants)
    return Network(opset, tuple(operators), constants, inputs, tuple(_tensor(value) for value in proto.graph.output))


_PLAIN = frozenset(
    {
        AttributeProto.INT,
        AttributeProto.INTS,
        AttributeProto.FLOAT,
        AttributeProto.FLOATS,
        AttributeProto.STRING,
        AttributeProto.STRINGS,
        AttributeProto.TENSOR,
    }
)


def _plain(attribute: Any) -> Attribute:
    value = helper.get_attribute_value(attribute)
    match value:
        case bytes():
            return value.decode(errors="replace")
        case TensorProto():
            return np.asarray(numpy_helper.to_array(value))
        case int() | float():
            return value
        case _:
            return tuple(each.decode(errors="replace") if isinstance(each, bytes) else each for each in value)


def _tensor(value: Any) -> Tensor:
    kind = value.type.tensor_type.elem_type
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind)).name
    except (KeyError, TypeError) as error:
        raise GraphError(f"tensor {value.name} has a type that numpy lacks ({kind}); export the network in another one") from error
    return Tensor(value.name, fixed_shape(value.type), dtype)
