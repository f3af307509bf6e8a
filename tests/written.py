"""Small networks written in ONNX's text form; weights that are declared without a value get seeded random ones."""

import numpy as np
from onnx import ModelProto, helper, numpy_helper, parser

from edgekit import onnxio

__all__ = ["imported", "model"]


def model(text: str, opset: int = 17, ir: int = 8, domains: str = "") -> ModelProto:
    """A model; ``text`` begins at the graph: ``net (float[2] x) => (y) <float[2] w> { y = Add(x, w) }``."""
    proto = parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}{domains}]> {text}')
    random = np.random.default_rng(0)
    for value in proto.graph.value_info:
        kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        values = random.standard_normal(shape) if kind.kind == "f" else random.integers(-9, 9, shape)
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values).astype(kind), value.name))
    del proto.graph.value_info[:]
    return proto


def imported(text: str, opset: int = 17, **inputs: tuple[int, ...]) -> bytes:
    """The same, normalised."""
    return onnxio.normalise(model(text, opset).SerializeToString(), dict(inputs))
