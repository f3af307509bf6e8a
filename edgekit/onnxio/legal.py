"""Which whole numbers the inputs of a network may hold, told by the operators that read them.

    ids ─ Unsqueeze ─ Add 2 ─ Gather (table of 50 rows)        2 ≤ ids + 2 ≤ 49, so ids is in [0, 48)
    n ─ Div (100 / n)                                          n is at least 1

Bounds are followed from an operator back to an input through those that only move values or add a constant.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from math import ceil, floor, inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgekit.onnxio.file_bytes import Model
from edgekit.onnxio.fixed import fixed_shape
from edgekit.onnxio.names import all_graphs
from edgekit.onnxio.weight_bytes import SMALL

__all__ = ["Bounds", "bounds_of", "legal"]

Bounds = tuple[int, int]
"""Half-open: the least value, and the first that is too large."""

Range = tuple[float, float]
"""From the least to the largest value, both included."""

FREE: Range = (-inf, inf)
FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
USUAL = {TensorProto.BOOL: (0, 1), TensorProto.UINT8: (0, 255), TensorProto.INT8: (-128, 127)}
"""Of types that nothing else bounds; of wider ones 0 and 1, which also suit masks and flags."""

MOVED = {
    **dict.fromkeys(("Cast", "CumSum", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad"), (0,)),
    **dict.fromkeys(("Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "ReduceMax", "ReduceMin"), (0,)),
    "Clip": (0,),
    "Where": (1, 2),
    "ScatterElements": (2,),
    "ScatterND": (2,),
    **dict.fromkeys(("Concat", "Max", "Min"), tuple(range(64))),
}
"""Operators whose output holds values of the inputs at these places as they are."""


class _Seen(NamedTuple):
    """What is known of a graph: shapes and constants by name, and who reads each name at which place."""

    shapes: Mapping[str, tuple[int, ...] | None]
    constants: Mapping[str, NDArray[np.generic]]
    readers: Mapping[str, list[tuple[Any, int]]]


def legal(model: Model) -> dict[str, Bounds]:
    """The bounds of each input of whole numbers or booleans, and of floats that are read as whole numbers."""
    return bounds_of(model.proto, {name: value.type for name, value in model.described.items()})


def bounds_of(proto: Any, types: Mapping[str, Any]) -> dict[str, Bounds]:
    """The same for a model whose tensors are described by ``types``, as far as they are known yet."""
    seen = _look(proto.graph, types)
    found = {}
    for value in proto.graph.input:
        kind = value.type.tensor_type.elem_type
        if kind == TensorProto.STRING or not value.type.HasField("tensor_type"):
            continue
        low, high = _range(value.name, kind not in FLOATS, seen, frozenset())
        if kind not in FLOATS or (low, high) != FREE:
            found[value.name] = _half_open(low, high, *USUAL.get(kind, (0, 1)))
    return found


def _half_open(low: float, high: float, least: int, most: int) -> Bounds:
    """Values that keep to both ends where these are known, and to the usual ones where not."""
    first = ceil(low) if low > -inf else min(least, floor(high)) if high < inf else least
    last = floor(high) if high < inf else max(most, first + most - least)
    return first, max(last, first) + 1


def _look(graph: Any, types: Mapping[str, Any]) -> _Seen:
    shapes: dict[str, tuple[int, ...] | None] = {name: fixed_shape(kind) for name, kind in types.items()}
    shapes |= {value.name: fixed_shape(value.type) for value in graph.input}
    constants: dict[str, NDArray[np.generic]] = {}
    readers: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for inner in all_graphs(graph):
        for weight in inner.initializer:
            shapes[weight.name] = tuple(weight.dims)
            if int(np.prod(weight.dims)) <= SMALL:
                constants[weight.name] = numpy_helper.to_array(weight)
        for node in inner.node:
            value = next((each.t for each in node.attribute if each.name == "value" and each.HasField("t")), None)
            if node.op_type == "Constant" and value is not None:
                shapes[node.output[0]] = tuple(value.dims)
                constants[node.output[0]] = numpy_helper.to_array(value)
            for place, name in enumerate(node.input):
                readers[name].append((node, place))
    return _Seen(shapes, constants, readers)


def _range(name: str, whole: bool, seen: _Seen, before: frozenset[str]) -> Range:
    """What all readers of a tensor allow; of floats only what is read through a conversion to whole numbers."""
    low, high = FREE
    for node, place in seen.readers.get(name, ()):
        for least, most in _allowed(node, place, whole, seen, before | {name}):
            low, high = max(low, least), min(high, most)
    return low, high


def _allowed(node: Any, place: int, whole: bool, seen: _Seen, before: frozenset[str]) -> Iterator[Range]:
    if whole and (node.op_type, place) in _LIMITS:
        yield _LIMITS[node.op_type, place](node, seen)
    whole = whole or (node.op_type == "Cast" and _attribute(node, "to", 0) not in FLOATS)
    behind = [name for name in node.output if name and name not in before]
    if place in MOVED.get(node.op_type, ()):
        yield from (_range(name, whole, seen, before) for name in behind)
    elif node.op_type in ("Add", "Sub", "Mul") and len(node.input) == 2 and node.input[1 - place] in seen.constants:
        constant = seen.constants[node.input[1 - place]]
        if constant.size and constant.dtype.kind in "iuf":
            yield from (_before(node.op_type, place, constant, _range(name, whole, seen, before)) for name in behind)


def _before(op: str, place: int, constant: NDArray[np.generic], made: Range) -> Range:
    """What may be put into a sum, a difference or a product with a constant, that its result keeps to a range."""
    least, most = float(np.min(constant.astype(np.float64))), float(np.max(constant.astype(np.float64)))
    if op == "Add":
        return made[0] - least, made[1] - most
    if op == "Sub":
        return (made[0] + most, made[1] + least) if place == 0 else (most - made[1], least - made[0])
    return (made[0] / least, made[1] / most) if least > 0 else FREE


def _attribute(node: Any, name: str, default: int) -> int:
    return next((each.i for each in node.attribute if each.name == name), default)


def _index(place: int, default: int = 0) -> Callable[[Any, _Seen], Range]:
    """An index into the axis of what is read at a place."""

    def limit(node: Any, seen: _Seen) -> Range:
        shape = seen.shapes.get(node.input[place])
        axis = _attribute(node, "axis", default)
        return (0, shape[axis] - 1) if shape and -len(shape) <= axis < len(shape) else (0, inf)

    return limit


def _tuples(node: Any, seen: _Seen) -> Range:
    """Indices into several axes at once."""
    shape, indices = seen.shapes.get(node.input[0]), seen.shapes.get(node.input[1])
    if not shape or not indices:
        return 0, inf
    first = _attribute(node, "batch_dims", 0)
    return 0, min(shape[first : first + indices[-1]] or (1,)) - 1


def _length(place: int, attribute: str, default: int) -> Callable[[Any, _Seen], Range]:
    """A length of at least one, within the axis that an attribute names."""

    def limit(node: Any, seen: _Seen) -> Range:
        shape, axis = seen.shapes.get(node.input[place]), _attribute(node, attribute, default)
        return (1, shape[axis]) if shape and -len(shape) <= axis < len(shape) else (1, 1)

    return limit


def _axis(node: Any, seen: _Seen) -> Range:
    shape = seen.shapes.get(node.input[0])
    return 0, max(len(shape or ()) - 1, 0)


def _depth(node: Any, seen: _Seen) -> Range:
    depth = seen.constants.get(node.input[1])
    return (0, float(depth.astype(np.float64).max()) - 1) if depth is not None and depth.size else (0, inf)


def _always(low: float, high: float) -> Callable[[Any, _Seen], Range]:
    return lambda node, seen: (low, high)


_LIMITS: dict[tuple[str, int], Callable[[Any, _Seen], Range]] = {
    ("Gather", 1): _index(0),
    ("GatherElements", 1): _index(0),
    ("ScatterElements", 1): _index(0),
    ("GatherND", 1): _tuples,
    ("ScatterND", 1): _tuples,
    ("OneHot", 0): _depth,
    ("OneHot", 1): _always(1, inf),
    ("EmbedLayerNormalization", 0): _index(2),
    ("EmbedLayerNormalization", 1): _index(4),
    ("NegativeLogLikelihoodLoss", 1): _index(0, 1),
    ("SoftmaxCrossEntropyLoss", 1): _index(0, 1),
    ("Div", 1): _always(1, inf),
    ("Mod", 1): _always(1, inf),
    ("Log", 0): _always(1, inf),
    ("Sqrt", 0): _always(0, inf),
    ("Reciprocal", 0): _always(1, inf),
    ("BitShift", 1): _always(0, 7),
    ("CumSum", 1): _axis,
    ("Slice", 1): _always(0, 0),
    ("Slice", 2): _always(1, 1),
    ("Slice", 3): _axis,
    ("Slice", 4): _always(1, 1),
    ("TopK", 1): _length(0, "axis", -1),
    ("ReverseSequence", 1): _length(0, "time_axis", 0),
    **{(op, 4): _length(0, "axis", 0) for op in ("GRU", "LSTM", "RNN")},
    **{(op, 1): _axis for op in ("Squeeze", "Unsqueeze", "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin")},
    **{(op, 1): _always(1, 2) for op in ("Expand", "Tile")},
    ("ConstantOfShape", 0): _always(1, 2),
    ("Loop", 0): _always(1, 2),
    ("Range", 0): _always(0, 0),
    ("Range", 1): _always(1, inf),
    ("Range", 2): _always(1, 1),
}
"""What an operator takes at a place, for whole numbers."""
