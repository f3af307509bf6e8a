"""Tables and blobs as cases of the executor's driver, and its answers."""

import struct
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu.blob import blob_of, chunks_in
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.program import Program
from devices.mcu.reference import run_buffers
from devices.mcu.table import encode

__all__ = ["FILLS", "Answer", "Case", "answers", "case_of", "crc_right", "expected", "fuzzed", "spaced"]

Bytes = NDArray[np.int8]
FILLS = (0xA5, 0x5A)


class Case(NamedTuple):
    """What the driver checks and runs; ``room``: bytes of the arena."""

    table: bytes
    room: int
    ram: bytes = b""
    flash: bytes = b""
    inputs: bytes = b""

    def packed(self) -> bytes:
        sizes = struct.pack("<5I", len(self.table), len(self.ram), len(self.flash), len(self.inputs), self.room)
        return sizes + self.table + self.ram + self.flash + self.inputs


class Answer(NamedTuple):
    """The code of the check, its operator (65535: none), how many chunks are missing, and the arena after both runs."""

    code: int
    operator: int
    missing: int
    arenas: tuple[Bytes, ...]

    def touched(self) -> int:
        """The highest byte that a run has written, plus 1."""
        changed = np.flatnonzero((self.arenas[0] != np.int8(FILLS[0] - 256)) | (self.arenas[1] != np.int8(FILLS[1])))
        return int(changed[-1]) + 1 if len(changed) else 0


def spaced(blob: bytes) -> bytes:
    """The same chunks with room between them, so that the driver can fence each of them."""
    chunks = chunks_in(blob)
    index, data, begin = b"", b"", 16 + 16 * len(chunks)
    for name, chunk in sorted(chunks.items()):
        at = -(-(begin + len(data) + 16) // 8) * 8
        data = data.ljust(at - begin, b"\xee") + chunk
        index += struct.pack("<8sII", name, at, len(chunk))
    data = data.ljust(-(-len(data) // 4) * 4 + 16, b"\xee")
    return crc_right(struct.pack("<4sIII", b"EKW1", len(chunks), begin + len(data), 0) + index + data, 12, 16)


def crc_right(data: bytes, at: int, begin: int = 0) -> bytes:
    """``data`` with the CRC-32 at ``at`` made that of what follows ``begin``, with the field 0."""
    clear = data[:at] + bytes(4) + data[at + 4 :]
    return data[:at] + struct.pack("<I", zlib.crc32(clear[begin:])) + data[at + 4 :]


def case_of(program: Program, plan: MemoryPlan, inputs: Sequence[Bytes], *, in_flash: bool = False) -> Case:
    """A program in the arena of its plan, with its chunks in RAM or in flash."""
    blob = spaced(blob_of([program]))
    ram, flash = (b"", blob) if in_flash else (blob, b"")
    return Case(encode(program, plan), plan.arena_bytes, ram, flash, b"".join(each.tobytes() for each in inputs))


def expected(program: Program, inputs: Sequence[Bytes]) -> list[Bytes]:
    """The bytes of every output as NumPy computes them, with a buffer for each tensor."""
    buffers = [np.zeros(buffer.nbytes, np.int8) for buffer in program.buffers]
    for end, values in zip(program.inputs, inputs, strict=True):
        buffers[end.buffer][:] = values
    run_buffers(program, buffers)
    return [buffers[end.buffer] for end in program.outputs]


def answers(driver: Path, cases: Sequence[Case], folder: Path) -> list[Answer]:
    """What the driver says of each case."""
    asked, answered = folder / "cases", folder / "answers"
    asked.write_bytes(struct.pack("<I", len(cases)) + b"".join(case.packed() for case in cases))
    _driven(driver, "run", str(asked), str(answered))
    data, at, found = answered.read_bytes(), 0, []
    for case in cases:
        code, operator, missing = struct.unpack_from("<iII", data, at)
        at += 12
        size = case.room if code == 0 else 0
        arenas = tuple(np.frombuffer(data, np.int8, size, at + i * size) for i in range(2))
        found.append(Answer(code, operator, missing, arenas))
        at += 2 * size
    assert at == len(data)
    return found


def fuzzed(driver: Path, what: str, cases: Sequence[Case], folder: Path, *, seed: int, count: int) -> list[list[int]]:
    """The counts that the driver tells of ``count`` mutants of each case; it fails where a sanitizer reports something."""
    asked = folder / "cases"
    asked.write_bytes(struct.pack("<I", len(cases)) + b"".join(case.packed() for case in cases))
    lines = _driven(driver, what, str(asked), str(seed), str(count)).splitlines()
    return [[int(word) for word in line.split()] for line in lines]


def _driven(driver: Path, *words: str) -> str:
    done = subprocess.run([str(driver), *words], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"driver {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr[-6000:]}"
    return done.stdout
