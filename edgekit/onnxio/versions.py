"""The versions a model is stamped with: as low as what it holds allows, so that older onnxruntimes take it too."""

from typing import Any

from onnx import TensorProto, defs, helper

from edgekit.onnxio.names import all_graphs

__all__ = ["FIRST_FREE_IR", "lower"]

FIRST_FREE_IR = 4
"""The IR version from which on a weight need not be listed as an input."""

OLDEST_OPSET = 21
"""What every onnxruntime that edgekit runs on takes (1.20 and later), so that nothing need be lowered further."""

Types = dict[str, str]


def lower(proto: Any) -> None:
    """Stamp a model with the lowest opsets at which each of its operators means what it means at its own.

    Operators are defined anew in some opsets only, and most of the new definitions from opset 22 on only admit further
    types. So this changes nothing of what the model computes: a stage exported at opset 26 may well be one of opset 14.
    """
    types = _types(proto.graph)
    for entry in proto.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        nodes = [node for graph in all_graphs(proto.graph) for node in graph.node if _domain(node) == domain]
        entry.version = max((_since(node, entry.version, domain, types) for node in nodes), default=entry.version)
    least = helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True)
    proto.ir_version = min(proto.ir_version, max(FIRST_FREE_IR, least))


def _domain(node: Any) -> str:
    return "" if node.domain == "ai.onnx" else str(node.domain)


def _types(graph: Any) -> Types:
    """Tensor types by name, as schemas write them: ``tensor(float)``."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    kinds |= {weight.name: weight.data_type for weight in graph.initializer}
    return {name: f"tensor({TensorProto.DataType.Name(kind).lower()})" for name, kind in kinds.items() if kind}


def _since(node: Any, version: int, domain: str, types: Types) -> int:
    """The opset in which a node's operator got the meaning that it has at ``version``; unknown ones keep that."""
    try:
        schema = defs.get_schema(node.op_type, version, domain)
        while not domain and schema.since_version > OLDEST_OPSET:
            before = defs.get_schema(node.op_type, schema.since_version - 1, domain)
            if not (_same_but_types(before, schema) and _admits(before, node, types)):
                break
            schema = before
    except defs.SchemaError:
        return version
    return int(schema.since_version)


def _same_but_types(one: Any, other: Any) -> bool:
    """Whether two definitions of an operator differ in the types that they admit at most."""

    def signature(schema: Any) -> Any:
        ends = [(each.name, each.option) for each in (*schema.inputs, *schema.outputs)]
        attributes = {name: (each.type, each.required, each.default_value.SerializeToString()) for name, each in schema.attributes.items()}
        return ends, attributes, schema.min_input, schema.max_input, schema.min_output, schema.max_output

    return bool(signature(one) == signature(other))


def _admits(schema: Any, node: Any, types: Types) -> bool:
    """Whether a definition admits the types of a node's tensors; what is not known is not admitted."""
    admitted = {each.type_param_str: set(each.allowed_type_strs) for each in schema.type_constraints}
    for formals, names in ((schema.inputs, node.input), (schema.outputs, node.output)):
        for position, name in enumerate(names):
            kind = formals[min(position, len(formals) - 1)].type_str
            if name and types.get(name) not in admitted.get(kind, {kind}):
                return False
    return True
