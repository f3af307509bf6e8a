"""Whole networks on boards in QEMU: bytes as the reference computes them, memory as planned."""

from pathlib import Path

import numpy as np
import pytest

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
from edgekit.runtime.serial_line.board_line import BoardLine
from tests.firmwarebed import needs_qemu

DATA = Path(__file__).parents[4] / "shared" / "data" / "mcu"
FILLS = (0x00, 0xA5)


def compiled(name: str) -> Program:
    path = DATA / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"needs data {path}")
    return compile_segment(path.read_bytes())


def golden(program: Program, data: bytes) -> list[bytes]:
    """What the outputs of a program with one input are."""
    buffers = [np.zeros(each.nbytes, np.int8) for each in program.buffers]
    buffers[program.inputs[0].buffer][:] = np.frombuffer(data, np.int8)
    reference.run_buffers(program, buffers)
    return [buffers[end.buffer].tobytes() for end in program.outputs]


def check(line: BoardLine, program: Program, artifact: McuArtifact, frames: int) -> None:
    """Frames in and out, and no byte touched beyond the plan."""
    for fill in FILLS:
        told = line.commit(artifact.table, fill)
        assert told.missing == 0
        for number in range(frames):
            data = np.random.default_rng(number + fill).bytes(artifact.inputs[0].nbytes)
            line.put_input(0, data, number)
            line.run(number, 0, len(artifact.operators))
            assert [line.get_output(i, number) for i in range(len(artifact.outputs))] == golden(program, data)
        assert line.memory().touched <= told.arena_bytes
        assert line.memory().arena == told.arena_bytes


@needs_qemu
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an385", "netduinoplus2"])
def test_a_network_on_a_board_equals_the_reference(name: str) -> None:
    program, found = compiled("resnet8_quant"), board(name)
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
@pytest.mark.parametrize("name", ["resnet8_quant", "person_detect"])
def test_a_hundred_inputs_equal_the_reference(name: str) -> None:
    program, found = compiled(name), board("mps2-an386")
    artifact = assembled(program, plan_memory(program))
    with emulated(found, image(found).elf) as running:
        line = BoardLine(running.port)
        try:
            line.hello()
            line.put_weights(artifact.blob)
            line.put_table(artifact.table)
            check(line, program, artifact, frames=50)
        finally:
            line.close()
