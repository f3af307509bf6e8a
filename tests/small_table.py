"""A table by hand: its input plus one, three times, in place, so that a run too many is seen."""

import hashlib
import struct
import zlib
from typing import Any

__all__ = ["BLOB", "BYTES", "OPERATORS", "TABLE", "beginning", "expected"]

BYTES, OPERATORS = 1500, 3
CHUNK = bytes((i - 128 + 1) % 256 for i in range(256))
ID = hashlib.sha256(CHUNK).digest()[:8]


def _table() -> bytes:
    ends = struct.pack("<II", 0, BYTES) * 2
    chunks = ID + struct.pack("<II", len(CHUNK), 0xFFFFFFFF)
    operators = struct.pack("<BBHIII", 8, 4, 0, 0, 0, BYTES) * OPERATORS
    size = 28 + len(ends) + len(chunks) + len(operators)

    def whole(crc: int) -> bytes:
        return struct.pack("<4sHHIIHHHHI", b"EKT1", 1, OPERATORS, size, BYTES, 1, 1, 1, 0, crc) + ends + chunks + operators

    return whole(zlib.crc32(whole(0)))


def _blob() -> bytes:
    data = ID + struct.pack("<II", 16 + 16, len(CHUNK)) + CHUNK
    return struct.pack("<4sIII", b"EKW1", 1, 16 + len(data), zlib.crc32(data)) + data


TABLE, BLOB = _table(), _blob()


def expected(data: bytes) -> bytes:
    """What comes out, in integers that wrap."""
    return bytes((byte + OPERATORS) % 256 for byte in data)


def beginning(data: bytes) -> dict[str, Any]:
    """What goes with the first piece of an upload."""
    return {"len": len(data), "crc": zlib.crc32(data), "sha": hashlib.sha256(data).digest()}
