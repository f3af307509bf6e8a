"""The import of any .onnx file: one form that every later step can rely on."""

from collections import defaultdict
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import checker, defs, inliner

from edgekit.errors import GraphError
from edgekit.graph import Node
from edgekit.graph.unit_rule import group
from edgekit.onnxio.depends import constant_nodes
from edgekit.onnxio.file_bytes import LIMIT_BYTES, MARK, parse
from edgekit.onnxio.inputs import fix_inputs
from edgekit.onnxio.names import all_graphs, keep_module, make_names_safe, reads
from edgekit.onnxio.shape_inference import settle
from edgekit.onnxio.versions import FIRST_FREE_IR
from edgekit.onnxio.weight_bytes import SMALL, Payloads, join, split

__all__ = ["normalise"]


def normalise(source: str | Path | bytes, inputs: Mapping[str | None, tuple[int, ...]] | None = None, *, runs: bool = True) -> bytes:
    """Bring a network into the form that edgekit reads; what it computes stays the same.

    One self-contained file: external data embedded, local functions inlined, weights taken off the inputs, large Constant
    nodes turned into weights, nodes that no output needs dropped, each DequantizeLinear copied for each of its readers (as
    onnxruntime does), names unique and printable, all shapes fixed and inferred, nodes ordered by unit. Normalising twice
    changes nothing.

    Args:
        inputs: shapes of inputs that the model leaves open; the key None means its only input.
        runs: onnxruntime has to load it; False: it is opened there only where a shape cannot be inferred.

    Raises:
        GraphError: not an ONNX model, an operator that this onnxruntime lacks, an open or contradictory input shape,
            external data outside the model's folder, or more than 2 GB.
    """
    proto, payloads = parse(source)
    if proto.functions:
        proto, payloads = _inline(join(proto, payloads))
    del proto.training_info[:]
    proto.ir_version = max(proto.ir_version, FIRST_FREE_IR)
    fix_inputs(proto.graph, inputs or {})
    _sort(proto.graph)
    _drop_unused(proto)
    if not proto.graph.node:
        raise GraphError("expected a network, got a model without any operator between its inputs and outputs; export it again")
    payloads = _renamed(payloads, make_names_safe(proto.graph))
    _lift_constants(proto.graph, payloads)
    _copy_dequantizers(proto.graph)
    settle(proto, payloads, runs=runs)
    _drop_unused(proto)
    _order_by_unit(proto.graph)
    _tidy(proto)
    return _checked(proto, payloads)


def _inline(data: bytes) -> tuple[Any, Payloads]:
    try:
        inlined = inliner.inline_local_functions(onnx.load_from_string(data), convert_version=True)
    except Exception as error:  # the inliner is C++ and raises what it likes
        raise GraphError(f"the model's local functions cannot be inlined ({error}); export it without functions") from error
    if inlined.functions:
        names = ", ".join(function.name for function in inlined.functions)
        raise GraphError(f"expected local functions that can be inlined, got {names} of another opset; export with a single opset")
    return split(inlined.SerializeToString())


def _renamed(payloads: Payloads, names: Mapping[str, str]) -> Payloads:
    """The bytes of the large weights under their new names."""
    result = dict(payloads)
    for old, new in names.items():
        if old in payloads:
            tensor = onnx.TensorProto.FromString(result.pop(old))
            tensor.name = new
            result[new] = tensor.SerializeToString(deterministic=True)
    return result


def _sort(graph: Any) -> None:
    """Topological order, as near to the given one as possible."""
    nodes = list(graph.node)
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    before = [{makers[name] for name in reads(node) if name in makers} for node in nodes]
    after: dict[int, list[int]] = defaultdict(list)
    for i, sources in enumerate(before):
        for source in sources:
            after[source].append(i)
    waits = [len(sources) for sources in before]
    ready = [i for i, count in enumerate(waits) if count == 0]
    heapify(ready)
    order = []
    while ready:
        i = heappop(ready)
        order.append(i)
        for successor in after[i]:
            waits[successor] -= 1
            if waits[successor] == 0:
                heappush(ready, successor)
    if len(order) < len(nodes):
        stuck = next(node for i, node in enumerate(nodes) if waits[i] > 0)
        raise GraphError(
            f"node {stuck.name or stuck.output[0]} depends on its own output; expected a graph without cycles: export it again"
        )
    _arrange(graph, [nodes[i] for i in order])


def _arrange(graph: Any, nodes: list[Any]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _drop_unused(proto: Any) -> None:
    """Drop the nodes, weights and optional outputs (a Dropout's mask, say) that no output of the graph needs."""
    graph = proto.graph
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 1)
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(list(graph.node)):
        if needed.intersection(node.output):
            needed.update(reads(node))
            kept.append(node)
    if len(kept) < len(graph.node):
        _arrange(graph, kept[::-1])
    for node in graph.node:
        while len(node.output) > 1 and node.output[-1] not in needed and _is_optional(node, len(node.output) - 1, opset):
            del node.output[-1]
    for note in graph.quantization_annotation:
        if note.tensor_name in needed:
            needed.update(entry.value for entry in note.quant_parameter_tensor_names)
    for index in range(len(graph.initializer) - 1, -1, -1):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]
    for index in range(len(graph.sparse_initializer) - 1, -1, -1):
        if graph.sparse_initializer[index].values.name not in needed:
            del graph.sparse_initializer[index]


