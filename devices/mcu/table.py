"""A planned program as the bytes that a board runs, and back (firmware/SPEC.md, section 3)."""

import struct
import zlib
from typing import NamedTuple

from devices.mcu.blob import chunk_id
from devices.mcu.layouts import LAYOUTS, pack, unpack
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.numbers import numbers_of
from devices.mcu.packing import chunk_of
from devices.mcu.program import Program
from edgekit.errors import FormatError, GraphError

__all__ = ["ABI", "Row", "Table", "decode", "encode", "kind_of"]

ABI = 1
MAGIC = b"EKT1"
HEADER, END, CHUNK = struct.Struct("<4sHHIIHHHHI"), struct.Struct("<II"), struct.Struct("<8sII")
CRC_AT = 24
NO_CHUNK, NOWHERE = 0xFFFF, 0xFFFFFFFF


class Row(NamedTuple):
    """One operator of a table: its kind, the number of its chunk or None, and its numbers by the names of the specification."""

    kind: str
    chunk: int | None
    numbers: dict[str, int]


class Table(NamedTuple):
    """What a table says. Inputs and outputs are (at, bytes) in the arena, chunks (id, bytes)."""

    arena_bytes: int
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]
    chunks: tuple[tuple[bytes, int], ...]
    rows: tuple[Row, ...]


def kind_of(operator: object) -> str:
    """What an operator is called in tables: "conv", "depthwise", …"""
    return type(operator).__name__.lower()


def encode(program: Program, plan: MemoryPlan) -> bytes:
    """The table of a program, in the order and at the addresses of its plan.

    Raises:
        GraphError: a number does not fit its field; the message names the operator.
    """
    names: dict[bytes, tuple[int, int]] = {}
    rows = b""
    for index in plan.order:
        operator = program.operators[index]
        chunk, at = chunk_of(operator), NO_CHUNK
        if chunk:
            at, _ = names.setdefault(chunk_id(chunk), (len(names), len(chunk)))
        rows += pack(kind_of(operator), operator.name, at, numbers_of(program, index, plan))
    ends = [END.pack(plan.offsets[end.buffer], program.buffers[end.buffer].nbytes) for end in (*program.inputs, *program.outputs)]
    chunks = [CHUNK.pack(name, size, NOWHERE) for name, (_, size) in names.items()]
    body = b"".join(ends) + b"".join(chunks) + rows
    counts = (len(names), len(program.inputs), len(program.outputs))
    if max(*counts, len(plan.order)) >= NO_CHUNK:
        raise GraphError(f"{len(plan.order)} operators with {len(names)} chunks, expected less than {NO_CHUNK}; cut the network")
    head = HEADER.pack(MAGIC, ABI, len(plan.order), HEADER.size + len(body), plan.arena_bytes, *counts, 0, 0)
    crc = zlib.crc32(head + body)
    return head[:CRC_AT] + struct.pack("<I", crc) + body


def decode(data: bytes) -> Table:
    """Read a table back.

    Raises:
        FormatError: it is no table, of another version, or damaged.
    """
    if len(data) < HEADER.size or data[:4] != MAGIC:
        raise FormatError(f"expected a table that begins with {MAGIC!r}, got {data[:4]!r}; build it again")
    _, abi, operators, size, arena_bytes, chunks, inputs, outputs, _, crc = HEADER.unpack_from(data)
    if abi != ABI:
        raise FormatError(f"expected a table of version {ABI}, got {abi}; build it with this edgekit")
    if size != len(data) or zlib.crc32(data[:CRC_AT] + bytes(4) + data[CRC_AT + 4 :]) != crc:
        raise FormatError(f"a table of {len(data)} bytes is damaged: expected {size} bytes of CRC-32 {crc:08x}; build it again")
    at = HEADER.size
    ends = [END.unpack_from(data, at + i * END.size) for i in range(inputs + outputs)]
    at += len(ends) * END.size
    held = tuple(CHUNK.unpack_from(data, at + i * CHUNK.size)[:2] for i in range(chunks))
    at += chunks * CHUNK.size
    rows = []
    for _ in range(operators):
        kind, chunk, numbers = unpack(data, at)
        rows.append(Row(kind, None if chunk == NO_CHUNK else chunk, numbers))
        at += LAYOUTS[kind].nbytes
    return Table(arena_bytes, tuple(ends[:inputs]), tuple(ends[inputs:]), held, tuple(rows))
