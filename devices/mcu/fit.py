"""Whether a planned segment fits on a board: one total for RAM, one for flash, with all that lies there.

    RAM     stack, data and bss of the firmware, agent buffers among them | arena | table
    flash   code and constants of the firmware | weights

What the firmware takes is a bound that holds for every board; tests hold it against the linker's map.
"""

from typing import NamedTuple

from devices.mcu.blob import blob_of
from devices.mcu.boards import Board
from devices.mcu.memory_peak import MemoryPeak, memory_peak
from devices.mcu.planner import plan_memory
from devices.mcu.program import Program
from devices.mcu.table import encode

__all__ = ["FIRMWARE_FLASH_BYTES", "FIRMWARE_RAM_BYTES", "Room", "SegmentNeeds", "needs_of", "room_of"]

FIRMWARE_FLASH_BYTES = 32 * 1024
"""Code, constants and initial data of the firmware, with all kernels."""

FIRMWARE_RAM_BYTES = 8 * 1024
"""Stack, data, bss and agent buffers of the firmware, and what is kept over a reset."""

ALIGNED = 16
"""Bytes that are lost at most to the alignment of arena and table, or of weights."""


class SegmentNeeds(NamedTuple):
    """What a segment takes of any board."""

    arena_bytes: int
    table_bytes: int
    weights_bytes: int
    peak: MemoryPeak

    @property
    def ram_bytes(self) -> int:
        """Of RAM, with the firmware."""
        return FIRMWARE_RAM_BYTES + ALIGNED + self.arena_bytes + self.table_bytes

    @property
    def flash_bytes(self) -> int:
        """Of flash, with the firmware."""
        return FIRMWARE_FLASH_BYTES + ALIGNED + self.weights_bytes


class Room(NamedTuple):
    """Bytes that a segment leaves free on a board; below 0 that many are missing."""

    ram_bytes: int
    flash_bytes: int

    @property
    def fits(self) -> bool:
        """Whether nothing is missing."""
        return min(self) >= 0


def needs_of(program: Program) -> SegmentNeeds:
    """Plan a program, and say what it takes.

    Raises:
        GraphError: it cannot be written as a table.
    """
    plan = plan_memory(program)
    return SegmentNeeds(plan.arena_bytes, len(encode(program, plan)), len(blob_of([program])), memory_peak(program, plan))


def room_of(needs: SegmentNeeds, board: Board) -> Room:
    """What a segment leaves free on a board."""
    return Room(board.ram_bytes - needs.ram_bytes, board.flash_bytes - needs.flash_bytes)
