"""A board in QEMU: its serial line is a pseudo-terminal of this machine, an instruction takes a fixed virtual time."""

import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from devices.mcu.boards import Board, boards
from devices.mcu.firmware_image import check_elf
from edgekit.errors import DeviceError, UsageError

__all__ = ["QEMU", "Emulator", "emulated"]

QEMU = "qemu-system-arm"
START_S = 20.0

ENDS_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""PR_SET_PDEATHSIG: when whoever started it is gone, the kernel ends it."""

STEADY = "shift={},align=off,sleep=on"
"""Virtual time passes as instructions do, and as real time does while the processor sleeps."""


class Emulator(NamedTuple):
    """A running board."""

    port: str
    process: subprocess.Popen[str]


@contextmanager
def emulated(board: Board, elf: Path, *, uid: str = "") -> Iterator[Emulator]:
    """Start a firmware; however the context is left, the emulator ends.

    Args:
        board: one that QEMU has.
        elf: of this board.
        uid: eight hexadecimal digits that the board says it is; empty: zeros.

    Raises:
        UsageError: QEMU is missing, or has no such board.
        DeviceError: QEMU does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", ENDS_WITH_PARENT, *_command(board, elf, uid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Emulator(_port(process), process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _command(board: Board, elf: Path, uid: str) -> list[str]:
    if not board.machine:
        names = ", ".join(name for name, each in boards().items() if each.machine)
        raise UsageError(f"QEMU has no {board.name}; it has {names}")
    program = shutil.which(QEMU)
    if program is None:
        raise UsageError(f"{QEMU} is missing; on Debian: sudo apt-get install qemu-system-arm")
    check_elf(elf, board.name)
    if uid and not re.fullmatch(r"[0-9a-fA-F]{8}", uid):
        raise UsageError(f"expected a uid of eight hexadecimal digits, got {uid!r}; write for example 0000000a")
    if uid and not board.uid_at:
        raise UsageError(f"{board.name} has a uid of its own, got {uid}; leave it out")
    word = int.from_bytes(bytes.fromhex(uid), "little")
    number = ["-device", f"loader,addr={board.uid_at:#x},data={word:#x},data-len=4"] if uid else []
    quiet = ["-display", "none", "-monitor", "none", "-serial", "pty"]
    return [program, "-M", board.machine, *quiet, "-icount", STEADY.format(board.shift), *number, "-kernel", str(elf)]


def _port(process: subprocess.Popen[str]) -> str:
    """The pseudo-terminal that QEMU names when it starts."""
    assert process.stdout is not None
    said, end = "", time.monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end and selector.select(end - time.monotonic()):
            line = process.stdout.readline()
            said += line
            if found := re.search(r"redirected to (/dev/\S+)", line):
                return found[1]
            if not line:
                break
    raise DeviceError(f"{QEMU} did not start: {said.strip() or 'it said nothing'}")