def _lift_constants(graph: Any, payloads: Payloads) -> None:
    """Make weights of large Constant nodes, as some exporters write them."""
    kept = []
    for node in graph.node:
        value = next((attribute.t for attribute in node.attribute if attribute.name == "value" and attribute.HasField("t")), None)
        if node.op_type != "Constant" or value is None or prod(value.dims) <= SMALL:
            kept.append(node)
            continue
        value.name = node.output[0]
        payloads[value.name] = value.SerializeToString(deterministic=True)
        graph.initializer.add(name=value.name, data_type=value.data_type, dims=value.dims)
    if len(kept) < len(graph.node):
        _arrange(graph, kept)


def _is_optional(node: Any, position: int, opset: int) -> bool:
    if node.output[position] == "":
        return True
    if node.domain not in ("", "ai.onnx") or not defs.has(node.op_type):
        return False
    try:
        outputs = defs.get_schema(node.op_type, opset).outputs
    except defs.SchemaError:
        return False
    return position < len(outputs) and outputs[position].option == defs.OpSchema.FormalParameterOption.Optional


def _copy_dequantizers(graph: Any) -> None:
    """One DequantizeLinear for each reader: then each reader's unit takes in the small integers."""
    outputs = {value.name for value in graph.output}
    weights = {weight.name for weight in graph.initializer}
    constant = constant_nodes(list(graph.node), weights)
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in reads(node):
            readers[name].append(node)
    names = {node.name for node in graph.node} | weights | {name for inner in all_graphs(graph) for n in inner.node for name in n.output}
    arranged = []
    for node in graph.node:
        arranged.append(node)
        if node.op_type != "DequantizeLinear" or node.name in constant or node.output[0] in outputs:
            continue
        for number, reader in enumerate(readers[node.output[0]][1:], start=1):
            if node.output[0] not in reader.input:
                continue  # captured by a subgraph
            copy = onnx.NodeProto.FromString(node.SerializeToString())
            copy.name, copy.output[0] = f"{node.name}_copy{number}", f"{node.output[0]}_copy{number}"
            if names.intersection((copy.name, copy.output[0])):
                continue  # a name that is taken already: leave that reader on the first one
            reader.input[:] = [copy.output[0] if name == node.output[0] else name for name in reader.input]
            arranged.append(copy)
    _arrange(graph, arranged)


def _order_by_unit(graph: Any) -> None:
    weights = [weight.name for weight in graph.initializer] + [weight.values.name for weight in graph.sparse_initializer]
    constant = constant_nodes(list(graph.node), weights)
    nodes = [Node(n.name, n.op_type, reads(n), tuple(name for name in n.output if name), 0, n.name in constant) for n in graph.node]
    ordered, _ = group(nodes, [value.name for value in graph.output])
    protos = {node.name: node for node in graph.node}
    _arrange(graph, [protos[node.name] for node in ordered])
    rank = {name: i for i, node in enumerate(ordered) for name in node.outputs}
    described = sorted((v for v in graph.value_info if v.name in rank), key=lambda value: rank[value.name])
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in described]
    del graph.value_info[:]
    graph.value_info.extend(copies)


def _tidy(proto: Any) -> None:
    """Drop what is only commentary, such as stack traces of the exporting machine, and domains no longer used."""
    for graph in all_graphs(proto.graph):
        for node in graph.node:
            node.ClearField("doc_string")
            keep_module(node)
    used = {node.domain for graph in all_graphs(proto.graph) for node in graph.node} | {"", "ai.onnx"}
    for index in range(len(proto.opset_import) - 1, -1, -1):
        if proto.opset_import[index].domain not in used:
            del proto.opset_import[index]
    for index in range(len(proto.metadata_props) - 1, -1, -1):
        if proto.metadata_props[index].key == MARK[0]:
            del proto.metadata_props[index]
    proto.metadata_props.add(key=MARK[0], value=MARK[1])


def _checked(proto: Any, payloads: Payloads) -> bytes:
    data = join(proto, payloads)
    if len(data) > LIMIT_BYTES:
        raise GraphError(f"expected at most 2 GB, got {len(data) / 1e9:.1f} GB; export the model in a smaller precision")
    try:
        checker.check_model(data)
    except (checker.ValidationError, ValueError) as error:
        raise GraphError(f"the ONNX checker rejects the model: {str(error).strip().splitlines()[0]}; export it again") from error
    return data
