"""What a .tflite file holds, in plain Python and numpy.

A .tflite file is a flatbuffer; the package ``tflite`` knows its fields, and checks none of them: offsets that
point anywhere are found here, or fail in numpy and struct.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import GraphError, UsageError

__all__ = ["FOREIGN", "FlatFile", "FlatOperator", "FlatTensor", "read_flat"]

MARK = b"TFL3"
DTYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
FOREIGN = (AttributeError, IndexError, MemoryError, OverflowError, RecursionError, TypeError, ValueError, struct.error)
"""What reading a damaged flatbuffer raises."""


@dataclass(frozen=True, eq=False)
class FlatTensor:
    """One tensor: value = (number - zero) · scale, of all or along ``axis``; without scales it holds plain numbers."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    axis: int
    values: NDArray[Any] | None
    state: bool


@dataclass(frozen=True, eq=False)
class FlatOperator:
    """One operator: tensors by index, -1 for one that is left out; ``options`` has a method for each field."""

    index: int
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any

    @property
    def name(self) -> str:
        return f"{self.code}_{self.index}"


@dataclass(frozen=True, eq=False)
class FlatFile:
    """The main network of a file."""

    tensors: tuple[FlatTensor, ...]
    operators: tuple[FlatOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_flat(data: bytes, place: str) -> FlatFile:
    """The main network in the bytes of a .tflite file; ``place`` is what messages call it.

    Raises:
        GraphError: another file, or a damaged one.
        UsageError: the package that knows the format is not installed.
    """
    try:
        import tflite
    except ImportError as error:
        told = f"{place}: reading .tflite files needs the package tflite, which is not installed"
        raise UsageError(f"{told}; run: pip install 'edgekit[mcu]'") from error
    if data[4:8] != MARK:
        told = f"{place}: expected a .tflite file, got {len(data)} bytes without its mark TFL3"
        raise GraphError(f"{told}; convert the network again")
    try:
        found = _network(tflite, tflite.Model.GetRootAsModel(data, 0), len(data))
        _check_indices(found)
    except FOREIGN as error:
        told = f"{place}: expected a .tflite file, got one that is damaged or cut short"
        raise GraphError(f"{told}; copy it or convert the network again") from error
    return found


def _network(tflite: Any, model: Any, size: int) -> FlatFile:
    graph = model.Subgraphs(0)
    if max(graph.OperatorsLength(), graph.TensorsLength()) > size // 4:
        raise ValueError("more of them than a file of this size can hold")
    kinds = {number: name for name, number in vars(tflite.BuiltinOptions).items() if isinstance(number, int)}
    operators = []
    for index in range(graph.OperatorsLength()):
        each = graph.Operators(index)
        inputs, outputs = _indices(each.InputsAsNumpy()), _indices(each.OutputsAsNumpy())
        code = _code(tflite, model.OperatorCodes(each.OpcodeIndex()))
        operators.append(FlatOperator(index, code, inputs, outputs, _options(tflite, kinds, each)))
    return FlatFile(
        tuple(_tensor(model, graph.Tensors(index), index) for index in range(graph.TensorsLength())),
        tuple(operators),
        _indices(graph.InputsAsNumpy()),
        _indices(graph.OutputsAsNumpy()),
    )


def _indices(found: Any) -> tuple[int, ...]:
    """A vector of numbers; flatbuffers give 0 for one that is left out."""
    return () if isinstance(found, int) else tuple(int(each) for each in found)


def _code(tflite: Any, kind: Any) -> str:
    """The name of an operator; what stands in the old field only has no number there above 126."""
    number = max(kind.BuiltinCode(), kind.DeprecatedBuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM {(kind.CustomCode() or b'').decode()}"
    return next((name for name, each in vars(tflite.BuiltinOperator).items() if each == number), f"number {number}")


def _options(tflite: Any, kinds: dict[int, str], operator: Any) -> Any:
    """The options of an operator; where the file has none, those with every field at its default."""
    name, table = kinds.get(operator.BuiltinOptionsType(), "NONE"), operator.BuiltinOptions()
    if table is None or name == "NONE":
        return None
    options = getattr(tflite, name)()
    options.Init(table.Bytes, table.Pos)
    return options


def _tensor(model: Any, tensor: Any, index: int) -> FlatTensor:
    dtype = DTYPES.get(tensor.Type(), f"type {tensor.Type()}")
    shape = _indices(tensor.ShapeAsNumpy())
    about = tensor.Quantization()
    scales = about.ScaleAsNumpy() if about is not None and about.ScaleLength() else ()
    zeros = about.ZeroPointAsNumpy() if about is not None and about.ZeroPointLength() else ()
    return FlatTensor(
        (tensor.Name() or b"").decode() or f"tensor_{index}",
        shape,
        dtype,
        np.array(scales, np.float32),
        np.array(zeros if len(zeros) else [0] * len(scales), np.int64),
        about.QuantizedDimension() if len(scales) > 1 else 0,
        _values(model.Buffers(tensor.Buffer()), dtype, shape),
        bool(tensor.IsVariable()),
    )


def _values(buffer: Any, dtype: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """The numbers of a constant; None for what is computed."""
    held = buffer.DataAsNumpy() if buffer.DataLength() else None
    if held is None or dtype not in DTYPES.values():
        return None
    return np.frombuffer(bytes(held), np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _check_indices(found: FlatFile) -> None:
    """Raise IndexError where a tensor is named that is not there, ValueError where a shape or scale cannot be."""
    count = len(found.tensors)
    for operator in found.operators:
        if not operator.outputs or max(operator.inputs + operator.outputs) >= count or min(operator.outputs) < 0:
            raise IndexError(f"operator {operator.index}")
    if not found.outputs or not all(0 <= index < count for index in found.inputs + found.outputs):
        raise IndexError("ends")
    for tensor in found.tensors:
        if min(tensor.shape, default=1) < 0 or len(tensor.scales) != len(tensor.zeros):
            raise ValueError(tensor.name)
        if not np.isfinite(tensor.scales).all() or len(tensor.scales) not in (0, 1, *tensor.shape):
            raise ValueError(tensor.name)
