"""What a network takes on a board in QEMU, counted by the firmware itself: the measuring half of benchmarks/mcu.py."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.mcu.assembly import assembled
from devices.mcu.boards import FIRMWARE, Board
from devices.mcu.compiler import compile_segment
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import Image, image
from devices.mcu.planner import plan_memory
from devices.mcu.program import Conv, Dense, Depthwise, Operator, Program
from devices.mcu.reference import run_buffers
from edgekit.mcu_artifact import McuArtifact
from edgekit.onnxio.tflite import from_tflite
from edgekit.runtime.serial_line.board_line import BoardLine

__all__ = ["OURS", "ClassCost", "Row", "measured"]

FILLS = (0xA5, 0x5A)
OURS = ("kernels", "executor", "agent")
"""Folders of the firmware that are edgekit's on every board."""


@dataclass(frozen=True)
class ClassCost:
    """What the operators of one class take: instructions, multiplications (0: it has none) and outputs."""

    instructions: int
    macs: int
    outputs: int


@dataclass(frozen=True)
class Row:
    """One network on one board; bytes and instructions."""

    model: str
    board: str
    arena_bytes: int
    touched_bytes: int
    bound_bytes: int
    table_bytes: int
    stack_bytes: int
    code_bytes: dict[str, int]
    firmware_bytes: int
    weights_bytes: int
    instructions: int
    classes: dict[str, ClassCost]
    equal: int
    inputs: int

    @property
    def own_code_bytes(self) -> int:
        """Code of kernels, executor and agent."""
        return sum(self.code_bytes.get(name, 0) for name in OURS)


def measured(model: Path, target: Board, inputs: int) -> Row:
    """Compile a network, run it on an emulated board, and compare every output."""
    program = compile_segment(from_tflite(model) if model.suffix == ".tflite" else model.read_bytes())
    plan = plan_memory(program)
    artifact = assembled(program, plan)
    firmware = image(target, weights=artifact.blob)
    equal, touched = 0, 0
    with _board(target, firmware, artifact) as line:
        facts = line.hello()
        for number, fill in enumerate(FILLS + FILLS[:1] * (inputs - len(FILLS)), start=1):
            if number <= len(FILLS):
                line.commit(artifact.table, fill)
            given = _drawn(program, number)
            equal += _run(line, artifact, given, number) == _expected(program, given)
            touched = max(touched, line.memory().touched)
        ticks = line.profile(len(plan.order))
        memory = line.memory()
    counts = [each * facts.num // facts.den for each in ticks]
    operators = [program.operators[index] for index in plan.order]
    assert plan.certificate is not None
    return Row(
        model=model.name,
        board=target.name,
        arena_bytes=plan.arena_bytes,
        touched_bytes=touched,
        bound_bytes=plan.certificate.overlap_bytes,
        table_bytes=len(artifact.table),
        stack_bytes=memory.stack_most,
        code_bytes=_code_bytes(firmware),
        firmware_bytes=firmware.text_bytes,
        weights_bytes=firmware.weights_bytes,
        instructions=sum(counts),
        classes=_classes(program, operators, counts),
        equal=equal,
        inputs=max(inputs, len(FILLS)),
    )


@contextmanager
def _board(target: Board, firmware: Image, artifact: McuArtifact) -> Iterator[BoardLine]:
    """The line to a running board that has the table of a network."""
    with emulated(target, firmware.elf) as emulator, BoardLine(emulator.port) as line:
        line.hello()
        line.put_table(artifact.table)
        yield line


def _drawn(program: Program, seed: int) -> list[NDArray[np.int8]]:
    draw = np.random.default_rng(seed)
    return [draw.integers(-128, 128, program.buffers[end.buffer].nbytes).astype(np.int8) for end in program.inputs]


def _run(line: BoardLine, artifact: McuArtifact, given: Iterable[NDArray[np.int8]], number: int) -> list[bytes]:
    for index, values in enumerate(given):
        line.put_input(index, values.tobytes(), number)
    line.run(number, 0, len(artifact.operators))
    return [line.get_output(index, number) for index in range(len(artifact.outputs))]


def _expected(program: Program, given: Iterable[NDArray[np.int8]]) -> list[bytes]:
    buffers = [np.zeros(buffer.nbytes, np.int8) for buffer in program.buffers]
    for end, values in zip(program.inputs, given, strict=True):
        buffers[end.buffer][:] = values
    run_buffers(program, buffers)
    return [buffers[end.buffer].tobytes() for end in program.outputs]


def _class_of(operator: Operator) -> str:
    if isinstance(operator, Depthwise):
        return "depthwise"
    if isinstance(operator, Conv):
        _, height, width, taken = operator.weights.shape
        return "conv 1x1" if height == width == 1 else f"conv {height}x{width}, {taken} in" if taken < 4 else f"conv {height}x{width}"
    return type(operator).__name__.lower()


def _macs(operator: Operator) -> int:
    match operator:
        case Conv():
            return prod(operator.out_shape) * prod(operator.weights.shape[1:])
        case Dense():
            return operator.rows * operator.weights.size
    return 0


def _classes(program: Program, operators: Iterable[Operator], counts: Iterable[int]) -> dict[str, ClassCost]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for operator, count in zip(operators, counts, strict=True):
        each = sums[_class_of(operator)]
        for place, value in enumerate((count, _macs(operator), program.buffers[operator.output].nbytes)):
            each[place] += value
    return {name: ClassCost(*values) for name, values in sorted(sums.items(), key=lambda item: -item[1][0])}


def _code_bytes(firmware: Image) -> dict[str, int]:
    """Code and constants by folder of the sources, from the linker's map of what stays in flash."""
    folders = {path.stem: path.parent.name for path in FIRMWARE.rglob("*.c")}
    folders |= {path.stem: "ports" for path in (FIRMWARE / "ports").rglob("*.c")}
    kept = firmware.elf.with_suffix(".map").read_text().split("Linker script and memory map")[1]
    sums: dict[str, int] = defaultdict(int)
    for size, path in re.findall(r"\.(?:text|rodata)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)", kept):
        name = Path(path.split("(")[0]).stem
        sums[folders.get(name, "zcbor" if name.startswith("zcbor") else "library")] += int(size, 16)
    return dict(sorted(sums.items()))
