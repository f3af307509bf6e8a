"""Boards with a microcontroller that the firmware has a port for: one file each in ``devices/firmware/boards``."""

from functools import cache
from pathlib import Path
from typing import Literal

from msgspec import Struct, structs

from edgekit import files
from edgekit.errors import UsageError
from edgekit.quantity import Bytes, Count, Name, Rate

__all__ = ["FIRMWARE", "Board", "board", "boards"]

FIRMWARE = Path(__file__).parents[1] / "firmware"
"""The folder of the C sources."""


class Board(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.board.mcu"):
    """A board, as its data sheet describes it, and how a firmware for it is built and started.

    Attributes:
        name: of its file.
        title: for people.
        cpu: the core.
        isa: which kernels run there, those with the DSP instructions or the plain ones.
        flash_bytes, ram_bytes: what one linker region has; the firmware uses one of each.
        flash_at, ram_at: where they begin.
        clock_hz: of the core, after the firmware has set it.
        insn_per_s: declared, by which a count of instructions becomes seconds: one instruction a cycle.
        port: the folder of its C sources in ``devices/firmware/ports``.
        flags: of the compiler, beside those that all boards have.
        tool: the program that writes its flash; empty where nothing is flashed.
        chip: what that program calls it.
        machine: what QEMU calls it; empty where QEMU has none.
        shift: an emulated instruction takes 2 ** shift nanoseconds.
        uid_at: a word in RAM from which an emulated board takes its number; 0 where it has no such word.
    """

    title: Name
    cpu: Name
    isa: Literal["plain", "dsp"]
    flash_bytes: Bytes
    ram_bytes: Bytes
    flash_at: Count
    ram_at: Count
    clock_hz: Count
    insn_per_s: Rate
    port: Name
    flags: tuple[str, ...]
    name: str = ""
    tool: Literal["pyocd", "stm32loader", ""] = ""
    chip: str = ""
    machine: str = ""
    shift: Count = 0
    uid_at: Count = 0
    version: int = 1


@cache
def boards() -> dict[str, Board]:
    """Every board, by name."""
    found = {path.stem: files.read(path, Board) for path in sorted((FIRMWARE / "boards").glob("*.toml"))}
    return {name: structs.replace(each, name=name) for name, each in found.items()}


def board(name: str) -> Board:
    """The board of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in boards():
        raise UsageError(f"no board is called {name!r}; there are {', '.join(boards())} (edgekit firmware boards)")
    return boards()[name]
