"""The nine light models of the onnx package: real networks whose weights are generated, so that each is a few kilobytes.

As shipped every weight is 0.02, and with it the output hardly depends on the input; ``he_scaled`` gives them weights
that keep the signal alive.
"""

from functools import cache
from math import prod, sqrt
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.runner import Runner

from edgekit.graph import Graph
from edgekit.onnxio import Model, cut

__all__ = [
    "NAMES",
    "expected_output",
    "he_scaled",
    "inputs_for",
    "prepared",
    "run",
    "run_halves",
    "session",
    "shipped",
    "shipped_inputs",
    "worst_difference",
]

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

NAMES = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)

Arrays = dict[str, NDArray[np.generic]]


def shipped(name: str) -> ModelProto:
    """A light model as the onnx package ships it."""
    return onnx.load(FOLDER / f"light_{name}.onnx")


def expected_output(name: str) -> NDArray[np.generic]:
    """The output that the onnx package expects of it."""
    return numpy_helper.to_array(onnx.load_tensor(FOLDER / f"light_{name}_output_0.pb"))


def shipped_inputs(model: ModelProto) -> Arrays:
    """The inputs that the onnx package feeds for that output: a ramp from 0 to 1."""
    return {value.name: Runner.generate_dummy_data(value) for value in _true_inputs(model)}


def inputs_for(model: ModelProto | bytes, seed: int) -> Arrays:
    """Seeded normal values for every input."""
    proto = model if isinstance(model, ModelProto) else onnx.load_from_string(model)
    random = np.random.default_rng(seed)
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in _true_inputs(proto)}
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def session(model: ModelProto | bytes) -> ort.InferenceSession:
    """A stream on one thread, without spinning: several tests may run side by side."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(model: ModelProto | bytes, feeds: Arrays) -> Arrays:
    """All outputs of a model; inputs that it does not have are left out."""
    stream = session(model)
    names = [value.name for value in stream.get_outputs()]
    own = {value.name for value in stream.get_inputs()}
    return dict(zip(names, stream.run(names, {name: value for name, value in feeds.items() if name in own}), strict=True))


def run_halves(model: Model, graph: Graph, position: int, feeds: Arrays) -> Arrays:
    """The graph's outputs from two stages, cut at ``position``; only what crosses the cut is handed over."""
    count = len(graph.units)
    known = feeds | run(cut(model, graph, 0, position), feeds)
    crossing = {tensor.name: known[tensor.name] for tensor in graph.cuts[position].tensors}
    known = crossing | run(cut(model, graph, position, count), crossing)
    return {name: known[name] for name in graph.outputs}


def worst_difference(one: Arrays, two: Arrays) -> float:
    """The largest difference of any element, relative to the largest magnitude of its tensor."""
    worst = 0.0
    for name, value in one.items():
        scale = float(np.abs(value).max()) or 1.0
        worst = max(worst, float(np.abs(value.astype(np.float64) - two[name].astype(np.float64)).max()) / scale)
    return worst


def he_scaled(model: ModelProto, seed: int = 0) -> ModelProto:
    """The same network with seeded random weights, scaled as by He et al. 2015 (arXiv:1502.01852).

    The last product is scaled down until its output on seeded inputs has a deviation of about 1, so that a softmax
    behind it does not saturate.
    """
    random = np.random.default_rng(seed)
    proto = ModelProto()
    proto.CopyFrom(model)
    graph = proto.graph
    shapes = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    generated = [node for node in graph.node if node.op_type == "ConstantOfShape" and node.input[0] in shapes]
    sizes = {node.output[0]: tuple(int(size) for size in shapes[node.input[0]]) for node in generated}
    sizes |= {w.name: tuple(w.dims) for w in graph.initializer if w.data_type == TensorProto.FLOAT and len(w.dims)}
    roles = _roles(graph, set(sizes))
    kept = [weight for weight in graph.initializer if weight.name not in sizes]
    made = [numpy_helper.from_array(_weight(random, roles.get(name, ""), shape), name) for name, shape in sizes.items()]
    nodes = [node for node in graph.node if node not in generated]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*kept, *made])
    proto.ir_version = max(proto.ir_version, 4)
    inputs = [value for value in graph.input if value.name not in shapes and value.name not in sizes]
    del graph.input[:]
    graph.input.extend(inputs)
    _calm_last_product(proto, seed)
    return proto


def _true_inputs(model: ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {weight.name for weight in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _roles(graph: onnx.GraphProto, weights: set[str]) -> dict[str, str]:
    """What each weight is to the node that reads it, such as ``Conv.1``."""
    made_of = _made_of(graph)
    reads = [(made_of.get(name, name), f"{node.op_type}.{place}") for node in graph.node for place, name in enumerate(node.input)]
    return {name: role for name, role in reads if name in weights and role not in ("Unsqueeze.0", "Reshape.0")}


def _made_of(graph: onnx.GraphProto) -> dict[str, str]:
    """Looks through the nodes that only give a weight another shape."""
    weights = {weight.name for weight in graph.initializer} | {n.output[0] for n in graph.node if n.op_type == "ConstantOfShape"}
    return {n.output[0]: n.input[0] for n in graph.node if n.op_type in ("Unsqueeze", "Reshape") and n.input[0] in weights}


def _weight(random: np.random.Generator, role: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    noise = random.standard_normal(shape, dtype=np.float32)
    if role == "BatchNormalization.4":  # variance
        return (1 + 0.2 * np.tanh(noise)).astype(np.float32)
    if role in ("BatchNormalization.1", "Mul.1", "Mul.0"):  # scale
        return (1 + 0.1 * noise).astype(np.float32)
    if len(shape) < 2:  # biases and means
        return (0.1 * noise).astype(np.float32)
    return noise * np.float32(sqrt(2 / prod(shape[1:])))


def _calm_last_product(proto: ModelProto, seed: int) -> None:
    graph = proto.graph
    last = [node for node in graph.node if node.op_type in ("Conv", "Gemm")][-1]
    probe = ModelProto()
    probe.CopyFrom(proto)
    del probe.graph.output[:]
    probe.graph.output.add(name=last.output[0])
    deviation = float(next(iter(run(probe, inputs_for(proto, seed)).values())).std())
    weights = {weight.name: weight for weight in graph.initializer}
    made_of = _made_of(graph)
    for name in (made_of.get(name, name) for name in last.input[1:]):
        weights[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights[name]) / np.float32(deviation), name))


@cache
def prepared(name: str, seed: int = 0) -> ModelProto:
    """``he_scaled`` of a light model, kept for the tests that share it."""
    return he_scaled(shipped(name), seed)
