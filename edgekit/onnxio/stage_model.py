"""Cutting a network: a range of its units as a model of its own."""

from pathlib import Path
from typing import Any

from onnx import ModelProto, ValueInfoProto

from edgekit.errors import GraphError
from edgekit.graph import Graph, Node, Segment
from edgekit.onnxio.file_bytes import MARK, Model, load
from edgekit.onnxio.twin_cuts import extract
from edgekit.onnxio.versions import lower
from edgekit.onnxio.weight_bytes import join

__all__ = ["cut"]


def cut(model: str | Path | bytes | Model, graph: Graph, start: int, stop: int, *, precision: str | None = None) -> bytes:
    """The model of units ``[start, stop)``: it reads the segment's inputs and makes its outputs, in their order.

    ``precision``: that of one of the graph's twins, where its stage is to be taken from there; all others are the graph's own.

    Only the weights that it uses are copied, and the constant nodes that it needs, wherever they stand. Its opsets are as low
    as its operators allow. To cut many times, ``load`` the model once.

    Raises:
        GraphError: the range is empty or out of bounds, the graph cannot be cut there, or nothing later reads what it makes.
    """
    model = load(model)
    _check(model, graph, start, stop)
    segment = graph.segment(start, stop)
    if not segment.outputs:
        raise GraphError(f"nothing reads what units [{start}, {stop}) make; leave them out, or put them into the segment before")
    if precision in model.twins:
        if not graph.runs_in(precision, start, stop):
            raise GraphError(f"units [{start}, {stop}) cannot run in {precision}: that network cannot be cut there; cut elsewhere")
        return extract(model.twins[precision], segment)
    nodes = _needed(graph, start, stop)
    part = ModelProto()
    part.CopyFrom(_frame(model.proto))
    part.graph.name = f"{graph.name}_{start}_{stop}"
    part.graph.node.extend(model.nodes[node.name] for node in nodes)
    part.graph.input.extend(model.described[tensor.name] for tensor in segment.inputs)
    part.graph.output.extend(_described(model, tensor.name) for tensor in segment.outputs)
    ends = {tensor.name for tensor in (*segment.inputs, *segment.outputs)}
    inner = dict.fromkeys(name for node in nodes for name in node.outputs if name not in ends)
    part.graph.value_info.extend(model.described[name] for name in inner)
    _add_weights(part.graph, model.proto.graph, nodes, segment)
    lower(part)
    return join(part, model.payloads)


def _check(model: Model, graph: Graph, start: int, stop: int) -> None:
    if model.digest != graph.digest:
        raise GraphError(f"expected the model of graph {graph.digest[:12]}, got {model.digest[:12]}; read the graph from this file again")
    if not 0 <= start < stop <= len(graph.units):
        raise GraphError(f"expected units [start, stop) within [0, {len(graph.units)}), got [{start}, {stop})")
    for position in (start, stop):
        if obstacle := graph.cuts[position].obstacle:
            raise GraphError(f"the graph cannot be cut at {position}: {obstacle}; choose a position of Graph.candidates")


def _needed(graph: Graph, start: int, stop: int) -> list[Node]:
    """The nodes of the range, and the constant ones behind them, in the order of the graph."""
    first, last = graph.units[start].start, graph.units[stop - 1].stop
    chosen = [i for i in range(first, last) if not graph.nodes[i].constant]
    wanted = {name for i in chosen for name in graph.nodes[i].inputs}
    if stop == len(graph.units):
        wanted.update(graph.outputs)
    for i in range(last - 1, -1, -1):  # constants stand before their readers
        if graph.nodes[i].constant and wanted.intersection(graph.nodes[i].outputs):
            wanted.update(graph.nodes[i].inputs)
            chosen.append(i)
    return [graph.nodes[i] for i in sorted(chosen)]


def _frame(proto: Any) -> ModelProto:
    """A model's versions and metadata, without its graph."""
    frame = ModelProto(ir_version=proto.ir_version, producer_name=proto.producer_name, producer_version=proto.producer_version)
    frame.opset_import.extend(proto.opset_import)
    frame.metadata_props.extend(entry for entry in proto.metadata_props if entry.key != MARK[0])
    return frame


def _described(model: Model, name: str) -> Any:
    """A tensor's description; a weight that is an output of the graph has one there."""
    return model.described.get(name) or ValueInfoProto(name=name)


def _add_weights(part: Any, whole: Any, nodes: list[Node], segment: Segment) -> None:
    used = {name for node in nodes for name in (*node.inputs, *node.outputs)} | {tensor.name for tensor in segment.outputs}
    notes = [note for note in whole.quantization_annotation if note.tensor_name in used]
    used |= {entry.value for note in notes for entry in note.quant_parameter_tensor_names}
    part.quantization_annotation.extend(notes)
    part.initializer.extend(weight for weight in whole.initializer if weight.name in used)
    part.sparse_initializer.extend(weight for weight in whole.sparse_initializer if weight.values.name in used)
