"""Whole numbers that go straight from stage to stage: not restored before they leave, not quantized again where they come in.

as it is      … ─ Q ─ a::uint8 ─ DQ ─ a ─▶         ─▶ a ─ a::twin ─ Q ─ q ─ DQ ─ Conv …
straight      … ─ Q ─ a::uint8 ─▶                              ─▶ a::uint8 ─ DQ ─ Conv …
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from edgekit.graph import Held
from edgekit.onnxio.names import reads

__all__ = ["needed", "restored", "steps_of", "taken"]


def steps_of(node: Any, weights: Mapping[str, Any]) -> tuple[str, float, int] | None:
    """Type, scale and zero that a node quantizes to or restores from; None: not all of a tensor in the same steps, or not known."""
    found = [weights.get(name) for name in node.input[1:]]
    if len(found) != 2 or any(each is None for each in found):
        return None
    scale, zero = (numpy_helper.to_array(each) for each in found)
    return (zero.dtype.name, float(scale.item()), int(zero.item())) if scale.size == zero.size == 1 else None


def taken(nodes: Sequence[Any], weights: Mapping[str, Any], held: Held) -> list[Any]:
    """The nodes of a stage that a tensor comes to in whole numbers: what would quantize it so is left out."""
    whole, own = f"{held.tensor}::{held.dtype}", (held.dtype, held.scale, held.zero)
    inside = {name for node in nodes for name in reads(node) if name not in node.input}  # of what subgraphs read
    reading = (node for node in nodes if node.op_type == "QuantizeLinear" and node.input[0] == f"{held.tensor}::twin")
    again = {node.output[0]: whole for node in reading if steps_of(node, weights) == own and node.output[0] not in inside}
    kept = [node for node in nodes if node.output[0] not in again]
    for node in kept:
        node.input[:] = [again.get(name, name) for name in node.input]
    return kept


def restored(held: Held) -> tuple[Any, list[Any]]:
    """The node that makes the tensor of its whole numbers, for those who read it otherwise, and its constants."""
    scale, zero = f"{held.tensor}::straight_scale", f"{held.tensor}::straight_zero"
    node = helper.make_node("DequantizeLinear", [f"{held.tensor}::{held.dtype}", scale, zero], [held.tensor], f"{held.tensor}::read")
    return node, [
        numpy_helper.from_array(np.array(held.scale, np.float32), scale),
        numpy_helper.from_array(np.array(held.zero, held.dtype), zero),
    ]


def needed(nodes: Sequence[Any], outputs: Collection[str]) -> list[Any]:
    """The nodes without those that nothing reads; onnxruntime would run them."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(reads(node))
            kept.append(node)
    return kept[::-1]
