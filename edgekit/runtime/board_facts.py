"""A microcontroller as the machine that its cable is plugged into is told of it, and as it describes itself."""

from importlib.util import find_spec
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.device import Device
from edgekit.quantity import Bytes, Count, Name, Rate
from edgekit.wording import kib

__all__ = ["PACKAGES", "BoardFacts", "BoardMemory", "BoardPort", "missing_packages", "port_of"]

PACKAGES = {"smp": "smp", "serial": "pyserial"}
"""What the machine imports that the cable of a board ends at, and the packages that bring it."""


def missing_packages() -> tuple[str, ...]:
    """Those that are not installed here."""
    return tuple(package for name, package in PACKAGES.items() if find_spec(name) is None)


class BoardPort(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a board is, and what it plays.

    Attributes:
        port: its serial port, as the machine that it is plugged into names it; or its uid.
        uid: which board it has to be, in hexadecimal digits; empty: the one at the port.
        insn_per_s: instructions a second that an emulated board is to play; None: it tells cycles.
    """

    port: Name
    uid: str = ""
    insn_per_s: Rate | None = None


def port_of(device: Device) -> BoardPort | None:
    """Where the board of a device is; None: it has none.

    >>> port_of(Device("mcu", "serial:/dev/ttyACM0")).port
    '/dev/ttyACM0'
    """
    if not device.board:
        return None
    port = device.address.partition(":")[2] if device.scheme == "serial" else device.port
    return BoardPort(port=port or "", insn_per_s=device.insn_per_s)


class BoardMemory(Struct, frozen=True, kw_only=True):
    """The memory of a board in bytes: planned and touched of the arena, stack and the most of it,
    data, bss and code of the firmware, and the pool that arena, table and weights share; besides how
    many bytes came faster than they were read, and how many frames were damaged, since it began."""

    arena: Bytes
    touched: Bytes
    stack: Bytes
    stack_most: Bytes
    data: Bytes
    bss: Bytes
    text: Bytes
    pool: Bytes
    lost: Count = 0
    dropped: Count = 0


class BoardFacts(Struct, frozen=True, kw_only=True):
    """The properties that a board reports in its answer to HELLO.

    Attributes:
        port: where it answered.
        uid: who it is, in hexadecimal digits.
        isa: which kernels its firmware has.
        boot: another number after each reset.
        hz: its clock.
        time: what it counts during a run; count = ticks · num / den.
        pool_bytes: RAM for arena, table and weights.
        flash_bytes: flash for weights.
        blob: CRC-32 of the weights in flash, 0: none; ``chunks`` in them.
        table: CRC-32 of the table that it took, 0: none.
        buf_bytes: the longest message that it takes.
        memory: what it has used since it began; None: it was not asked.
    """

    port: str
    board: str
    cpu: str
    isa: Literal["plain", "dsp"]
    firmware: str
    abi: Count
    uid: str
    boot: Count
    hz: Count
    time: Literal["cycles", "insn"]
    num: Annotated[int, Meta(ge=1)]
    den: Annotated[int, Meta(ge=1)]
    pool_bytes: Bytes
    flash_bytes: Bytes
    blob: Count
    chunks: Count
    table: Count
    buf_bytes: Bytes
    memory: BoardMemory | None = None

    def __str__(self) -> str:
        room = f"{kib(self.pool_bytes)} RAM for networks, {kib(self.flash_bytes)} flash for weights"
        return f"{self.board} {self.uid}, {self.cpu} at {self.hz / 1e6:g} MHz, {room}, firmware {self.firmware}"
