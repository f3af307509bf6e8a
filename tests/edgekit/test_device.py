"""What a device says of itself: whether it is a board on a serial line, and what its figures are worth."""

from edgekit.device import Device


def test_a_device_is_a_board_by_its_port_or_its_scheme() -> None:
    assert Device("mcu", "ssh://pi@gate", port="/dev/ttyACM0").board and Device("mcu", "serial:/dev/ttyACM0").board
    assert not Device("pi", "ssh://pi@gate").board and not Device("here").board


def test_a_board_whose_instructions_have_a_declared_rate_is_emulated() -> None:
    board = Device("mcu", "serial:/dev/pts/3", insn_per_s=100e6)
    assert (board.emulated, board.badge) == (True, "spec")
    assert (Device("mcu", "serial:/dev/ttyACM0").emulated, Device("mcu", "serial:/dev/ttyACM0").badge) == (False, "measured")
