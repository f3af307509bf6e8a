"""A network and the same in another precision: which cuts they share, and stages of the one between tensors of the other.

fp32      x ─ Conv ─ a ─ Conv ─ y                       its tensors name the cuts
int8      x ─ Q DQ ─ Conv ─ a ─ Q DQ ─ Conv ─ y         made of it, with a in between as well

stage     x ─ Q DQ ─ Conv ─ a::twin ─ Q ─ a::uint8 ─ DQ ─ a          what is quantized next leaves the stage as it will be read;
                                                                     between two such stages in its whole numbers, a::uint8
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace
from onnx import ModelProto, helper

from edgekit.codec import STRAIGHT, carried
from edgekit.errors import GraphError
from edgekit.graph import Graph, Held, Segment, Tensor, Twin
from edgekit.onnxio.file_bytes import MARK, Model, subgraphs
from edgekit.onnxio.names import all_graphs, reads
from edgekit.onnxio.onnx_graph import element_type, read, value_info
from edgekit.onnxio.straight import steps_of
from edgekit.onnxio.versions import lower
from edgekit.onnxio.weight_bytes import join

__all__ = ["extract", "paired"]

_CASTS = {("float32", "float16"), ("float16", "float32")}


def paired(graph: Graph, model: Model, twins: Iterable[Model]) -> tuple[Graph, Model]:
    """The network, whose stages can then also run in the precisions of its twins.

    Raises:
        GraphError: a twin is not made of this network, or is of a precision that is there already.
    """
    for twin in twins:
        other = read(twin)
        known = {graph.precision, *model.twins}
        if other.precision in known:
            raise GraphError(f"{twin.name} is in {other.precision}, as another one is; pass one network of each precision")
        if [*map(_end, graph.cuts[0].tensors), *map(_end, graph.cuts[-1].tensors)] != [
            *map(_end, other.cuts[0].tensors),
            *map(_end, other.cuts[-1].tensors),
        ]:
            raise GraphError(f"{twin.name} has other inputs or outputs than {graph.name}; make it of that: edgekit quantize")
        cuts = tuple(position for position in graph.candidates if _parts(twin, other, graph.cuts[position].tensors))
        model = dataclasses.replace(model, twins={**model.twins, other.precision: twin})
        crossing = dict.fromkeys(tensor for position in cuts for tensor in graph.cuts[position].tensors)
        held = tuple(each for tensor in crossing if (each := _held(twin, tensor.name)) is not None)
        graph = replace(graph, twins=(*graph.twins, Twin(other.precision, other.digest, cuts, held)))
    return graph, model


def _end(tensor: Tensor) -> tuple[str, object, str]:
    return tensor.name, tensor.shape, tensor.dtype


def _held(twin: Model, name: str) -> Held | None:
    """How a twin has a tensor in whole numbers; None: it does not, or not all of it in the same steps."""
    if (pair := _rounding(twin, name)) is None:
        return None
    weights = {weight.name: weight for weight in twin.proto.graph.initializer}
    steps, back = (steps_of(node, weights) for node in pair)
    if steps is None or steps != back or (dtype := next((each for each in STRAIGHT if each == steps[0]), None)) is None:
        return None
    return Held(name, dtype, *steps[1:])


def _parts(twin: Model, other: Graph, crossing: Sequence[Tensor]) -> bool:
    """Whether a twin has all these tensors, and makes its outputs of them and of weights alone."""
    for tensor in crossing:
        if tensor.name not in twin.described or other.tensor(tensor.name).shape != tensor.shape:
            return False
        if (kind := other.tensor(tensor.name).dtype) != tensor.dtype and (kind, tensor.dtype) not in _CASTS:
            return False
    inputs = {tensor.name for tensor in crossing}
    return not {name for _, names in _behind(twin, other.outputs, inputs) for name in names} & (set(other.inputs) - inputs)


def _behind(twin: Model, wanted: Iterable[str], inputs: set[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The nodes, last first, that make what is wanted of inputs, and what each reads."""
    names = set(wanted) - inputs
    for node in reversed(twin.proto.graph.node):
        if names.intersection(node.output):
            read_names = reads(node)
            names.update(name for name in read_names if name not in inputs)
            yield node, read_names


