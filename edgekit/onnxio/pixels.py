"""Pixels as a camera gives them: a network whose images come in whole numbers, a quarter of the bytes, and are prepared inside it.

x (uint8) ─ Cast ─ Mul 1 / (255 · std) ─ Add −mean / std ─▶ what the network read before
"""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgekit.errors import GraphError
from edgekit.onnxio.file_bytes import load
from edgekit.onnxio.names import all_graphs
from edgekit.onnxio.normalise import normalise
from edgekit.onnxio.weight_bytes import join

__all__ = ["with_pixels"]

MOST = 255.0


def with_pixels(data: bytes, mean: Sequence[float] = (), std: Sequence[float] = ()) -> bytes:
    """A normalised network whose image inputs (fp32, batch × channels × height × width) are pixels in uint8.

    Args:
        mean, std: of each channel, as fractions of the brightest, or one for all; none: pixels become fractions and nothing else.

    Raises:
        GraphError: it has no image among its inputs, or another number of channels.
    """
    model = load(data)
    graph = type(model.proto.graph)()
    graph.CopyFrom(model.proto.graph)
    images = [value for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT and _rank(value) == 4]
    if not images:
        raise GraphError(f"{model.name} has no image among its inputs (fp32 with four axes); leave --pixels out")
    made = []
    for value in images:
        name, channels = value.name, value.type.tensor_type.shape.dim[1].dim_value
        scale, shift = _coefficients(channels, mean, std)
        for node in (inner for body in all_graphs(graph) for inner in body.node):
            node.input[:] = [f"{name}::image" if each == name else each for each in node.input]
        value.type.tensor_type.elem_type = TensorProto.UINT8
        made += [
            helper.make_node("Cast", [name], [f"{name}::fp32"], f"{name}::fp32", to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}::fp32", f"{name}::scale"], [f"{name}::scaled"], f"{name}::scaled"),
            helper.make_node("Add", [f"{name}::scaled", f"{name}::shift"], [f"{name}::image"], f"{name}::image"),
        ]
        graph.initializer.extend([numpy_helper.from_array(scale, f"{name}::scale"), numpy_helper.from_array(shift, f"{name}::shift")])
    nodes = [*made, *graph.node]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    proto = type(model.proto)()
    proto.CopyFrom(model.proto)
    proto.graph.CopyFrom(graph)
    return normalise(join(proto, model.payloads))


def _rank(value: object) -> int:
    return len(value.type.tensor_type.shape.dim)  # type: ignore[attr-defined]  # a ValueInfoProto


def _coefficients(channels: int, mean: Sequence[float], std: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """What pixels are multiplied by, and what is added: [1, channels, 1, 1]."""
    rows = []
    for what, given, usual in (("mean", mean, 0.0), ("std", std, 1.0)):
        values = list(given) or [usual]
        if what == "std" and min(values) <= 0:
            raise GraphError(f"expected a std above 0, got {min(values):g}; change --std")
        if len(values) not in (1, channels):
            raise GraphError(f"expected one {what} or {channels}, one for each channel, got {len(values)}; change --{what}")
        rows.append(np.full(channels, values[0]) if len(values) == 1 else np.array(values))
    scale, shift = 1 / (MOST * rows[1]), -rows[0] / rows[1]
    return scale.astype(np.float32).reshape(1, -1, 1, 1), shift.astype(np.float32).reshape(1, -1, 1, 1)
