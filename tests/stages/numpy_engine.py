"""An engine of NumPy for three operators, both halves: segments become a table of operators with their weights."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.graph import Graph, Tensor
from edgekit.memory_model import MemoryEquations
from edgekit.onnxio import Model
from edgekit.runtime.engine.engine import Arrays, Engine
from edgekit.stages.builder import Builder

Array = NDArray[np.float32]


def convolved(x: Array, weight: Array, pads: tuple[int, ...] = (0, 0, 0, 0)) -> Array:
    top, left, bottom, right = pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)


MEMORY = MemoryEquations(1, (), 0, 2, least_share=0.9, margin=0.5)

OPERATORS = {"Conv": convolved, "Relu": lambda x: np.maximum(x, 0), "Add": np.add}


def cannot_run(graph: Graph, unit: int, variant: Variant, model: Model) -> str:
    strange = [node.op for node in graph.unit_nodes(unit) if node.op not in OPERATORS]
    return f"NumPy has no {strange[0]}" if strange else ""


def compiled(segment: bytes, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> bytes:
    graph = onnx.ModelProto.FromString(segment).graph
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    rows: list[Any] = []
    for node in graph.node:
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        rows.append((node.op_type, list(node.input), node.output[0], attributes.get("pads")))
    held = {name: (array.shape, array.tobytes()) for name, array in weights.items()}
    return msgspec.msgpack.encode((rows, held))


class Table:
    """A segment that is ready to run."""

    def __init__(self, artifact: Path, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]):
        self._rows, held = msgspec.msgpack.decode(artifact.read_bytes())
        self._weights = {name: np.frombuffer(data, np.float32).reshape(shape) for name, (shape, data) in held.items()}

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        known: dict[str, Any] = {**self._weights, **inputs}
        for op, reads, makes, pads in self._rows:
            values = [known[name] for name in reads]
            known[makes] = OPERATORS[op](*values, pads) if pads else OPERATORS[op](*values)
        for name, array in outputs.items():
            np.copyto(array, known[name])


ENGINE = Engine(Table, lambda variant: "cpu")
BUILDER = Builder(compiled, cannot_run, packages=("edgekit-numpy",), memory=lambda graph, variant, model: MEMORY)
