"""The type and shape of every tensor, from inference where possible and from a run where not."""

from math import prod
from typing import Any

import onnx
from onnx import ModelProto, helper, shape_inference

from edgekit.onnxio.depends import data_shaped
from edgekit.onnxio.fixed import fixed_shape
from edgekit.onnxio.names import all_graphs
from edgekit.onnxio.trial import describe, observe
from edgekit.onnxio.weight_bytes import SMALL, Payloads

__all__ = ["settle"]


def settle(proto: Any, payloads: Payloads, *, runs: bool = True) -> None:
    """Describe every tensor of the graph; ``Shape`` and ``Size`` of a fixed shape become constants.

    What follows from the data (behind a NonZero, say) is left without a shape: one run proves nothing about the next.

    ``runs``: onnxruntime has to load the model, also where all shapes can be inferred.

    Raises:
        GraphError: onnxruntime does not load the model.
    """
    graph = proto.graph
    del graph.value_info[:]
    given = {value.name: value.type for value in graph.input}
    given |= {weight.name: helper.make_tensor_type_proto(weight.data_type, list(weight.dims)) for weight in graph.initializer}
    ranks: dict[str, int] = {}
    for value in graph.output:
        if value.name in given:
            value.type.CopyFrom(given[value.name])
        elif value.type.HasField("tensor_type"):
            ranks[value.name] = len(value.type.tensor_type.shape.dim)
            value.type.tensor_type.ClearField("shape")
    learned: dict[str, Any] = {}
    while True:
        types, inner = _infer(proto, learned)
        if _fold(graph, types):
            continue
        if runs or any(fixed_shape(types.get(name)) is None for name in _made(proto)):
            types = _ask(proto, payloads, types, inner)
        if not _fold(graph, types):
            break
        learned = types
    _write(graph, types, ranks)


def _write(graph: Any, types: dict[str, Any], ranks: dict[str, int]) -> None:
    outputs = {value.name: value for value in graph.output}
    for name, kind in types.items():
        _drop_symbols(kind)
        if name not in outputs:
            graph.value_info.add(name=name, type=kind)
            continue
        if kind.HasField("tensor_type") and not kind.tensor_type.HasField("shape"):  # the format wants a rank at least
            for _ in range(ranks.get(name, 0)):
                kind.tensor_type.shape.dim.add()
        outputs[name].type.CopyFrom(kind)


def _infer(proto: Any, learned: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Types that ONNX's inference finds, and names within subgraphs whose shapes are fixed.

    Large weights take part by their shape alone.
    """
    light = ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    light.graph.name = proto.graph.name
    light.graph.node.extend(proto.graph.node)
    light.graph.input.extend(proto.graph.input)
    light.graph.output.extend(proto.graph.output)
    light.graph.sparse_initializer.extend(proto.graph.sparse_initializer)
    for weight in proto.graph.initializer:
        if prod(weight.dims) <= SMALL:
            light.graph.initializer.append(weight)
        else:
            light.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)))
    outputs = {value.name for value in light.graph.output}
    light.graph.value_info.extend(onnx.ValueInfoProto(name=name, type=kind) for name, kind in learned.items() if name not in outputs)
    try:
        found = shape_inference.infer_shapes(light, data_prop=True).graph
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        found = light.graph  # what is wrong with the model, onnxruntime says better
    types = {value.name: value.type for value in (*found.value_info, *found.output) if value.type.WhichOneof("value")}
    inner = (value for graph in all_graphs(found) if graph is not found for value in (*graph.value_info, *graph.output))
    return {name: types[name] for name in _made(proto) if name in types}, {
        value.name for value in inner if fixed_shape(value.type) is not None
    }


def _made(proto: Any) -> list[str]:
    return [name for node in proto.graph.node for name in node.output if name]


def _ask(proto: Any, payloads: Payloads, types: dict[str, Any], inner: set[str]) -> dict[str, Any]:
    """Complete the types with what onnxruntime infers and, for shapes that no data can change, what it does."""
    made = _made(proto)
    described = describe(proto, payloads, [name for name in made if fixed_shape(types.get(name)) is None])
    types = {name: _better(types.get(name), described.get(name)) for name in made}
    open_ = [name for name, kind in types.items() if fixed_shape(kind) is None and (kind is None or kind.HasField("tensor_type"))]
    by_data = data_shaped(proto.graph, set(types) - set(open_) | inner)
    ends = {value.name for value in proto.graph.output}
    rankless = [name for name in open_ if name in ends and types[name] is not None and not types[name].tensor_type.HasField("shape")]
    asked = [name for name in open_ if types[name] is not None and (name not in by_data or name in rankless)]
    seen = observe(proto, payloads, asked, types)
    for name, sizes in seen.items():  # of what follows from the data, only the rank is taken: the format wants it for outputs
        sizes = (None,) * len(sizes) if name in by_data else sizes
        types[name] = helper.make_tensor_type_proto(types[name].tensor_type.elem_type, sizes)
    return {name: kind for name, kind in types.items() if kind is not None}


def _better(inferred: Any, described: Any) -> Any:
    """Of two types of a tensor, the one that says more."""
    if described is None or (inferred is not None and fixed_shape(described) is None):
        return inferred
    return described


def _drop_symbols(kind: Any) -> None:
    """Inference numbers the sizes that it does not know, each time anew."""
    if kind.HasField("tensor_type"):
        for dim in kind.tensor_type.shape.dim if kind.tensor_type.HasField("shape") else ():
            dim.ClearField("dim_param")
    elif kind.HasField("sequence_type"):
        _drop_symbols(kind.sequence_type.elem_type)
    elif kind.HasField("optional_type"):
        _drop_symbols(kind.optional_type.elem_type)


def _fold(graph: Any, types: dict[str, Any]) -> bool:
    """Turn each Shape and Size whose input has a fixed shape into a Constant; whether there was any."""
    shapes = {name: fixed_shape(kind) for name, kind in types.items()} | {value.name: fixed_shape(value.type) for value in graph.input}
    folded = False
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") or node.domain not in ("", "ai.onnx"):
            continue
        shape = shapes.get(node.input[0])
        if shape is None:
            continue
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        sizes = shape[bounds.get("start", 0) : bounds.get("end")]
        tensor = (
            helper.make_tensor("", onnx.TensorProto.INT64, [len(sizes)], sizes)
            if node.op_type == "Shape"
            else helper.make_tensor("", onnx.TensorProto.INT64, [], [prod(shape)])
        )
        node.CopyFrom(helper.make_node("Constant", [], list(node.output), name=node.name, value=tensor))
        folded = True
    return folded
