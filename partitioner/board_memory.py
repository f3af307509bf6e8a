"""What a stage takes of a microcontroller: of its RAM and of its flash, each a memory of its own.

The stage process that owns the serial line runs on the gateway, and takes memory of the gateway's
host like any other (see cost.py). Arena, table and weights lie on the board.
"""

from typing import NamedTuple

import numpy as np

from edgekit.cluster import Cluster
from edgekit.device import Device
from edgekit.memory_model import SegmentBytes
from edgekit.plan import Memory
from edgekit.wording import kib, mb

__all__ = ["BoardBytes", "board_bytes", "cap", "room", "told"]


class BoardBytes(NamedTuple):
    """Bytes of RAM and of flash."""

    ram: int
    flash: int


def board_bytes(row: SegmentBytes, device: Device) -> BoardBytes:
    """What a segment takes; where a board has no flash for weights, they lie in its RAM."""
    ram = max(row.load_bytes, row.run_bytes)
    return BoardBytes(ram + row.flash_bytes, 0) if device.flash_bytes == 0 else BoardBytes(ram, row.flash_bytes)


def room(device: Device) -> tuple[float, float]:
    """Bytes of RAM and of flash that a board has, infinite where they are not known."""
    ram = np.inf if device.memory_bytes is None else float(device.memory_bytes)
    return ram, np.inf if device.flash_bytes is None else float(device.flash_bytes)


def cap(cluster: Cluster, memory: Memory) -> float:
    """Bytes that may be used: of a host the smallest cap among its devices but boards, infinite where none is capped."""
    if memory.kind != "host":
        ram, flash = room(cluster.device(memory.host))
        return ram if memory.kind == "ram" else flash
    caps = (device.memory_bytes for device in cluster.devices if device.machine == memory.host and not device.board)
    return min((float(nbytes) for nbytes in caps if nbytes is not None), default=np.inf)


def told(memory: Memory, most: float) -> str:
    """What a memory needs and has: ``mcu needs 37.4 KiB of RAM and has 32.0 KiB, 5.4 KiB too few``."""
    if memory.kind == "host":
        return f"{memory.host} needs {mb(memory.nbytes)} and has {mb(most)}, {mb(memory.nbytes - most)} too few"
    what = {"ram": "RAM", "flash": "flash"}[memory.kind]
    return f"{memory.host} needs {kib(memory.nbytes)} of {what} and has {kib(most)}, {kib(memory.nbytes - most)} too few"
