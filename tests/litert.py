"""Small .tflite files, and LiteRT with its reference kernels, which tests compare with."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
import pytest
from numpy.typing import NDArray

NUMBERS = {"float32": 0, "int32": 2, "uint8": 3, "int8": 9}


class Given(NamedTuple):
    """A tensor of a file: with values it is a constant."""

    shape: tuple[int, ...]
    scales: Any = ()
    zeros: Any = ()
    values: NDArray[Any] | None = None
    dtype: str = "int8"
    axis: int = 0


def schema() -> Any:
    """The object form of .tflite files, which LiteRT's package has."""
    return pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs package ai-edge-litert")


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpacked(data: bytes) -> Any:
    return schema().ModelT.InitFromObj(schema().Model.GetRootAs(data, 0))


def flat(code: str, options: Any, tensors: Sequence[Given], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A file of one operator: its inputs and outputs by the index of the tensor; those without values are the ends."""
    s = schema()
    model, graph, operator, kind = s.ModelT(), s.SubGraphT(), s.OperatorT(), s.OperatorCodeT()
    kind.builtinCode = getattr(s.BuiltinOperator, code)
    kind.deprecatedBuiltinCode = min(kind.builtinCode, 127)
    kind.version = 1
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [kind], [graph], [s.BufferT()]
    graph.tensors = [_tensor(s, model, index, given) for index, given in enumerate(tensors)]
    operator.inputs, operator.outputs = list(inputs), list(outputs)
    if options is not None:
        operator.builtinOptionsType = getattr(s.BuiltinOptions, type(options).__name__.removesuffix("T"))
        operator.builtinOptions = options
    graph.operators, graph.outputs = [operator], list(outputs)
    graph.inputs = [index for index in dict.fromkeys(inputs) if index >= 0 and tensors[index].values is None]
    return packed(model)


def _tensor(s: Any, model: Any, index: int, given: Given) -> Any:
    tensor, about, buffer = s.TensorT(), s.QuantizationParametersT(), s.BufferT()
    tensor.name, tensor.shape, tensor.type = f"t{index}", list(given.shape), NUMBERS[given.dtype]
    if np.size(given.scales):
        about.scale = np.atleast_1d(given.scales).astype(np.float32).tolist()
        zeros = np.atleast_1d(given.zeros).tolist() if np.size(given.zeros) else [0] * len(about.scale)
        about.zeroPoint, about.quantizedDimension = zeros, given.axis
        tensor.quantization = about
    if given.values is not None:
        buffer.data = np.frombuffer(given.values.astype(given.dtype).tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    return tensor


def apart(data: bytes) -> list[bytes]:
    """A file for each operator of a network."""
    found = []
    for index in range(len(unpacked(data).subgraphs[0].operators)):
        model = unpacked(data)
        graph = model.subgraphs[0]
        operator = graph.operators[index]
        empty = {at for at, buffer in enumerate(model.buffers) if buffer.data is None or not len(buffer.data)}
        graph.inputs = [each for each in operator.inputs if each >= 0 and graph.tensors[each].buffer in empty]
        graph.operators, graph.outputs = [operator], list(operator.outputs)
        found.append(packed(model))
    return found


def interpreter(data: bytes) -> Any:
    """LiteRT with its reference kernels; axes of scales that a bias does not have, as old files tell them, are put right."""
    lite = pytest.importorskip("ai_edge_litert.interpreter", reason="needs package ai-edge-litert")
    model = unpacked(data)
    for tensor in model.subgraphs[0].tensors:
        about = tensor.quantization
        if about is not None and about.quantizedDimension >= max(len(tensor.shape), 1):
            about.quantizedDimension = 0
    made = lite.Interpreter(model_content=packed(model), experimental_op_resolver_type=lite.OpResolverType.BUILTIN_REF)
    made.allocate_tensors()
    return made


def results(made: Any, frame: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of one frame."""
    for about, values in zip(made.get_input_details(), frame, strict=True):
        made.set_tensor(about["index"], values)
    made.invoke()
    return [made.get_tensor(about["index"]) for about in made.get_output_details()]


def frames(made: Any, count: int, seed: int = 0) -> list[list[NDArray[Any]]]:
    """Inputs: the least number, the largest, a ramp, then random ones."""
    random = np.random.default_rng(seed)
    abouts = made.get_input_details()
    found = [[np.full(each["shape"], np.iinfo(each["dtype"]).min, each["dtype"]) for each in abouts]]
    found.append([np.full(each["shape"], np.iinfo(each["dtype"]).max, each["dtype"]) for each in abouts])
    found.append(
        [(np.arange(np.prod(each["shape"])) * 37 % 256).astype(np.uint8).view(each["dtype"]).reshape(each["shape"]) for each in abouts]
    )
    while len(found) < count:
        found.append([random.integers(0, 256, each["shape"], np.uint8).view(each["dtype"]) for each in abouts])
    return found[:count]