def extract(twin: Model, segment: Segment) -> bytes:
    """The model that makes a segment's outputs of its inputs as the twin does.

    Raises:
        GraphError: it does not make these outputs of these inputs.
    """
    inputs = {tensor.name for tensor in segment.inputs}
    found = list(_behind(twin, (tensor.name for tensor in segment.outputs), inputs))
    nodes = [node for node, _ in reversed(found)]
    ends = {tensor.name for tensor in (*segment.inputs, *segment.outputs)}
    if missing := ({name for _, names in found for name in names} & {value.name for value in twin.proto.graph.input}) - inputs:
        raise GraphError(f"{twin.name} also reads {', '.join(sorted(missing))} for units [{segment.start}, {segment.stop}); cut elsewhere")
    part = ModelProto(ir_version=twin.proto.ir_version, producer_name=twin.proto.producer_name)
    part.opset_import.extend(twin.proto.opset_import)
    part.metadata_props.extend(entry for entry in twin.proto.metadata_props if entry.key != MARK[0])
    part.graph.name = f"{twin.name}_{segment.start}_{segment.stop}"
    for tensor in segment.inputs:
        part.graph.input.append(value_info(tensor))
        part.graph.node.extend(_entering(twin, tensor))
    for node in nodes:
        part.graph.node.add().CopyFrom(node)
    own = len(part.graph.node)
    for tensor in segment.outputs:
        part.graph.output.append(value_info(tensor))
        part.graph.node.extend(_leaving(twin, tensor))
    for node in list(part.graph.node)[:own]:
        if not node.name.endswith("::enter"):
            _rename(node, {name: f"{name}::twin" for name in ends})
    used = {name for node in part.graph.node for name in (*reads(node), *node.output)}
    part.graph.value_info.extend(twin.described[name] for name in sorted(used) if name in twin.described and name not in ends)
    part.graph.initializer.extend(weight for weight in twin.proto.graph.initializer if weight.name in used)
    part.graph.sparse_initializer.extend(weight for weight in twin.proto.graph.sparse_initializer if weight.values.name in used)
    lower(part)
    return join(part, twin.payloads)


def _kind(twin: Model, tensor: Tensor) -> int:
    return int(twin.described[tensor.name].type.tensor_type.elem_type)


def _entering(twin: Model, tensor: Tensor) -> list[Any]:
    """From a tensor as it comes to what the twin has by its name."""
    name, kind = tensor.name, _kind(twin, tensor)
    if kind == element_type(tensor):
        return [helper.make_node("Identity", [name], [f"{name}::twin"], f"{name}::enter")]
    return [helper.make_node("Cast", [name], [f"{name}::twin"], f"{name}::enter", to=kind)]


def _leaving(twin: Model, tensor: Tensor) -> list[Any]:
    """And back; what is quantized next is quantized here, so that its kernel works in whole numbers, and no value is another one for it."""
    name, kind = tensor.name, _kind(twin, tensor)
    if kind != (plain := element_type(tensor)):
        return [helper.make_node("Cast", [f"{name}::twin"], [name], f"{name}::leave", to=plain)]
    if (pair := _rounding(twin, name)) is None:
        return [helper.make_node("Identity", [f"{name}::twin"], [name], f"{name}::leave")]
    made, held = [], _held(twin, name)
    whole = carried(tensor, held.dtype)[0].name if held else f"{name}::whole"
    for node, read_name, output in ((pair[0], f"{name}::twin", whole), (pair[1], whole, name)):
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name, copy.input[0], copy.output[0] = f"{output}::leave", read_name, output
        made.append(copy)
    return made


def _rounding(twin: Model, name: str) -> tuple[Any, Any] | None:
    """The nodes that quantize a tensor and restore it; None: it is not quantized."""
    quantize = _reader(twin, "QuantizeLinear", name)
    restore = _reader(twin, "DequantizeLinear", quantize.output[0]) if quantize is not None else None
    return None if quantize is None or restore is None else (quantize, restore)


def _reader(twin: Model, op: str, name: str) -> Any:
    """The first node of a type that reads a tensor first of all; None: there is none."""
    return next((node for node in twin.proto.graph.node if node.op_type == op and node.input[0] == name), None)


def _rename(node: Any, names: dict[str, str]) -> None:
    """Give tensors other names in a node, and in what its subgraphs read."""
    node.output[:] = [names.get(name, name) for name in node.output]
    for each in (node, *(inner for body in subgraphs(node) for graph in all_graphs(body) for inner in graph.node)):
        each.input[:] = [names.get(name, name) for name in each.input]
