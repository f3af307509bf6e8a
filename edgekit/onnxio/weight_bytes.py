"""Weights as bytes of the file: they are moved between models without being decoded and encoded again.

    ModelProto   … | graph = 7 | …            GraphProto   … | initializer = 5 | initializer = 5 | …

Protobuf encodes a message as fields, ``key, length, bytes``, in any order (protobuf.dev/programming-guides/encoding).
So a model is its small part, encoded as usual, followed by the weights as they were found.
"""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from onnx import GraphProto, ModelProto, TensorProto

__all__ = ["SMALL", "Payloads", "join", "split", "with_data"]

SMALL = 4096
"""Weights up to this many elements stay decoded: they may be sizes, which inference reads."""

Payloads = dict[str, bytes | memoryview]
"""The encoded TensorProto of each large weight, by name."""

_GRAPH, _INITIALIZER = 7, 5


def split(data: bytes) -> tuple[Any, Payloads]:
    """Decode a model; its large weights are left hollow (name, type and shape), and their bytes given beside it.

    Raises:
        ValueError: the bytes are not protobuf, or cut short.
    """
    view = memoryview(data)
    small: list[memoryview | bytes] = []
    graph: list[memoryview] = []
    weights: list[memoryview] = []
    for number, start, body, stop in _fields(view, 0, len(view)):
        if number != _GRAPH:
            small.append(view[start:stop])
            continue
        for inner, begin, content, end in _fields(view, body, stop):
            if inner == _INITIALIZER:
                weights.append(view[content:end])
            else:
                graph.append(view[begin:end])
    if graph or weights:
        small += [_key(_GRAPH, sum(map(len, graph))), *graph]
    proto = ModelProto.FromString(b"".join(small))
    payloads: Payloads = {}
    for weight in weights:
        tensor = TensorProto.FromString(weight)
        if prod(tensor.dims) > SMALL and tensor.data_location != TensorProto.EXTERNAL:
            payloads[tensor.name] = weight
            proto.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        else:
            proto.graph.initializer.append(tensor)
    return proto, payloads


def join(proto: Any, payloads: Mapping[str, bytes | memoryview]) -> bytes:
    """Encode a model, each hollow weight with its bytes from ``payloads``."""
    head = ModelProto()
    head.CopyFrom(proto)
    head.ClearField("graph")
    bare = GraphProto()
    bare.CopyFrom(proto.graph)
    del bare.initializer[:]
    pieces: list[bytes | memoryview] = [bare.SerializeToString(deterministic=True)]
    for weight in proto.graph.initializer:
        content = payloads.get(weight.name) if prod(weight.dims) > SMALL else None
        content = weight.SerializeToString(deterministic=True) if content is None else content
        pieces += [_key(_INITIALIZER, len(content)), content]
    size = sum(map(len, pieces))
    return b"".join([head.SerializeToString(deterministic=True), _key(_GRAPH, size), *pieces])


def with_data(tensor: Any, data: bytes) -> bytes:
    """The encoding of a hollow weight with its raw data."""
    return b"".join([tensor.SerializeToString(deterministic=True), _key(TensorProto.RAW_DATA_FIELD_NUMBER, len(data)), data])


def _fields(view: memoryview, position: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, start, start of the content and end of each field within ``[position, stop)``."""
    while position < stop:
        start = position
        key, position = _varint(view, position)
        kind = key & 7
        if kind == 0:
            _, position = _varint(view, position)
            end = position
        elif kind == 2:
            length, position = _varint(view, position)
            end = position + length
        elif kind in (1, 5):
            end = position + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"no field is of wire type {kind}")
        if end > stop or key >> 3 == 0:
            raise ValueError(f"a field of {end - position} bytes at {position}, beyond its end")
        yield key >> 3, start, position, end
        position = end


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(view) or shift > 63:
            raise ValueError(f"a number at {position} without an end")
        byte = view[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _key(number: int, length: int) -> bytes:
    """The head of a field with ``length`` bytes of content."""
    return bytes([number << 3 | 2]) + _encoded(length)


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
