"""A board is who it says, wherever it is plugged in."""

from pathlib import Path

import pytest

from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.serial_line.board_search import find
from edgekit.runtime.serial_line.serial_port import LostBoard
from tests.runtime.serial_line.board import at


def test_a_board_at_its_port_is_found(tmp_path: Path) -> None:
    with at(tmp_path / "ttyACM0"):
        line, facts = find(BoardPort(port=str(tmp_path / "ttyACM0")))
        line.close()
        assert facts.uid == "00112233"


def test_a_board_that_came_back_at_another_port_is_found(tmp_path: Path) -> None:
    with at(tmp_path / "ttyACM1", uid="aa"), at(tmp_path / "ttyACM2", uid="bb"):
        line, facts = find(BoardPort(port=str(tmp_path / "ttyACM0"), uid="bb"))
        line.close()
        assert (facts.port, facts.uid) == (str(tmp_path / "ttyACM2"), "bb")


def test_two_like_boards_are_told_apart(tmp_path: Path) -> None:
    with at(tmp_path / "ttyACM0", uid="aa"), at(tmp_path / "ttyACM1", uid="bb"):
        line, facts = find(BoardPort(port=str(tmp_path / "ttyACM0"), uid="bb"))
        line.close()
        assert facts.port == str(tmp_path / "ttyACM1")


def test_another_board_in_its_place_is_refused(tmp_path: Path) -> None:
    with at(tmp_path / "ttyACM0", uid="aa"), pytest.raises(LostBoard, match="expected board bb, got bench-board aa; plug the right one in"):
        find(BoardPort(port=str(tmp_path / "ttyACM0"), uid="bb"))


def test_a_board_may_be_given_by_its_uid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.serial_line.board_search.ports", lambda: (str(tmp_path / "usb0"), str(tmp_path / "usb1")))
    with at(tmp_path / "usb0", uid="aa"), at(tmp_path / "usb1", uid="bb"):
        line, facts = find(BoardPort(port="BB"))
        line.close()
        assert facts.port == str(tmp_path / "usb1")
        with pytest.raises(LostBoard, match="no board cc answers here; the serial ports here are"):
            find(BoardPort(port="cc"))


def test_neighbours_of_a_terminal_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(LostBoard, match="there is none"):
        find(BoardPort(port="/dev/pts/99999", uid="bb"))
