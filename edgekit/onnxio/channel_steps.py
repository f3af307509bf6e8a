"""A tensor to bytes and back by the ranges of its channels, which are constants of the model.

x ─ Div ─ Add ─ QuantizeLinear ─▶ bytes ─▶ Cast ─ Sub ─ Mul ─ x
 scales  zeros      1, 0                       zeros scales

QuantizeLinear along an axis and DequantizeLinear would be shorter, but onnxruntime 1.31 takes a Conv that stands between such two
for one of a quantized network and rounds its weights, too; and it quantizes row by row, so that tokens, whose rows are of one value,
take twenty times as long. It knows how to fuse a Conv with Mul, but not with Div.
"""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekit.graph import Tensor
from edgekit.range import Range

__all__ = ["constants", "from_steps", "to_steps"]


def constants(tensor: Tensor, found: Range) -> list[Any]:
    """What the nodes below read beside the tensor."""
    shape = (-1, *(1 for _ in (tensor.shape or ())[found.axis + 1 :]))
    scales, zeros = (np.array(each, np.float32).reshape(shape) for each in zip(*found.channels, strict=True))
    held = {"scales": scales, "zeros": zeros, "one": np.array(1, np.float32), "none": np.array(0, np.uint8)}
    return [numpy_helper.from_array(array, f"{tensor.name}::{name}") for name, array in held.items()]


def to_steps(tensor: Tensor, made: str) -> list[Any]:
    """The nodes that write a tensor."""
    name = tensor.name
    return [
        helper.make_node("Div", [name, f"{name}::scales"], [f"{name}::scaled"], f"{name}::scaled"),
        helper.make_node("Add", [f"{name}::scaled", f"{name}::zeros"], [f"{name}::counted"], f"{name}::counted"),
        helper.make_node("QuantizeLinear", [f"{name}::counted", f"{name}::one", f"{name}::none"], [made], made),
    ]


def from_steps(tensor: Tensor, came: str) -> list[Any]:
    """The nodes that read it back."""
    name = tensor.name
    return [
        helper.make_node("Cast", [came], [f"{name}::bytes"], f"{name}::bytes", to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{name}::bytes", f"{name}::zeros"], [f"{name}::steps"], f"{name}::steps"),
        helper.make_node("Mul", [f"{name}::steps", f"{name}::scales"], [name], f"{name}::read"),
    ]
