"""Reading the bytes of an .onnx file, with the data that it keeps in other files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from math import prod
from os.path import commonpath
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto

from edgekit.errors import GraphError
from edgekit.onnxio.weight_bytes import SMALL, Payloads, split, with_data

__all__ = ["LIMIT_BYTES", "MARK", "Model", "decode", "file_bytes", "load", "parse", "subgraphs"]

LIMIT_BYTES = 2**31 - 1
"""What one protobuf message, and so a model in one file, may hold."""

MARK = ("edgekit.normalised", "1")
"""Entry of a model's metadata: normalised by the first version of the rules."""


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A normalised model in memory, so that many stages can be cut without parsing it again.

    ``serialized`` is the file. In ``proto`` large weights are hollow; ``payloads`` holds where their bytes are in the file.
    ``twins``: the same network in other precisions. ``frames``: inputs as it will see them, to be tried on; empty: made-up ones.
    """

    name: str
    digest: str
    proto: Any
    payloads: Payloads
    serialized: bytes
    twins: "dict[str, Model]" = field(default_factory=dict)
    frames: "tuple[Mapping[str, NDArray[np.generic]], ...]" = ()

    @cached_property
    def nodes(self) -> dict[str, Any]:
        """Operators by name."""
        return {node.name: node for node in self.proto.graph.node}

    @cached_property
    def described(self) -> dict[str, Any]:
        """The description of each tensor that is not a weight."""
        graph = self.proto.graph
        return {value.name: value for value in (*graph.value_info, *graph.output, *graph.input)}


def load(source: str | Path | bytes | Model) -> Model:
    """Parse a normalised model once.

    Raises:
        GraphError: missing, not ONNX, or not normalised.
    """
    if isinstance(source, Model):
        return source
    data = source if isinstance(source, bytes) else file_bytes(Path(source))
    place = _place(source)
    proto, payloads = decode(data, place)
    if MARK not in {(entry.key, entry.value) for entry in proto.metadata_props}:
        raise GraphError(f"{place} is not prepared for edgekit; run: edgekit export {place} -o net.onnx first")
    stem = "graph" if isinstance(source, bytes) else Path(source).stem
    return Model(proto.graph.name or stem, sha256(data).hexdigest(), proto, payloads, data)


def parse(source: str | Path | bytes) -> tuple[Any, Payloads]:
    """The ModelProto of any .onnx file, its external data embedded, and the bytes of its large weights.

    Raises:
        GraphError: missing, not ONNX, truncated, larger than 2 GB, or external data outside the model's folder.
    """
    data = source if isinstance(source, bytes) else file_bytes(Path(source))
    proto, payloads = decode(data, _place(source))
    _embed(proto, payloads, None if isinstance(source, bytes) else Path(source).parent, len(data))
    return proto, payloads


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The bodies of an If, Loop or Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _place(source: str | Path | bytes) -> str:
    return "the model" if isinstance(source, bytes) else str(source)


def file_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise GraphError(f"{path}: expected at most 2 GB, got {path.stat().st_size / 1e9:.1f} GB; export it in a smaller precision")
        return path.read_bytes()
    except OSError as error:
        raise GraphError(f"{path}: expected an .onnx file, but it cannot be read ({error.strerror}); check the path") from error


def decode(data: bytes, place: str) -> tuple[Any, Payloads]:
    """The ModelProto in ``data``, large weights apart; ``place`` is what messages call it."""
    try:
        proto, payloads = split(data)
        _check_text(proto.graph)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise GraphError(f"{place}: expected an ONNX model, got {_looks_like(data)}; export it to ONNX again") from error
    if not proto.ir_version or not proto.HasField("graph") or not proto.graph.output:
        raise GraphError(f"{place}: expected an ONNX model, got {_looks_like(data)}; export it to ONNX again")
    return proto, payloads


def _check_text(graph: Any) -> None:
    """Raise ValueError where a name is no text: protobuf then hands out bytes."""
    for node in graph.node:
        names = (node.name, node.op_type, node.domain, *node.input, *node.output, *(attribute.name for attribute in node.attribute))
        if not all(isinstance(name, str) for name in names):
            raise ValueError("the name of a node is no text")
        for inner in subgraphs(node):
            _check_text(inner)
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    dims = (dim.dim_param for value in (*graph.input, *graph.output) for dim in value.type.tensor_type.shape.dim)
    if not all(isinstance(name, str) for name in (graph.name, *(value.name for value in values), *dims)):
        raise ValueError("the name of a tensor is no text")


def _looks_like(data: bytes) -> str:
    if not data:
        return "an empty file"
    if data[4:8] == b"TFL3":
        return "a .tflite file, which edgekit export takes under a name that ends in .tflite"
    if data[:2] == b"PK":
        return "a zip archive (a PyTorch checkpoint?)"
    if data[:7] == b"version" or data[:5] == b"<!DOC" or data[:5] == b"<html":
        return "a text file (a Git LFS pointer or a web page?)"
    return f"{len(data)} bytes that are damaged, cut short, or of another format"


def _embed(proto: Any, payloads: Payloads, folder: Path | None, size: int) -> None:
    weights = {weight.name for weight in proto.graph.initializer}
    for tensor in _tensors(proto):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        fields = {entry.key: entry.value for entry in tensor.external_data}
        path = _external(tensor.name, fields.get("location", ""), folder)
        offset, length = int(fields.get("offset", 0)), int(fields.get("length", path.stat().st_size - int(fields.get("offset", 0))))
        size += length
        if size > LIMIT_BYTES:
            raise GraphError("expected at most 2 GB with the external data; export it in a smaller precision")
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length) if length >= 0 else b""
        if offset < 0 or len(data) != length:
            raise GraphError(
                f"weight {tensor.name}: expected {length} bytes at {offset} of {path.name}, got {len(data)}; copy the file again"
            )
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        if tensor.name in weights and prod(tensor.dims) > SMALL:
            payloads[tensor.name] = with_data(tensor, data)
        else:
            tensor.raw_data = data


def _external(name: str, location: str, folder: Path | None) -> Path:
    """The file of a weight: a plain one within the model's folder, as anything else could read the user's other files."""
    if folder is None:
        raise GraphError(f"weight {name} is in another file ({location}); pass the model's path instead of its bytes")
    path = folder / location
    inside = not Path(location).is_absolute() and ".." not in Path(location).parts and location
    if not inside or commonpath([folder.resolve(), path.resolve()]) != str(folder.resolve()):
        raise GraphError(f"weight {name}: expected its file within the model's folder, got {location!r}; put the file beside the model")
    if path.is_symlink() or not path.is_file():
        raise GraphError(f"weight {name}: expected a plain file {location!r} beside the model, got none; copy it there")
    return path


def _tensors(proto: Any) -> Iterator[Any]:
    """Every tensor that a model holds: weights and attributes, in functions and subgraphs too."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from ((attribute.t,) if attribute.HasField("t") else ())
            yield from attribute.tensors
        for graph in subgraphs(node):
            yield from _graph_tensors(graph)
