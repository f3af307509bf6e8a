"""Runs the kernels of the firmware on cases: built for this machine under sanitizers, or for a Cortex-M under QEMU."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu import program as p
from devices.mcu.packing import chunk_of

__all__ = ["BOARD", "HOST", "Answer", "Case", "build", "fields_of", "run"]

ROOT = Path(__file__).resolve().parents[3]
BED, KERNELS = Path(__file__).parent / "bed", ROOT / "devices/firmware/kernels"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")
SANITIZERS = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
HOST = "gcc"
BOARD = "arm-none-eabi-gcc"
CODES = (p.Conv, p.Depthwise, p.Dense, p.Add, p.Mul, p.Average, p.Maximum, p.Map, p.Softmax, p.Move, p.Fill)


class Case(NamedTuple):
    """One operator with its arena, and where its tensors lie in it."""

    operator: p.Operator
    arena: NDArray[np.int8]
    at_in: int
    at_out: int
    at_other: int = -1


class Answer(NamedTuple):
    """What the kernels say of an operator and what they made of its arena; ``ticks`` is 0 on this machine."""

    scratch: int
    chunk_bytes: int
    ticks: int
    arena: NDArray[np.int8]


def build(folder: Path, compiler: str, *flags: str) -> Path:
    """Compile kernels and bed; ``flags`` chooses the path (-DEDGE_DSP=0 or 1) or the core (-mcpu=…)."""
    board = compiler == BOARD
    machine = ("-O2", "-mthumb", "-nostartfiles", "-T", f"{BED}/mps2.ld") if board else SANITIZERS
    sources = [*sorted(KERNELS.glob("*.c")), BED / "driver.c", BED / ("mps2.c" if board else "host.c")]
    program = folder / "bed"
    command = [compiler, *STRICT, *machine, *flags, f"-I{KERNELS}", *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def run(program: Path, cases: Sequence[Case], *, machine: str | None = None) -> list[Answer]:
    """The answers to cases: of a child process, or of a ``machine`` of QEMU."""
    data = b"".join(map(_packed, cases))
    if machine is None:
        made = subprocess.run([program], input=data, capture_output=True, check=False)
        assert made.returncode == 0, made.stderr.decode()
        return _answers(made.stdout, cases)
    (program.parent / "cases").write_bytes(data)
    semihosting = ["-semihosting-config", "enable=on,target=native", "-icount", "shift=6,align=off,sleep=off"]
    quiet = ["-display", "none", "-monitor", "none", "-serial", "null"]
    command = ["qemu-system-arm", "-M", machine, *quiet, *semihosting, "-kernel", str(program)]
    subprocess.run(command, cwd=program.parent, check=True, timeout=300)
    return _answers((program.parent / "answers").read_bytes(), cases)


def _packed(case: Case) -> bytes:
    chunk = chunk_of(case.operator)
    fields = fields_of(case)
    head = (CODES.index(type(case.operator)) + 1, len(fields), len(case.arena), len(chunk))
    return np.array([*head, *fields], "<i4").tobytes() + case.arena.tobytes() + chunk


def _answers(data: bytes, cases: Sequence[Case]) -> list[Answer]:
    answers, at = [], 0
    for case in cases:
        scratch, chunk_bytes, ticks = np.frombuffer(data, "<i4", 3, at).tolist()
        answers.append(Answer(scratch, chunk_bytes, ticks, np.frombuffer(data, np.int8, len(case.arena), at + 12)))
        at += 12 + len(case.arena)
    assert at == len(data)
    return answers


def fields_of(case: Case) -> tuple[int, ...]:
    """The fields of an operator in the order in which the driver reads them."""
    match case.operator:
        case p.Conv() as op:
            return (
                case.at_in,
                case.at_out,
                *_windowed(op),
                *op.weights.shape[1:3],
                *op.stride,
                *op.dilation,
                *op.pads,
                *_ends(op),
                op.groups,
            )
        case p.Dense() as op:
            return (case.at_in, case.at_out, op.rows, op.weights.shape[1], op.weights.shape[0], *_ends(op))
        case p.Add() as op:
            places = (case.at_in, case.at_other, case.at_out, op.count, op.other_count)
            return (*places, *op.multipliers, *op.shifts, *op.zeros, op.low, op.high)
        case p.Mul() as op:
            places = (case.at_in, case.at_other, case.at_out, op.count, op.other_count)
            return (*places, op.multiplier, op.shift, *op.zeros, op.low, op.high)
        case p.Average() as op:
            return (case.at_in, case.at_out, *_pooled(op), int(op.whole), *_ends(op))
        case p.Maximum() as op:
            return (case.at_in, case.at_out, *_pooled(op), 0, 0, 0, op.low, op.high)
        case p.Map() as op:
            return (case.at_in, case.at_out, op.count)
        case p.Softmax() as op:
            return (case.at_in, case.at_out, op.rows, op.count, op.multiplier, op.shift, op.least)
        case p.Move() as op:
            places = (case.at_in + op.at_in, case.at_out + op.at_out, op.run)
            return (*places, *op.counts, *op.steps_in, *op.steps_out)
        case p.Fill() as op:
            return (case.at_out, len(case.arena) - case.at_out, op.value)


def _windowed(op: p.Conv | p.Average | p.Maximum) -> tuple[int, ...]:
    return (*op.in_shape, *op.out_shape)


def _pooled(op: p.Average | p.Maximum) -> tuple[int, ...]:
    return (*op.in_shape, *op.out_shape[:2], *op.kernel, *op.stride, *op.pads)


def _ends(op: p.Conv | p.Dense | p.Average) -> tuple[int, ...]:
    return (op.zero_in, op.zero_out, op.low, op.high)
