"""A port that cannot be opened says why, and what to do."""

import errno
import os
from pathlib import Path

import pytest
import serial

from edgekit.errors import DeviceError
from edgekit.runtime.serial_line.serial_port import LostBoard, SerialPort
from tests.runtime.serial_line.board import at


def test_no_port_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(LostBoard, match="expected the port of a board, there is none; is it plugged in"):
        SerialPort(str(tmp_path / "ttyACM0"))


@pytest.mark.parametrize("kind", ["file", "null"])
def test_what_is_no_serial_port_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file" if kind == "file" else Path(os.devnull)
    path.write_text("")
    with pytest.raises(DeviceError, match="is no serial port; .*such as /dev/tty"):
        SerialPort(str(path))


def test_a_port_in_use_names_the_program(tmp_path: Path) -> None:
    port = str(tmp_path / "board0")
    with at(Path(port)), SerialPort(port), pytest.raises(DeviceError, match="is in use by process .*; end that first"):
        SerialPort(port)


def test_a_port_is_free_again_after_it_was_closed(tmp_path: Path) -> None:
    port = str(tmp_path / "board0")
    with at(Path(port)):
        SerialPort(port).close()
        SerialPort(port).close()


def test_no_permission_says_which_group_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: serial.Serial) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial.Serial, "open", refused)
    monkeypatch.setattr("grp.getgrgid", lambda number: type("Group", (), {"gr_name": "dialout"}))
    with at(tmp_path / "board0"), pytest.raises(DeviceError, match="may not open it; run: sudo usermod -aG dialout .*log in again"):
        SerialPort(str(tmp_path / "board0"))


def test_lines_are_set_low_before_the_port_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    opened = serial.Serial.open

    def look(self: serial.Serial) -> None:
        seen.append((self.dtr, self.rts, self.exclusive))
        opened(self)

    monkeypatch.setattr(serial.Serial, "open", look)
    with at(tmp_path / "board0"), SerialPort(str(tmp_path / "board0")):
        assert seen == [(False, False, True)]
