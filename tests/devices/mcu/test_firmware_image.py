"""Firmware as files: sizes that are the linker's, weights in flash, and what does not fit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from devices.mcu.boards import FIRMWARE, board, boards
from devices.mcu.firmware_image import STACK_BYTES, image
from edgekit.errors import UsageError
from tests.firmwarebed import needs_cross_compiler


def symbol(elf: Path, name: str) -> int:
    """An address from the linker's map."""
    found = re.search(rf"(0x[0-9a-f]+)\s+{name}\b", elf.with_suffix(".map").read_text())
    assert found is not None, name
    return int(found[1], 16)


@needs_cross_compiler
@pytest.mark.parametrize("name", boards())
def test_every_board_links_within_its_sizes(name: str) -> None:
    built, described = image(board(name)), board(name)
    assert built.text_bytes < 32 << 10
    assert built.pool_bytes == symbol(built.elf, "edge_pool_end") - symbol(built.elf, "edge_pool_begin")
    assert built.stack_bytes == STACK_BYTES
    assert built.pool_bytes > described.ram_bytes - (12 << 10)
    assert built.flash_left_bytes == described.flash_bytes - built.text_bytes


@needs_cross_compiler
def test_weights_lie_in_flash_and_take_what_they_take() -> None:
    weights = bytes(range(256)) * 40 + b"end."
    built, bare = image(board("netduinoplus2"), weights=weights), image(board("netduinoplus2"))
    at = symbol(built.elf, "edge_weights_begin") - board("netduinoplus2").flash_at
    assert weights in built.elf.read_bytes()
    assert built.weights_bytes == len(weights) and built.text_bytes == bare.text_bytes
    assert at % 8 == 0 and at + len(weights) <= board("netduinoplus2").flash_bytes
    assert built.pool_bytes == bare.pool_bytes


@needs_cross_compiler
def test_weights_that_are_too_large_are_refused_by_how_much() -> None:
    bare = image(board("netduinoplus2"))
    fitting = bytes(bare.flash_left_bytes - 64)
    assert image(board("netduinoplus2"), weights=fitting).flash_left_bytes <= 64
    with pytest.raises(UsageError, match=r"of weights needs \d+ B more than its 1 MiB of flash"):
        image(board("netduinoplus2"), weights=fitting + bytes(100))


@needs_cross_compiler
def test_the_same_firmware_is_built_once() -> None:
    first = image(board("mps2-an386"))
    made = first.elf.stat().st_mtime_ns
    assert image(board("mps2-an386")) == first and first.elf.stat().st_mtime_ns == made


def test_a_missing_compiler_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="arm-none-eabi-gcc is missing; on Debian: sudo apt-get install gcc-arm-none-eabi"):
        image(board("mps2-an386"))


@needs_cross_compiler
@pytest.mark.parametrize("name", ["mps2-an386", "stm32f746"])
def test_the_firmware_computes_in_integers_alone(name: str) -> None:
    said = subprocess.run(["arm-none-eabi-objdump", "-d", image(board(name)).elf], capture_output=True, text=True, check=True).stdout
    assert len(said.splitlines()) > 3000
    assert not re.findall(r"\tv[a-z]+[.\t].*|<__aeabi_[fd].*>:", said), "no registers of the FPU, so that interrupts need not save them"


def test_no_source_calls_for_memory_or_prints() -> None:
    for path in [*FIRMWARE.rglob("*.c"), *FIRMWARE.rglob("*.h")]:
        if "host" not in path.parts:
            assert not re.search(r"\b(malloc|calloc|realloc|free|printf|puts)\s*\(", path.read_text()), path
