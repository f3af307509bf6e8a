"""A .tflite file as an ONNX network that means the same: int8 numbers between DequantizeLinear and QuantizeLinear.

Scales, zeros, weights and biases are those of the file, and so are the names, shapes and types of its ends.
"""

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from edgekit.errors import GraphError
from edgekit.onnxio.file_bytes import file_bytes
from edgekit.onnxio.flat_file import FOREIGN, FlatFile, FlatOperator, read_flat
from edgekit.onnxio.flat_nodes import Nodes, refuse
from edgekit.onnxio.flat_operators import OPERATORS

__all__ = ["from_tflite"]

OPSET, IR = 20, 9
TYPES = {"float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def from_tflite(source: str | Path | bytes) -> bytes:
    """The network of a .tflite file in ONNX, not yet normalised.

    Raises:
        GraphError: damaged, another file, or an operator that is not known.
        UsageError: the package tflite is not installed.
    """
    path = None if isinstance(source, bytes) else Path(source)
    data = source if isinstance(source, bytes) else file_bytes(Path(source))
    file = read_flat(data, "the model" if path is None else str(path))
    _check(file)
    nodes = Nodes(file)
    for index in file.inputs:
        nodes.made[index, False] = nodes.names[index]
    for operator in file.operators:
        nodes.at = operator.name
        _convert(nodes, operator)
    outputs = [nodes.form(index, False) for index in file.outputs]
    graph = helper.make_graph(
        nodes.nodes,
        "tflite" if path is None else path.stem,
        [_end(file, index, nodes.names[index]) for index in file.inputs],
        [_end(file, index, name) for index, name in zip(file.outputs, outputs, strict=True)],
        nodes.weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return bytes(made.SerializeToString())


def _convert(nodes: Nodes, operator: FlatOperator) -> None:
    try:
        OPERATORS[operator.code](nodes, operator)
    except FOREIGN as error:
        refuse(operator, "its fields do not fit each other, as in a damaged file; convert the network again", error)


def _check(file: FlatFile) -> None:
    """Raise GraphError where an operator or a state between frames is not known."""
    unknown = [each for each in file.operators if each.code not in OPERATORS]
    if unknown:
        told = ", ".join(f"{_told(each)}" for each in unknown[:5])
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise GraphError(f"expected operators that edgekit reads, got {told}{more}; it reads {', '.join(sorted(OPERATORS))}")
    for index, tensor in enumerate(file.tensors):
        if tensor.state:
            told = f"tensor {index}, {tensor.name}, is kept from one frame to the next"
            raise GraphError(f"{told}; expected a network without state")


def _told(operator: FlatOperator) -> str:
    return f"{operator.code} (operator {operator.index})"


def _end(file: FlatFile, index: int, name: str) -> Any:
    """An input or output as the file declares it."""
    tensor = file.tensors[index]
    if tensor.dtype not in TYPES:
        told = f"input or output {tensor.name}: expected {', '.join(TYPES)}, got {tensor.dtype}"
        raise GraphError(f"{told}; convert the network with int8 inputs and outputs")
    return helper.make_tensor_value_info(name, TYPES[tensor.dtype], tensor.shape)
