"""Small quantized networks as ONNX, and what onnxruntime computes with them, for the tests of the compiler."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from devices.mcu import reference
from devices.mcu.compiler import compile_segment
from devices.mcu.program import Program
from edgekit.onnxio import normalise

DATA = Path(__file__).parents[4] / "shared" / "data" / "mcu"
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
Arrays = Mapping[str, NDArray[Any]]


def network_bytes(name: str) -> bytes:
    """One of the public networks as the toolkit reads it."""
    path = DATA / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"needs data {path.name}")
    return normalise(path)


def exposed(model: bytes, names: Sequence[str]) -> bytes:
    """A network with some of its tensors as outputs beside its own."""
    found = onnx.shape_inference.infer_shapes(onnx.load_from_string(model))
    known = {each.name: each for each in found.graph.value_info}
    found.graph.output.extend(known[name] for name in names)
    return bytes(found.SerializeToString())


class Nodes:
    """Nodes and weights of a network that is written one after the other; each returns the name of what it makes."""

    def __init__(self, seed: int = 0):
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> str:
        name = f"{op}_{len(self.nodes)}"
        made = [name.lower(), *(f"{name.lower()}_{index}" for index in range(1, outputs))]
        self.nodes.append(helper.make_node(op, list(inputs), made, name=name, domain=domain, **attributes))
        return made[0]

    def q(self, x: str, scale: float, zero: int, dtype: str = "int8") -> str:
        return self.node("QuantizeLinear", x, self.weight(np.float32(scale)), self.weight(np.array(zero, dtype)))

    def dq(self, x: str, scale: float, zero: int, dtype: str = "int8") -> str:
        return self.node("DequantizeLinear", x, self.weight(np.float32(scale)), self.weight(np.array(zero, dtype)))

    def kernels(self, *shape: int, axis: int | None = 0, scale: float = 0.01) -> str:
        """Dequantized int8 weights, with a scale for each element of an axis."""
        numbers = self.weight(self.random.integers(-127, 128, shape, np.int8))
        if axis is None:
            return self.node("DequantizeLinear", numbers, self.weight(np.float32(scale)), self.weight(np.int8(0)))
        scales = (scale * self.random.uniform(0.5, 2, shape[axis])).astype(np.float32)
        zeros = self.weight(np.zeros(shape[axis], np.int8))
        return self.node("DequantizeLinear", numbers, self.weight(scales), zeros, axis=axis)

    def model(self, inputs: Mapping[str, tuple[str, Sequence[int]]], outputs: Sequence[tuple[str, str]], opset: int = 17) -> bytes:
        """The network; inputs by name with type and shape, outputs as name and type."""
        ins = [helper.make_tensor_value_info(name, TYPES[dtype], shape) for name, (dtype, shape) in inputs.items()]
        outs = [helper.make_tensor_value_info(name, TYPES[dtype], None) for name, dtype in outputs]
        graph = helper.make_graph(self.nodes, "net", ins, outs, self.weights)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        return bytes(model.SerializeToString())


def computed(model: bytes, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """What onnxruntime computes, without fusing anything."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def drawn(program: Program, seed: int = 1) -> dict[str, NDArray[Any]]:
    """Inputs of a program that reach the whole of their range."""
    random = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {}
    for end in program.inputs:
        numbers = random.integers(-128, 128, end.shape)
        if end.dtype == "float32":
            found[end.name] = ((numbers - end.zero) * end.scale).astype(np.float32)
        else:
            found[end.name] = (numbers + (128 if end.dtype == "uint8" else 0)).astype(end.dtype)
    return found


def compared(model: bytes, most: float = 1, frames: int = 4) -> Program:
    """The program of a network, whose outputs differ from those of onnxruntime by ``most`` steps at most."""
    program = compile_segment(model)
    for seed in range(frames):
        inputs = drawn(program, seed)
        wanted, found = computed(model, inputs), reference.run(program, inputs)
        for end in program.outputs:
            assert found[end.name].shape == wanted[end.name].shape
            assert found[end.name].dtype == wanted[end.name].dtype
            step = end.scale if end.dtype == "float32" else 1
            gap = np.abs(found[end.name].astype(np.float64) - wanted[end.name]).max() / step
            assert gap <= most + 1e-3, f"{end.name} differs by {gap}"
    return program
