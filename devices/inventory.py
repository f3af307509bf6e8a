"""The devices that are known by name on this machine, in $XDG_CONFIG_HOME/edgekit/devices.json."""

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from edgekit import folders
from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.files import read, write

__all__ = ["Inventory", "add", "find", "known", "remove"]


class Inventory(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.inventory"):
    """Devices, each by a name of its own, in the order in which they were added."""

    devices: tuple[Device, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        names = [device.name for device in self.devices]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"{', '.join(sorted(twice))} stands there more than once; give each device a name of its own")


def _path() -> Path:
    return folders.config() / "devices.json"


def known() -> tuple[Device, ...]:
    """All devices that were added and not removed."""
    return read(_path(), Inventory).devices if _path().exists() else ()


def find(names: Sequence[str] = ()) -> tuple[Device, ...]:
    """The devices of these names, or all.

    Raises:
        UsageError: one is not known, or there is none at all.
    """
    there = {device.name: device for device in known()}
    if not there:
        raise UsageError("no device is known yet; run: edgekit devices add NAME ssh://USER@HOST")
    for name in names:
        if name not in there:
            raise UsageError(f"expected a device among {', '.join(there)}, got {name!r}; run: edgekit devices add {name} ssh://USER@HOST")
    return tuple(there[name] for name in names) if names else tuple(there.values())


def add(device: Device) -> None:
    """Know a device from now on; one of the same name and address is only brought up to date.

    Raises:
        UsageError: the name belongs to another one.
    """
    with _alone():
        there = {one.name: one for one in known()}
        old = there.get(device.name)
        if old is not None and old.address != device.address:
            raise UsageError(f"{device.name} is {old.address} already; choose another name, or run: edgekit devices remove {device.name}")
        write(_path(), Inventory(tuple((there | {device.name: device}).values())))


def remove(name: str) -> None:
    """Know it no more; nothing happens where it is not known."""
    with _alone():
        write(_path(), Inventory(tuple(device for device in known() if device.name != name)))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep others from writing between our reading and writing."""
    _path().parent.mkdir(parents=True, exist_ok=True)
    with _path().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
