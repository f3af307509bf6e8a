"""Whole networks on boards in QEMU: bytes as the reference computes them, memory as planned."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.mcu import reference
from devices.mcu.assembly import assembled
from devices.mcu.blob import blob_of
from devices.mcu.boards import board
from devices.mcu.compiler import compile_segment
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import image
from devices.mcu.planner import plan_memory
from devices.mcu.program import Program
from edgekit.mcu_artifact import McuArtifact
from edgekit.onnxio import from_tflite
from edgekit.runtime.serial_line.board_line import BoardLine
from tests.devices.mcu.random_programs import random_inputs, random_program
from tests.firmwarebed import needs_qemu

DATA = Path(__file__).parents[4] / "shared" / "data" / "mcu"
FILLS = (0x00, 0xA5)


def compiled(name: str) -> Program:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"needs data {path}")
    return compile_segment(from_tflite(path) if path.suffix == ".tflite" else path.read_bytes())


def golden(program: Program, given: Sequence[NDArray[np.int8]]) -> list[bytes]:
    """What the outputs of a program are."""
    buffers = [np.zeros(each.nbytes, np.int8) for each in program.buffers]
    for end, values in zip(program.inputs, given, strict=True):
        buffers[end.buffer][:] = values
    reference.run_buffers(program, buffers)
    return [buffers[end.buffer].tobytes() for end in program.outputs]


def check(line: BoardLine, program: Program, artifact: McuArtifact, frames: int) -> None:
    """Frames in and out; in the end every byte of the plan has been touched, and none beyond."""
    touched = 0
    for fill in FILLS:
        told = line.commit(artifact.table, fill)
        assert told.missing == 0
        for number in range(frames):
            given = random_inputs(program, number + fill)
            for index, values in enumerate(given):
                line.put_input(index, values.tobytes(), number)
            line.run(number, 0, len(artifact.operators))
            assert [line.get_output(i, number) for i in range(len(artifact.outputs))] == golden(program, given)
        memory = line.memory()
        touched = max(touched, memory.touched)
        assert memory.arena == told.arena_bytes
        assert memory.stack_most < memory.stack and memory.lost == memory.dropped == 0
    assert touched == told.arena_bytes


@needs_qemu
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an385", "netduinoplus2"])
def test_a_network_on_a_board_equals_the_reference(name: str) -> None:
    program, found = compiled("resnet8_quant.onnx"), board(name)
    artifact = assembled(program, plan_memory(program))
    with emulated(found, image(found, weights=blob_of([program])).elf) as running:
        line = BoardLine(running.port)
        try:
            line.hello()
            line.put_table(artifact.table)
            check(line, program, artifact, frames=1)
        finally:
            line.close()


@needs_qemu
@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("name", ["resnet8_quant", "person_detect"])
def test_a_hundred_inputs_equal_the_reference(name: str, suffix: str) -> None:
    program, found = compiled(name + suffix), board("mps2-an386")
    artifact = assembled(program, plan_memory(program))
    with emulated(found, image(found).elf) as running, BoardLine(running.port) as line:
        line.hello()
        line.put_weights(artifact.blob)
        line.put_table(artifact.table)
        check(line, program, artifact, frames=50)


@needs_qemu
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_random_programs_touch_what_was_planned() -> None:
    found = board("mps2-an386")
    with emulated(found, image(found).elf) as running, BoardLine(running.port) as line:
        line.hello()
        for seed in range(25):
            program = random_program(seed)
            artifact = assembled(program, plan_memory(program))
            line.put_weights(artifact.blob)
            line.put_table(artifact.table)
            check(line, program, artifact, frames=2)
