"""The weights of a network, or of a segment, in one piece that a board searches by id (firmware/SPEC.md, section 2)."""

import hashlib
import struct
import zlib
from collections.abc import Iterable

from devices.mcu.packing import chunk_of
from devices.mcu.program import Program
from edgekit.errors import FormatError

__all__ = ["blob_of", "chunk_id", "chunks_in"]

HEADER, ENTRY = struct.Struct("<4sIII"), struct.Struct("<8sII")
MAGIC = b"EKW1"
MOST_BYTES = 2**31


def chunk_id(chunk: bytes) -> bytes:
    """The name of a chunk: the begin of its SHA-256."""
    return hashlib.sha256(chunk).digest()[:8]


def blob_of(programs: Iterable[Program]) -> bytes:
    """Every chunk of some programs, once each; the same bytes whatever the order of the programs.

    Raises:
        FormatError: it is larger than a board can address.
    """
    read = (chunk_of(operator) for program in programs for operator in program.operators)
    chunks = {chunk_id(chunk): chunk for chunk in read if chunk}
    index, data = b"", b""
    begin = HEADER.size + len(chunks) * ENTRY.size
    for name, chunk in sorted(chunks.items()):
        index += ENTRY.pack(name, begin + len(data), len(chunk))
        data += chunk.ljust(-(-len(chunk) // 4) * 4, b"\0")
    total = begin + len(data)
    if total >= MOST_BYTES:
        raise FormatError(f"weights of {total} bytes, expected less than 2 GiB; take a smaller network")
    return HEADER.pack(MAGIC, len(chunks), total, zlib.crc32(index + data)) + index + data


def chunks_in(blob: bytes) -> dict[bytes, bytes]:
    """The chunks of a blob by their ids.

    Raises:
        FormatError: it is no blob, or a damaged one.
    """
    if len(blob) < HEADER.size or blob[:4] != MAGIC:
        raise FormatError(f"expected weights that begin with {MAGIC!r}, got {blob[:4]!r}; build them again")
    _, count, total, crc = HEADER.unpack_from(blob)
    if total != len(blob) or zlib.crc32(blob[HEADER.size :]) != crc or HEADER.size + count * ENTRY.size > total:
        raise FormatError(f"weights of {len(blob)} bytes are damaged: expected {total} bytes of CRC-32 {crc:08x}; build them again")
    entries = (ENTRY.unpack_from(blob, HEADER.size + i * ENTRY.size) for i in range(count))
    chunks = {name: blob[at : at + size] for name, at, size in entries}
    if wrong := [name.hex() for name, chunk in chunks.items() if chunk_id(chunk) != name]:
        raise FormatError(f"weights whose chunk {wrong[0]} has other bytes than its id says; build them again")
    return chunks
