"""How to reach a machine: an address becomes a Connection.

>>> from edgekit.device import Device
>>> connect(Device("pi", "telnet:pi"))
Traceback (most recent call last):
edgekit.errors.UsageError: pi: no way to reach 'telnet:pi'; addresses begin with local:, sim:, ssh:, serial:
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.imports import postpone

if TYPE_CHECKING:
    from devices.connection import Connection, NotSetUp

__all__ = ["SCHEMES", "Connection", "NotSetUp", "Scheme", "agent_runs", "connect", "scheme_of"]


class Scheme(NamedTuple):
    """A kind of address: how its devices are reached, and what is known of them before anything is opened.

    Attributes:
        connect: opens a Connection; with a folder, to an agent that stays and keeps its files there.
        find: whether the agent that stays is running, of a device of this machine; None: the devices are other machines (or only
            described), and a connection alone can tell.
        login: one logs in to their machines over SSH, where they are set up.
    """

    connect: "Callable[[Device, Path | None], Connection]"
    find: Callable[[Device, Path], bool] | None = None
    login: bool = False

    @property
    def here(self) -> bool:
        """Whether its agents run on this machine, share its processors, and end with the pipeline that they were started for."""
        return self.find is not None


def _local(device: Device, home: Path | None) -> "Connection":
    from devices.local import connect

    return connect(device, home)


def _find_local(device: Device, home: Path) -> bool:
    from devices.local import find

    return find(device, home)


def _sim(device: Device, home: Path | None) -> "Connection":
    from devices.sim import connect

    return connect(device, home)


def _ssh(device: Device, home: Path | None) -> "Connection":
    from devices.ssh import connect

    return connect(device, home)


def _serial(device: Device, home: Path | None) -> "Connection":
    from devices.serial import connect

    return connect(device, home)


SCHEMES: dict[str, Scheme] = {
    "local": Scheme(_local, find=_find_local),
    "sim": Scheme(_sim),
    "ssh": Scheme(_ssh, login=True),
    "serial": Scheme(_serial, find=_find_local),
}
"""Address schemes; a test or a plug-in may add its own.

Each imports what it needs when the first device is opened: paramiko, or onnxruntime.
"""


def scheme_of(device: Device) -> Scheme:
    """What is known of a device by its address.

    Raises:
        UsageError: there is no such scheme.
    """
    if device.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        raise UsageError(f"{device.name}: no way to reach {device.address!r}; addresses begin with {known}")
    return SCHEMES[device.scheme]


def agent_runs(device: Device, home: Path) -> bool | None:
    """Whether the agent of a device that stays is running, with its files under ``home``; None: only a connection can tell."""
    find = scheme_of(device).find
    return None if find is None else find(device, home)


def connect(device: Device, home: Path | None = None) -> "Connection":
    """Open a Connection to a device by the scheme of its address.

    ``home``: where agents that stay keep their files; None for agents that end with the connection.
    """
    return scheme_of(device).connect(device, home)


postpone(__name__)
