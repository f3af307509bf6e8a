"""A network that takes several samples at once: its shapes are fixed, so it is another one with a longer first axis."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from edgekit.errors import GraphError
from edgekit.onnxio.depends import constant_nodes
from edgekit.onnxio.file_bytes import Model, load
from edgekit.onnxio.fixed import fixed_shape
from edgekit.onnxio.legal import legal
from edgekit.onnxio.normalise import normalise
from edgekit.onnxio.trial import feeds_of, opened
from edgekit.onnxio.weight_bytes import join

__all__ = ["batched"]

TOLERANCE = 1e-3
"""Of the largest value: kernels sum in another order where there are more samples."""


def batched(model: Model, times: int) -> bytes:
    """The normalised network that takes ``times`` as many samples, along the first axis of each input and output.

    Shapes that exporters write into Reshape and Expand follow, and so does what they put beside each sample (a class token,
    say). That samples do not get into each other's way is tried out: on
    drawn inputs it gives what the original gives for them one after the other.

    Raises:
        GraphError: it does not, or an input has no first axis.
    """
    proto = type(model.proto).FromString(model.proto.SerializeToString())
    for value in proto.graph.input:
        dims = value.type.tensor_type.shape.dim
        if not dims:
            raise GraphError(f"input {value.name} of {model.name} has no first axis, so it takes one sample at a time; leave --batch out")
        dims[0].dim_value *= times
    _lengthen(model, proto, times)
    try:
        data = normalise(join(proto, model.payloads))
        alike = _alike(model, data, times)
    except GraphError as error:
        raise GraphError(f"{model.name} does not take {times} times as many samples: {error}") from error
    if not alike:
        raise GraphError(f"{model.name} gives other outputs for {times} times as many samples: it mixes them; leave --batch out")
    return data


def _lengthen(model: Model, proto: Any, times: int) -> None:
    """Multiply the first size that a Reshape or Expand is told where it is that of what it makes; repeat what a Concat puts in."""
    graph = proto.graph
    weights = {weight.name: weight for weight in graph.initializer if weight.name not in model.payloads}
    constant = constant_nodes(list(graph.node), (weight.name for weight in graph.initializer))
    told = {node.output[0]: a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute if a.name == "value"}
    held = weights | told
    batches = {fixed_shape(value.type)[0] for value in model.proto.graph.input}  # type: ignore[index]  # they have a first axis
    for number, node in enumerate(graph.node):
        made = None if node.name in constant or not node.output[0] else fixed_shape(model.described[node.output[0]].type)
        if not made or made[0] not in batches:
            continue
        for place, name in enumerate(node.input):
            array = numpy_helper.to_array(held[name]) if name in held and prod(held[name].dims) else None
            longer = _longer(node.op_type, place, array, made[0], times) if array is not None else None
            if longer is not None:
                node.input[place] = f"{name}_times{times}_{number}"
                graph.initializer.append(numpy_helper.from_array(longer, node.input[place]))


def _longer(op: str, place: int, array: NDArray[Any], batch: int, times: int) -> NDArray[Any] | None:
    if op in ("Reshape", "Expand") and place == 1 and array[0] == batch:
        return np.concatenate([array[:1] * times, array[1:]])
    if op == "Concat" and array.ndim and len(array) == batch:
        return np.concatenate([array] * times)
    return None


def _alike(model: Model, data: bytes, times: int) -> bool:
    """Whether the longer network gives the outputs of the shorter one, one after the other."""
    many = load(data)
    short, long = opened(model.proto, model.payloads, ()), opened(many.proto, many.payloads, ())
    bounds = legal(model)
    feeds = [feeds_of(short, seed, bounds) for seed in range(times)]
    together = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
    apart = zip(*(short.run(None, feed) for feed in feeds), strict=True)
    try:
        outputs = long.run(None, together)
    except Exception as error:  # onnxruntime's errors share no base class
        raise GraphError(str(error).rpartition("Status Message: ")[2].splitlines()[0][-200:]) from error
    for got, parts in zip(outputs, apart, strict=True):
        if not parts[0].shape or (want := np.concatenate(parts)).shape != got.shape:
            return False
        scale = float(np.abs(want.astype(np.float64)).max(initial=0.0)) or 1.0
        if not np.allclose(got, want, rtol=0.0, atol=TOLERANCE * scale, equal_nan=True):
            return False
    return True
