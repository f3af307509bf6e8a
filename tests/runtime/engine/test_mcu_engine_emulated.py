"""The engine of microcontrollers with the real firmware in QEMU: the reference's numbers, through resets and over a noisy line."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.mcu.assembly import assembled
from devices.mcu.boards import board
from devices.mcu.emulator import Emulator, emulated
from devices.mcu.firmware_image import image
from devices.mcu.program import End, Program
from devices.mcu.reference import run
from edgekit.device import Variant
from edgekit.graph import Tensor
from edgekit.mcu_artifact import encode
from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.engine.mcu_engine import McuModel
from edgekit.runtime.serial_line.serial_port import SerialPort
from tests.devices.mcu.plans import plan_apart
from tests.devices.mcu.random_programs import random_program
from tests.firmwarebed import needs_qemu

MCU = Variant("int8", engine="mcu")
UID = "0badcafe"


@pytest.fixture(scope="module")
def an386() -> Iterator[Emulator]:
    found = board("mps2-an386")
    with emulated(found, image(found).elf, uid=UID) as running:
        yield running


def tensors(ends: tuple[End, ...]) -> tuple[Tensor, ...]:
    return tuple(Tensor(end.name, end.shape, end.dtype) for end in ends)


class OnBoard:
    """A program on the board, and its reference."""

    def __init__(self, program: Program, folder: Path, port: str):
        path = folder / "artifact"
        path.write_bytes(encode(assembled(program, plan_apart(program))))
        ends = tensors(program.inputs), tensors(program.outputs)
        self.program = program
        self.model = McuModel(path, MCU, *ends, board=BoardPort(port=port, insn_per_s=1e9))

    def agrees(self, seed: int) -> bool:
        draw = np.random.default_rng(seed)
        frame = {end.name: draw.integers(-128, 128, end.shape).astype(np.int8) for end in self.program.inputs}
        got = {end.name: np.zeros(end.shape, end.dtype) for end in self.program.outputs}
        self.model.run(frame, got)
        return all(np.array_equal(got[name], value) for name, value in run(self.program, frame).items())


@needs_qemu
@pytest.mark.parametrize("seed", range(3))
def test_frames_are_those_of_the_reference_also_after_a_reset(an386: Emulator, tmp_path: Path, seed: int) -> None:
    made = OnBoard(random_program(seed), tmp_path, an386.port)
    try:
        assert made.model.facts.uid == UID and made.model.facts.time == "insn"
        assert made.agrees(1) and made.agrees(2)
        counts = made.model.counts
        made.model._line.reset()
        assert made.agrees(3)
        assert sum(made.model.counts) == pytest.approx(sum(counts), rel=0.02)
        assert made.model.memory().touched <= made.model.memory().arena
    finally:
        made.model.close()


def noisy_line(monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    """One byte in so many has another value, in both directions."""
    dice = random.Random(5)
    read, write = SerialPort.read, SerialPort.write

    def flipped(data: bytes) -> bytes:
        return bytes(each ^ 1 << dice.randrange(8) if dice.randrange(every) == 0 else each for each in data)

    monkeypatch.setattr(SerialPort, "read", lambda self, within_s: flipped(read(self, within_s)))
    monkeypatch.setattr(SerialPort, "write", lambda self, data: write(self, flipped(data)))


@needs_qemu
@pytest.mark.parametrize("runs", [5, pytest.param(300, marks=[pytest.mark.nightly, pytest.mark.timeout(1800)])])
def test_no_tensor_is_wrong_over_a_noisy_line(an386: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    noisy_line(monkeypatch, every=1000)
    made = OnBoard(random_program(4), tmp_path, an386.port)
    try:
        assert all(made.agrees(seed) for seed in range(runs))
    finally:
        made.model.close()
