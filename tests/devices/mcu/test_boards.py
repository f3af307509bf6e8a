"""Boards that the firmware has a port for."""

import pytest

from devices.mcu.boards import FIRMWARE, board, boards
from edgekit.errors import UsageError


@pytest.mark.parametrize("name", boards())
def test_a_board_has_its_name_and_bytes_of_both_kinds(name: str) -> None:
    found = board(name)
    assert found.name == name
    assert found.flash_bytes % 1024 == found.ram_bytes % 1024 == 0 and found.flash_bytes and found.ram_bytes
    assert found.isa == ("plain" if found.cpu == "Cortex-M3" else "dsp")


def test_an_unknown_board_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no board is called 'uno'; there are .*mps2-an386"):
        board("uno")


def test_stm32_boards_have_their_true_sizes() -> None:
    assert (board("netduinoplus2").ram_bytes, board("netduinoplus2").flash_bytes) == (128 << 10, 1 << 20)
    assert (board("stm32f746").ram_bytes, board("stm32f746").flash_bytes) == (320 << 10, 1 << 20)


def test_the_sources_lie_beside_the_boards() -> None:
    assert (FIRMWARE / "SPEC.md").is_file()
