"""A serial port that is open for this process alone, and the four ways in which it cannot be."""

import contextlib
import errno
import fcntl
import getpass
import grp
import os
import re
import stat
import termios
from pathlib import Path
from types import TracebackType

import serial

from edgekit.errors import DeviceError

__all__ = ["BAUD", "LostBoard", "SerialPort", "ports"]

BAUD = 115200
"""What boards are set to; native USB ignores it."""

MOST_NAME = 80

WRITE_S = 5.0
"""Time that a board has to take the bytes of one frame."""


class LostBoard(DeviceError):
    """The port of a board is gone, or the board does not answer any more; it may come back."""


class SerialPort:
    """Bytes to and from a board.

    DTR and RTS are set low before the port is opened, so that boards whose reset hangs on them go on.

    Raises:
        DeviceError: nothing is there, it is no serial port, it is in use, or it is not ours to open.
    """

    def __init__(self, path: str):
        self.path = path
        port = serial.Serial()
        port.port, port.baudrate, port.exclusive, port.write_timeout = path, BAUD, True, WRITE_S
        port.dtr = port.rts = False
        try:
            if not stat.S_ISCHR(os.stat(path).st_mode):
                raise OSError(errno.ENOTTY, "no terminal")
            port.open()
            fcntl.ioctl(port.fd, termios.TIOCEXCL)  # for those who ask for no lock
        except (OSError, ValueError, termios.error) as error:
            raise _refusal(path, error) from error
        self._port = port

    def read(self, within_s: float) -> bytes:
        """What has come; nothing if nothing comes in that time.

        Raises:
            LostBoard: the port is gone.
        """
        try:
            self._port.timeout = max(within_s, 0)
            got: bytes = self._port.read(1)
            return got + self._port.read(self._port.in_waiting) if got else b""
        except (OSError, termios.error) as error:
            raise _lost(self.path, error) from error

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            LostBoard: the port is gone, or nobody takes the bytes.
        """
        try:
            self._port.write(data)
        except (OSError, termios.error) as error:
            raise _lost(self.path, error) from error

    def close(self) -> None:
        if self._port.is_open:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._port.fd, termios.TIOCNXCL)  # outlasts us where others hold it
            self._port.close()

    def __enter__(self) -> "SerialPort":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def ports() -> tuple[str, ...]:
    """The serial ports of this machine that a board may be at."""
    folder = Path("/dev")
    found = (path for kind in ("ttyACM*", "ttyUSB*") for path in sorted(folder.glob(kind)))
    return tuple(map(str, found))


def _lost(path: str, error: BaseException) -> LostBoard:
    return LostBoard(f"{path}: the line to the board is cut ({error}); is it unplugged?")


def _refusal(path: str, error: BaseException) -> DeviceError:
    """Why a port cannot be opened, and what to do."""
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return DeviceError(f"{path}: {getpass.getuser()} may not open it; {_permission(path)}")
    if number in (errno.EBUSY, errno.EAGAIN):
        who = _holder(path)
        by = f"process {who[0]} ({who[1]})" if who else "another program"
        return DeviceError(f"{path} is in use by {by}; end that first, or choose another port")
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO):
        there = ", ".join(ports()) or "no serial port"
        return LostBoard(f"{path}: expected the port of a board, there is none; is it plugged in? Its machine has {there}")
    return DeviceError(f"{path} is no serial port; give the board's, such as {(*ports(), '/dev/ttyACM0')[0]}")


def _permission(path: str) -> str:
    """Which group to join."""
    group = grp.getgrgid(os.stat(path).st_gid).gr_name
    if group == "root":
        return f"it belongs to root alone; run: sudo chmod a+rw {path}"
    return f"run: sudo usermod -aG {group} {getpass.getuser()}, then log in again"


def _holder(path: str) -> tuple[int, str] | None:
    """Which process has locked a port, or else has it open, as far as this user may see it."""
    there = os.stat(path)
    file = f"{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}:{there.st_ino}"
    locks = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    found = [int(words[4]) for words in locks if len(words) > 5 and words[1] == "FLOCK" and words[5] == file]
    for link in () if found else Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == os.path.realpath(path) and int(link.parts[2]) != os.getpid():
                found.append(int(link.parts[2]))
    with contextlib.suppress(OSError, IndexError):
        words = Path("/proc", str(found[0]), "cmdline").read_text().split("\0")
        return found[0], re.sub(r"\s+", " ", " ".join(words)).strip()[:MOST_NAME]
    return None
