"""A table on boards in QEMU: its results, its instructions, its memory, and a reset in the middle."""

import random
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devices.mcu import firmware_image
from devices.mcu.boards import FIRMWARE, board
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import image
from tests.firmwarebed import Board, needs_qemu, on_line
from tests.small_table import BLOB, BYTES, OPERATORS, TABLE, beginning, expected

HELLO, TABLE_PUT, WEIGHTS, COMMIT, IN, RUN, OUT, PROFILE, MEM = range(9)
READ, WRITE = 0, 2
INPUT = random.Random(3).randbytes(BYTES)


@contextmanager
def running(name: str, weights: bytes = b"") -> Iterator[Board]:
    """A board that answers."""
    found = board(name)
    with emulated(found, image(found, weights=weights).elf) as emulator, on_line(emulator.port) as line:
        line.ask(READ, HELLO, attempts=5)
        yield line


def take_table(line: Board) -> None:
    line.put(TABLE_PUT, TABLE, beginning(TABLE))
    assert line.ask(WRITE, COMMIT, {"crc": zlib.crc32(TABLE), "fill": 0xA5})["missing"] == 0


def frame(line: Board, data: bytes, number: int) -> bytes:
    """One input to its output, each request sent twice."""
    told = {"len": BYTES, "crc": zlib.crc32(data), "n": number}
    for off in (0, 0, 750, 750):
        line.ask(WRITE, IN, {"i": 0, "off": off, "data": data[off : off + 750], **(told if off == 0 else {})})
    for _ in range(2):
        while line.ask(WRITE, RUN, {"n": number, "from": 0, "to": OPERATORS})["state"] != 2:
            pass
    return b"".join(line.ask(READ, OUT, {"i": 0, "off": off, "n": number})["data"] for off in (0, 960))


def instructions(line: Board) -> list[float]:
    told = line.ask(READ, HELLO)
    assert told["time"] == "insn"
    return [ticks * told["num"] / told["den"] for ticks in line.ask(READ, PROFILE, {"off": 0})["ticks"]]


@needs_qemu
def test_weights_in_flash_need_no_upload() -> None:
    with running("mps2-an386", BLOB) as line:
        told = line.ask(READ, HELLO)
        assert (told["blob"], told["chunks"]) == (int.from_bytes(BLOB[12:16], "little"), 1)
        take_table(line)
        assert frame(line, INPUT, 1) == expected(INPUT)


@needs_qemu
def test_a_reset_in_the_middle_forgets_the_table_and_a_new_one_runs() -> None:
    with running("mps2-an386") as line:
        line.put(WEIGHTS, BLOB, beginning(BLOB))
        take_table(line)
        line.ask(WRITE, IN, {"i": 0, "off": 0, "data": INPUT[:750], "len": BYTES, "crc": zlib.crc32(INPUT), "n": 1})
        line.ask(WRITE, 5, {}, group=0)
        assert line.ask(READ, HELLO, attempts=5)["table"] == 0
        line.put(WEIGHTS, BLOB, beginning(BLOB))
        take_table(line)
        assert frame(line, INPUT, 1) == expected(INPUT)


@needs_qemu
@pytest.mark.parametrize("name", ["mps2-an500", "netduinoplus2"])
def test_boards_of_one_instruction_set_take_the_same_instructions(name: str) -> None:
    found = []
    for each in ("mps2-an386", name):
        with running(each, BLOB) as line:
            take_table(line)
            assert frame(line, INPUT, 1) == expected(INPUT)
            found.append(instructions(line))
            assert line.ask(READ, MEM)["touched"] == BYTES
    assert found[1] == pytest.approx(found[0], rel=0.05)  # the compiler orders them for each core
    assert all(2 * BYTES < each < 20 * BYTES for each in found[0])


@needs_qemu
def test_every_run_takes_the_same_instructions() -> None:
    with running("mps2-an386", BLOB) as line:
        take_table(line)
        counts = []
        for number in range(3):
            frame(line, INPUT, number)
            counts.append(instructions(line))
    assert counts[1] == pytest.approx(counts[0], rel=0.005) and counts[2] == pytest.approx(counts[0], rel=0.005)


POKE = """
    if (byte == 0x7F) {
        volatile uintptr_t nothing = 8;
        *(volatile uint32_t *)nothing = 0;
    }
"""


@needs_qemu
def test_a_write_through_a_null_pointer_resets_the_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware")
    main = tmp_path / "firmware/agent/main.c"
    begin = "    count_boot();\n"
    assert begin in main.read_text()
    main.write_text(main.read_text().replace(begin, begin + POKE))
    monkeypatch.setattr(firmware_image, "FIRMWARE", tmp_path / "firmware")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with running("mps2-an386") as line:
        before = line.ask(READ, HELLO)["boot"]
        line.line.send(b"\x7f")
        assert line.ask(READ, HELLO, attempts=5)["boot"] != before
