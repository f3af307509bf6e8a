"""Names within a model: what subgraphs capture, and names that every tool downstream can print and parse."""

import re
from collections.abc import Iterator
from typing import Any

from edgekit.onnxio.file_bytes import subgraphs

__all__ = ["all_graphs", "keep_module", "make_names_safe", "module_of", "reads"]

_UNSAFE_NODE = re.compile(r"[^A-Za-z0-9_.\-/]")
_UNSAFE_TENSOR = re.compile(r"[\s\"'\\\x00-\x1f\x7f]")


_MODULE = "edgekit.module"
_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch notes the modules of a node, the outermost first, and then its operator: ``['', 'blocks.0', 'blocks.0.down', 'relu']``."""


def module_of(node: Any) -> str:
    """The torch module that a node comes from, such as ``blocks.0.down``; empty where the model does not say."""
    notes = {entry.key: entry.value for entry in node.metadata_props}
    scopes = re.findall(r"'([^']*)'", notes.get(_SCOPES, ""))
    name: str = notes.get(_MODULE) or (scopes[-2] if len(scopes) > 1 else "")
    return name if re.fullmatch(r"[\w.\-]*", name) else ""


def keep_module(node: Any) -> None:
    """Drop all that is noted of a node but its module."""
    name = module_of(node)
    del node.metadata_props[:]
    if name:
        node.metadata_props.add(key=_MODULE, value=name)


def _captured(graph: Any) -> list[str]:
    """Names that a subgraph uses and does not make: they belong to the graph around it."""
    own = {value.name for value in graph.input} | {weight.name for weight in graph.initializer}
    own |= {weight.values.name for weight in graph.sparse_initializer}
    found: dict[str, None] = {}
    for node in graph.node:
        found |= dict.fromkeys(name for name in reads(node) if name not in own)
        own.update(node.output)
    found |= dict.fromkeys(value.name for value in graph.output if value.name not in own)
    return list(found)


def reads(node: Any) -> tuple[str, ...]:
    """Names of all that a node reads, also within its subgraphs, each once."""
    inner = (name for graph in subgraphs(node) for name in _captured(graph))
    return tuple(dict.fromkeys(name for name in (*node.input, *inner) if name))


def all_graphs(graph: Any) -> Iterator[Any]:
    """A graph and every subgraph within it."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from all_graphs(inner)


def make_names_safe(graph: Any) -> dict[str, str]:
    """Give every node a unique name that profilers can write unescaped; rename tensors only where they would break a line.

    The new names of tensors, by the old ones.
    """
    taken = {node.name for inner in all_graphs(graph) for node in inner.node}
    used: set[str] = set()
    for inner in all_graphs(graph):
        for index, node in enumerate(inner.node):
            name = _UNSAFE_NODE.sub("_", node.name) or f"{node.op_type}_{index}"
            if name in used or (name != node.name and name in taken):
                name = _numbered(name, used | taken)
            used.add(name)
            node.name = name
    return _rename_tensors(graph)


def _rename_tensors(graph: Any) -> dict[str, str]:
    tensors: dict[str, None] = {}
    for inner in all_graphs(graph):
        tensors |= dict.fromkeys(value.name for value in (*inner.input, *inner.initializer, *inner.output))
        tensors |= dict.fromkeys(weight.values.name for weight in inner.sparse_initializer)
        tensors |= dict.fromkeys(name for node in inner.node for name in (*node.input, *node.output))
    taken = set(tensors)
    renamed: dict[str, str] = {}
    for name in tensors:
        if _UNSAFE_TENSOR.search(name):
            safe = _UNSAFE_TENSOR.sub("_", name)
            renamed[name] = _numbered(safe, taken) if safe in taken else safe
            taken.add(renamed[name])
    for inner in all_graphs(graph) if renamed else ():
        for value in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            value.name = renamed.get(value.name, value.name)
        for weight in inner.sparse_initializer:
            weight.values.name = renamed.get(weight.values.name, weight.values.name)
        for note in inner.quantization_annotation:
            note.tensor_name = renamed.get(note.tensor_name, note.tensor_name)
            for entry in note.quant_parameter_tensor_names:
                entry.value = renamed.get(entry.value, entry.value)
        for node in inner.node:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]
    return renamed


def _numbered(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
