"""Networks made of a few layers in a row, with seeded random weights: to learn what a machine makes of them."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekit.onnxio.normalise import normalise

__all__ = ["Layer", "draft"]

OPSET = 20


class Layer(NamedTuple):
    """One operator: it reads what the layer before it made, then its weights.

    Attributes:
        weights: shapes of its float weights.
        whole: integer weights by their values, such as the shape that a Reshape makes.
        again: whether it also reads the network's input, as a sum over a skipped part does.
    """

    op: str
    weights: tuple[tuple[int, ...], ...] = ()
    attributes: Mapping[str, Any] = {}
    whole: tuple[int, ...] = ()
    again: bool = False


def draft(name: str, shape: tuple[int, ...], layers: Sequence[Layer], seed: int = 0) -> bytes:
    """The normalised model of layers in a row over one float input.

    Weights shrink with what they sum over, so that values neither grow nor vanish along the row.
    """
    random = np.random.default_rng(seed)
    nodes, weights, last = [], [], "x"
    for index, layer in enumerate(layers):
        read = [last, *(["x"] if layer.again else [])]
        for number, size in enumerate(layer.weights):
            values = random.standard_normal(size, dtype=np.float32) / np.sqrt(_summed(layer.op, size))
            weights.append(numpy_helper.from_array(values.astype(np.float32), f"w{index}_{number}"))
            read.append(f"w{index}_{number}")
        if layer.whole:
            weights.append(numpy_helper.from_array(np.array(layer.whole, np.int64), f"n{index}"))
            read.append(f"n{index}")
        last = f"t{index}"
        nodes.append(helper.make_node(layer.op, read, [last], f"{layer.op}_{index}", **layer.attributes))
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    result = helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, name, [source], [result], weights)
    return normalise(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9).SerializeToString())


def _summed(op: str, size: tuple[int, ...]) -> int:
    """Over how many products an element of the output is summed."""
    return prod(size[1:]) if op == "Conv" else size[0]
