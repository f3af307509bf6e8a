"""Claim: a quantized network takes no more RAM on a microcontroller than its operators need at least, and fewer instructions than others.

    python benchmarks/mcu.py MODEL... [--board BOARD] [--inputs N] [--json]

Each MODEL (.tflite, or ONNX as QDQ or QLinear) is compiled, planned, and run on a board in QEMU, by the firmware and over the
serial line as in a pipeline. The board paints its arena with two patterns, so that each byte that it touches is seen.

    arena       bytes for activations and scratch: planned = touched            bound    what the worst operator alone needs
    structures  the table, which also lies in RAM; weights stay in flash        stack    the most that was used
    code        of kernels, executor and agent, and of the whole firmware       weights  the blob in flash
    equal       outputs of the board that are those of the NumPy reference, bit by bit

Instructions are counted by QEMU and are the same in every run; they are no cycles. Those of an operator are divided by its
multiplications, or by its outputs (in brackets) where it has none.

What other tools take for the same files: benchmarks/mcu_peers.py.

Exit code 1 where an output differs, another byte is touched than planned, or the arena is more than 5 % above the bound.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.mcu.assembly import assembled
from devices.mcu.boards import FIRMWARE, Board, board
from devices.mcu.compiler import compile_segment
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import Image, image
from devices.mcu.planner import plan_memory
from devices.mcu.program import Conv, Dense, Depthwise, Operator, Program
from devices.mcu.reference import run_buffers
from edgekit.mcu_artifact import McuArtifact
from edgekit.onnxio.tflite import from_tflite
from edgekit.runtime.serial_line.board_line import BoardLine

__all__ = ["ClassCost", "Row", "main", "measured"]

FILLS = (0xA5, 0x5A)
OURS = ("kernels", "executor", "agent")
ABOVE_BOUND = 1.05


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
    def kept(self) -> bool:
        """Whether the promises of this benchmark hold."""
        exact = self.equal == self.inputs and self.touched_bytes == self.arena_bytes
        return exact and self.arena_bytes <= ABOVE_BOUND * self.bound_bytes


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


def told(row: Row) -> str:
    """A row as lines of a terminal."""
    ours = sum(row.code_bytes.get(name, 0) for name in OURS)
    code = ", ".join(f"{name} {nbytes:,}" for name, nbytes in row.code_bytes.items())
    lines = [
        f"{row.model} on {row.board}",
        f"  arena        {row.arena_bytes:>12,}   touched {row.touched_bytes:,}, bound {row.bound_bytes:,}",
        f"  structures   {row.table_bytes:>12,}   with the arena {row.arena_bytes + row.table_bytes:,}",
        f"  stack        {row.stack_bytes:>12,}",
        f"  code         {ours:>12,}   whole firmware {row.firmware_bytes:,}: {code}",
        f"  weights      {row.weights_bytes:>12,}",
        f"  equal        {f'{row.equal} of {row.inputs}':>12}",
        f"  instructions {row.instructions:>12,}",
    ]
    for name, cost in row.classes.items():
        each = f"{cost.instructions / cost.macs:.2f} per MAC" if cost.macs else f"({cost.instructions / cost.outputs:.1f} per output)"
        lines.append(f"    {name:<16} {cost.instructions:>12,}   {each}")
    return "\n".join(lines)


def main() -> int:
    """Measure the models of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("--board", default="mps2-an386")
    parser.add_argument("--inputs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for model in options.models:
        rows.append(measured(model, board(options.board), options.inputs))
        if not options.json:
            print(told(rows[-1]), flush=True)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
