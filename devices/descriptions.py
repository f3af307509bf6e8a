"""Devices that are only described: what their address stands for, and the seconds that a description gives.

address             description
sim:                the roofline in the cluster
sim:pi5             boards/pi5.toml, from its data sheet; a roofline or a memory cap in the cluster wins
sim:pi.json         a calibration: kernels fitted to a short run on the real machine
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct, structs

from edgekit import files
from edgekit.calibration import Calibration, calibrated_s
from edgekit.device import Device, Roofline, Variant
from edgekit.errors import UsageError
from edgekit.quantity import Bytes, Name
from edgekit.runtime.verbs import Work

__all__ = ["Board", "board", "boards", "completed", "described_s", "description", "work_s"]

FOLDER = Path(__file__).parent / "boards"


class _Source(Struct, frozen=True, forbid_unknown_fields=True):
    """Where figures are from, and how they follow from what is said there.

    Attributes:
        of: the fields that it stands behind.
        url: the document of whoever makes the machine, or the nearest to it; ``date`` is when this was written down.
        checked: the page in which the figures were read on that day; empty where they are common knowledge, not read again.
    """

    of: tuple[Name, ...]
    arithmetic: Name
    url: Name
    date: Name
    checked: str = ""


class Board(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.board"):
    """A machine as its data sheet describes it: what a program that wastes nothing would reach there."""

    title: Name
    computes: Name
    roofline: Roofline
    sources: tuple[_Source, ...]
    memory_bytes: Bytes | None = None
    version: int = 1


@cache
def boards() -> dict[str, Board]:
    """The boards that are described here, by name."""
    return {path.stem: files.read(path, Board) for path in sorted(FOLDER.glob("*.toml"))}


def board(name: str) -> Board:
    """The board of a name.

    Raises:
        UsageError: there is no description of it.
    """
    if name not in boards():
        raise UsageError(f"no board is called {name!r}; there are {', '.join(boards())}; or give the device a roofline of its own")
    return boards()[name]


def completed(device: Device) -> Device:
    """A device with what its description says where the cluster says nothing."""
    _, _, name = device.address.partition(":")
    if not device.described or not name:
        return device
    if device.calibrated:
        found = files.read(name, Calibration)
        return structs.replace(device, memory_bytes=found.memory_bytes if device.memory_bytes is None else device.memory_bytes)
    if device.roofline is not None and device.memory_bytes is not None:
        return device
    stock = board(name)
    memory_bytes = stock.memory_bytes if device.memory_bytes is None else device.memory_bytes
    return structs.replace(device, roofline=device.roofline or stock.roofline, memory_bytes=memory_bytes)


def description(device: Device) -> Roofline | Calibration:
    """What a ``sim:`` device takes its times from.

    Raises:
        UsageError: it has no description, or one of an unknown board.
        FormatError: its calibration cannot be read.
    """
    if device.calibrated:
        return files.read(device.address.partition(":")[2], Calibration)
    roofline = completed(device).roofline
    if roofline is None:
        raise UsageError(
            f"{device.name} is a sim: device without a roofline; give it macs_per_s and memory_bytes_per_s, "
            "or name a board: sim:pi5 (edgekit devices list --stock)"
        )
    return roofline


def described_s(works: Sequence[Work], described: Roofline | Calibration, variant: Variant) -> tuple[float, ...]:
    """Seconds of each unit of a segment, by its description."""
    weight_bytes = sum(work.weight_bytes for work in works)
    if isinstance(described, Calibration):
        return tuple(calibrated_s(work.parts, work.weight_bytes, weight_bytes, described) for work in works)
    return tuple(work_s(work, described, variant=variant, segment_weight_bytes=weight_bytes) for work in works)


def work_s(work: Work, roofline: Roofline, *, variant: Variant = Variant(), segment_weight_bytes: int = 0) -> float:  # noqa: B008  # frozen
    """Described seconds of one unit: bound by arithmetic or by memory, plus the overhead of starting it.

    >>> work_s(Work(macs=2_000_000, nbytes=1000), Roofline(macs_per_s=1e9, memory_bytes_per_s=1e9, overhead_s=1e-5))
    0.00201
    """
    moved = ((work.weight_bytes, max(segment_weight_bytes, work.weight_bytes)), (work.nbytes - work.weight_bytes,) * 2)
    far = sum(nbytes for nbytes, beside in moved if beside > roofline.cache_bytes)
    near_s = (work.nbytes - far) / roofline.cache_bytes_per_s if roofline.cache_bytes_per_s else 0.0
    return max(work.macs / roofline.rate(variant), far / roofline.memory_bytes_per_s + near_s) + roofline.overhead_s
