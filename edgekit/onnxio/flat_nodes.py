"""ONNX nodes for the operators of a .tflite file, while they are written.

A tensor has two forms: as the file declares it, and with its channels first, as ONNX wants images. Which of them an
operator made stands under the tensor's name or under NAME::first; a Transpose makes the other one where it is read.

    x ─ DequantizeLinear ─ Conv ─ Relu ─ QuantizeLinear ─▶ y        scales and zeros are those of the file
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgekit.errors import GraphError
from edgekit.onnxio.flat_file import FlatFile, FlatOperator, FlatTensor

__all__ = ["FIRST", "Nodes", "refuse"]

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
TYPES = ("float32", "int8", "uint8")


def refuse(operator: FlatOperator, told: str, cause: Exception | None = None) -> NoReturn:
    """Raise GraphError that names an operator."""
    raise GraphError(f"operator {operator.index}, {operator.code}: {told}") from cause


@dataclass(eq=False)
class Nodes:
    """Nodes and weights so far.

    ``made``: the forms in which a tensor is there, by its index and whether channels are first. ``at``: the operator that
    is being converted, after which nodes are named.
    """

    file: FlatFile
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    made: dict[tuple[int, bool], str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    at: str = "ends"

    def __post_init__(self) -> None:
        self.names = [self.unique(tensor.name) for tensor in self.file.tensors]

    def unique(self, name: str) -> str:
        """A name that nothing else has."""
        told = name
        while told in self.taken:
            self.taken[name] += 1
            told = f"{name}_{self.taken[name]}"
        self.taken[told] = 1
        return told

    def tensor(self, operator: FlatOperator, position: int) -> FlatTensor:
        """An input of an operator."""
        self._present(operator, position)
        return self.file.tensors[operator.inputs[position]]

    def _present(self, operator: FlatOperator, position: int) -> None:
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            refuse(operator, f"expected {position + 1} inputs, got fewer; convert the network again")

    def add(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """One node; its output, which is named after it where no name is given."""
        name = self.unique(f"{self.at}/{op}")
        self.nodes.append(helper.make_node(op, list(inputs), [output or name], name, **attributes))
        return output or name

    def constant(self, values: NDArray[Any], told: str) -> str:
        """A weight; its name."""
        name = self.unique(f"{self.at}/{told}")
        self.weights.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def is_first(self, operator: FlatOperator, position: int = 0) -> bool:
        """Whether an input is there with its channels first, and only so."""
        index = operator.inputs[position]
        return (index, True) in self.made and (index, False) not in self.made

    def numbers(self, operator: FlatOperator, position: int, first: bool = False) -> str:
        """An input as the numbers that the file has, in one of its forms."""
        self._present(operator, position)
        return self.form(operator.inputs[position], first)

    def form(self, index: int, first: bool) -> str:
        """A tensor in one of its forms."""
        if (index, first) not in self.made:
            name, tensor = self.names[index], self.file.tensors[index]
            if (index, not first) in self.made:
                told = f"{name}::first" if first else name
                self.add("Transpose", [self.made[index, not first]], told, perm=FIRST if first else LAST)
            else:
                told = self.constant(self._held(index, tensor, first), "constant")
            self.made[index, first] = told
        return self.made[index, first]

    def _held(self, index: int, tensor: FlatTensor, first: bool) -> NDArray[Any]:
        if tensor.values is None:
            told = f"tensor {index}, {tensor.name}, is read before it is computed"
            raise GraphError(f"{told}; convert the network again")
        if not first:
            return tensor.values
        return tensor.values.reshape((1,) * (4 - len(tensor.shape)) + tensor.shape).transpose(FIRST)

    def reals(self, operator: FlatOperator, position: int, first: bool = False) -> str:
        """An input as real values, in one of its forms."""
        name = self.numbers(operator, position, first)
        return self.dequantized(operator, self.tensor(operator, position), name, 0)

    def dequantized(self, operator: FlatOperator, tensor: FlatTensor, name: str, axis: int) -> str:
        """The real values of numbers; ``axis``: along which the scales of a weight lie in the form that ``name`` has."""
        if tensor.dtype == "float32":
            return name
        scale, zero = self._scale(operator, tensor)
        attributes: dict[str, Any] = {"axis": axis} if len(tensor.scales) > 1 else {}
        return self.add("DequantizeLinear", [name, scale, zero], **attributes)

    def _scale(self, operator: FlatOperator, tensor: FlatTensor) -> tuple[str, str]:
        """The names of the scale and the zero of a tensor."""
        if tensor.dtype not in (*TYPES, "int32"):
            refuse(operator, f"expected {', '.join(TYPES)}, got {tensor.dtype} in {tensor.name}")
        if not len(tensor.scales) or not (tensor.scales > 0).all():
            refuse(operator, f"expected {tensor.name} with scales above 0; quantize the network again")
        each = len(tensor.scales) > 1
        scales, zeros = tensor.scales, tensor.zeros.astype(tensor.dtype)
        return self.constant(scales if each else scales[0], "scale"), self.constant(zeros if each else zeros[0], "zero")

    def finish(self, operator: FlatOperator, values: str, *, first: bool = False, output: int = 0) -> None:
        """Write real values as an output of an operator."""
        index = operator.outputs[output]
        tensor, name = self.file.tensors[index], self._claimed(index, first)
        if tensor.dtype == "float32":
            self.add("Identity", [values], name)
        else:
            self.add("QuantizeLinear", [values, *self._scale(operator, tensor)], name)

    def _claimed(self, index: int, first: bool) -> str:
        """The name of a form that is about to be written."""
        self.made[index, first] = f"{self.names[index]}::first" if first else self.names[index]
        return self.made[index, first]

    def same_scale(self, operator: FlatOperator) -> bool:
        """Whether all that an operator reads and writes means the same by a number."""
        tensors = [self.file.tensors[index] for index in (*operator.inputs, *operator.outputs)]
        told = {(each.dtype, *each.scales.tolist(), *each.zeros.tolist()) for each in tensors if each.dtype in TYPES}
        return len(told) == 1

    def write(self, operator: FlatOperator, op: str, inputs: Sequence[str], *, first: bool, output: int = 0, **attributes: Any) -> None:
        """The last node of an operator that moves numbers, or real values where scales differ."""
        if self.same_scale(operator):
            self.add(op, inputs, self._claimed(operator.outputs[output], first), **attributes)
        else:
            self.finish(operator, self.add(op, inputs, **attributes), first=first, output=output)

    def moved(self, operator: FlatOperator, op: str, *, others: Sequence[str] = (), first: bool = False, **attributes: Any) -> None:
        """An operator that moves the numbers of its first input."""
        read = self.numbers if self.same_scale(operator) else self.reals
        self.write(operator, op, [read(operator, 0, first), *others], first=first, **attributes)
