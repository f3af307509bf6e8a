"""A network drawn node by node, with random weights: what a device is asked to run to learn what its kernels cost."""

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

__all__ = ["Sketch"]

OPSET, IR = 20, 9


class Sketch:
    """A model in the making; tensors are named as they are made, and ``model`` gives its bytes.

    >>> sketch = Sketch(seed=0)
    >>> x = sketch.input((1, 3, 8, 8))
    >>> y = sketch.add("Relu", [sketch.add("Conv", [x, sketch.weight((4, 3, 1, 1))])])
    >>> len(sketch.model([y])) > 48
    True
    """

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)
        self._inputs: list[ValueInfoProto] = []
        self._weights: list[TensorProto] = []
        self._nodes: list[NodeProto] = []

    def input(self, shape: Sequence[int]) -> str:
        """A graph input of type float."""
        name = f"x{len(self._inputs)}"
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        return name

    def weight(self, shape: Sequence[int]) -> str:
        """Normal values that keep the scale of what they are multiplied with; those of one dimension lie around 1."""
        values = self._random.standard_normal(tuple(shape), dtype=np.float32)
        if len(shape) < 2:
            return self._held(np.abs(1 + 0.1 * values))
        return self._held(values / np.float32(sqrt(prod(shape[1:]) if len(shape) > 2 else shape[0])))

    def number(self, value: float) -> str:
        """A constant of one element."""
        return self._held(np.array(value, np.float32))

    def sizes(self, values: Sequence[int]) -> str:
        """A constant list of whole numbers, as Reshape and Slice read it."""
        return self._held(np.array(values, np.int64))

    def add(self, op: str, reads: Sequence[str], **attributes: object) -> str:
        """A node with one output: its name."""
        return self.split(op, reads, 1, **attributes)[0]

    def split(self, op: str, reads: Sequence[str], count: int, **attributes: object) -> list[str]:
        """A node with ``count`` outputs."""
        name = f"n{len(self._nodes)}"
        made = [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
        self._nodes.append(helper.make_node(op, list(reads), made, name=f"{op}_{name}", **attributes))
        return made

    def model(self, outputs: Sequence[str]) -> bytes:
        """The file, not yet normalised; shapes of outputs are left to inference."""
        ends = [ValueInfoProto(name=name) for name in outputs]
        for end in ends:
            end.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(self._nodes, "sketch", self._inputs, ends, self._weights)
        return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR).SerializeToString())

    def _held(self, values: NDArray[np.generic]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=values.dtype), name))
        return name
