"""What a segment takes of a board: one total for RAM and one for flash, never less than the linker's map."""

import shutil

import numpy as np
import pytest
from msgspec.structs import replace

from devices.mcu.boards import Board, board, boards
from devices.mcu.firmware_image import GCC, image
from devices.mcu.fit import FIRMWARE_FLASH_BYTES, FIRMWARE_RAM_BYTES, Room, needs_of, room_of
from devices.mcu.program import Buffer, Dense, End, Map, Program

QUICK = ("mps2-an386", "netduinoplus2")
"""Boards whose firmware is built in every run of the tests."""


def small() -> Program:
    """x ─ Map ─▶ t ─ Dense ─▶ y: 64, 64 and 10 bytes."""
    table = np.arange(256, dtype=np.uint8).view(np.int8)
    weights = np.ones((10, 64), np.int8)
    words = np.zeros(10, np.int32)
    dense = Dense(
        name="classify",
        input=1,
        output=2,
        rows=1,
        weights=weights,
        bias=words,
        multiplier=words + 2**30,
        shift=words,
        zero_in=0,
        zero_out=0,
        low=-128,
        high=127,
    )
    return Program(
        buffers=(Buffer("x", 64), Buffer("t", 64), Buffer("y", 10)),
        operators=(Map(name="squash", input=0, output=1, count=64, table=table), dense),
        inputs=(End("x", 0, (1, 64), "int8", (0, 1)),),
        outputs=(End("y", 2, (1, 10), "int8", (0, 1)),),
    )


def test_one_total_for_each_memory_has_the_firmware_in_it() -> None:
    needs = needs_of(small())
    assert needs.ram_bytes >= FIRMWARE_RAM_BYTES + needs.arena_bytes + needs.table_bytes
    assert needs.flash_bytes >= FIRMWARE_FLASH_BYTES + needs.weights_bytes and needs.weights_bytes > 640 + 256


def test_the_peak_is_an_operator_with_what_is_alive_there() -> None:
    peak = needs_of(small()).peak
    assert peak.operator in {"squash", "classify"}
    assert dict(peak.alive)["t"] == 64


def test_what_is_missing_is_told_in_bytes() -> None:
    needs = needs_of(small())
    tiny = replace(board("netduinoplus2"), ram_bytes=needs.ram_bytes - 1, flash_bytes=needs.flash_bytes)
    assert room_of(needs, tiny) == Room(-1, 0) and not room_of(needs, tiny).fits
    assert room_of(needs, board("netduinoplus2")).fits


@pytest.mark.skipif(shutil.which(GCC) is None, reason=f"needs tool {GCC}: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
@pytest.mark.parametrize("one", [pytest.param(each, marks=[] if name in QUICK else pytest.mark.nightly) for name, each in boards().items()])
def test_the_total_is_never_less_than_the_map_of_the_linker(one: Board) -> None:
    needs = needs_of(small())
    built = image(one, weights=bytes(needs.weights_bytes))
    room = room_of(needs, one)
    assert room.flash_bytes <= built.flash_left_bytes
    assert room.ram_bytes <= built.pool_bytes - needs.arena_bytes - needs.table_bytes
