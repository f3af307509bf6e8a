"""A blob holds each chunk once, sorted by id, and is the same for the same chunks."""

import hashlib
import struct
import zlib

import pytest

from devices.mcu.blob import blob_of, chunk_id, chunks_in
from devices.mcu.packing import chunk_of
from edgekit.errors import FormatError
from tests.devices.mcu.random_programs import random_program

PROGRAMS = [random_program(seed) for seed in range(12)]
BLOB = blob_of(PROGRAMS)


def test_every_chunk_comes_back_under_its_id() -> None:
    chunks = [chunk for program in PROGRAMS for operator in program.operators if (chunk := chunk_of(operator))]
    assert chunks_in(BLOB) == {hashlib.sha256(chunk).digest()[:8]: chunk for chunk in chunks}


def test_a_blob_is_the_same_in_any_order_and_however_often() -> None:
    assert blob_of([*reversed(PROGRAMS), *PROGRAMS]) == BLOB


def test_a_blob_is_as_the_specification_draws_it() -> None:
    magic, count, size, crc = struct.unpack_from("<4sIII", BLOB)
    assert (magic, size, crc) == (b"EKW1", len(BLOB), zlib.crc32(BLOB[16:]))
    entries = [struct.unpack_from("<8sII", BLOB, 16 + 16 * i) for i in range(count)]
    assert entries == sorted(entries)
    for name, at, nbytes in entries:
        assert at % 4 == 0
        assert chunk_id(BLOB[at : at + nbytes]) == name


def test_programs_without_chunks_make_an_empty_blob() -> None:
    assert chunks_in(blob_of([])) == {}


def test_a_damaged_blob_is_refused() -> None:
    for at in range(0, len(BLOB), 7):
        with pytest.raises(FormatError):
            chunks_in(BLOB[:at] + bytes([BLOB[at] ^ 4]) + BLOB[at + 1 :])
        with pytest.raises(FormatError):
            chunks_in(BLOB[:at])


def test_a_chunk_with_other_bytes_than_its_id_is_refused() -> None:
    data = bytearray(BLOB)
    data[struct.unpack_from("<I", BLOB, 16 + 8)[0]] ^= 1  # the first byte of the first chunk
    data[12:16] = struct.pack("<I", zlib.crc32(bytes(data[16:])))
    with pytest.raises(FormatError, match="has other bytes than its id says"):
        chunks_in(bytes(data))
