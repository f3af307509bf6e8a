"""Nodes that work with values far larger than all others, such as those of a mask: eight bits cannot hold both.

    scores ± 5 ─ Add (mask: 0 or -1e9) ─ m ─ Softmax ─ p         256 steps from -1e9 to 5 leave nothing of the scores,
                 └─── these stay in fp32 ────┘                   while p is within 0 and 1 again

A large value comes from a constant (-inf, the least float, -1e4) or from an input, and is followed to where it ends: in
a function with bounded values, or in a product, whose weights it then scales as a whole.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgekit.onnxio.file_bytes import parse
from edgekit.onnxio.weight_bytes import Payloads

__all__ = ["LARGE", "masking"]

LARGE = 100.0
"""In sums with such values, activations of a usual size have a step of eight bits or two."""

ENDS = frozenset({"Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "LayerNormalization", "MatMul", "RNN"})
"""Operators that are quantized as ever, whatever they read."""

BOUNDED = frozenset({"Erf", "Exp", "Greater", "HardSigmoid", "Less", "LogSoftmax", "Sigmoid", "Softmax", "Softsign", "Tanh"})
"""Operators whose values are small however large what they read is."""

COMBINED = frozenset({"Add", "Concat", "Max", "Min", "Mul", "Sub", "Sum", "Where"})
MOVED = frozenset("Cast Expand Gather Identity Neg Pad Reshape Slice Squeeze Tile Transpose Trilu Unsqueeze".split())


def masking(source: Path | bytes, large_inputs: Iterable[str] = ()) -> list[str]:
    """Names of the nodes that read or make large values, in the order of the network."""
    proto, payloads = parse(source)
    large = {*large_inputs, *_large_constants(proto.graph, payloads)}
    made = set(large_inputs)
    found = []
    for node in proto.graph.node:
        if node.op_type in ENDS:
            continue
        held = large if node.op_type in COMBINED or node.op_type in MOVED else made
        if not held.intersection(node.input):
            continue
        found.append(node.name)
        if node.op_type not in BOUNDED:
            large.update(node.output)
            made.update(node.output)
    return found


def _large_constants(graph: Any, payloads: Payloads) -> Iterator[str]:
    for weight in graph.initializer:
        if weight.name in payloads:
            weight = TensorProto.FromString(bytes(payloads[weight.name]))
        if _is_large(weight):
            yield str(weight.name)
    for node in graph.node:
        values = (each.t for each in node.attribute if each.name == "value" and each.HasField("t"))
        if node.op_type in ("Constant", "ConstantOfShape") and any(map(_is_large, values)):
            yield str(node.output[0])


def _is_large(tensor: Any) -> bool:
    if tensor.data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        return False
    values: NDArray[Any] = numpy_helper.to_array(tensor)
    return bool(values.size) and not float(np.abs(values).max()) < LARGE
