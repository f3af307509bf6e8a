"""How to reach a machine: an address becomes a Connection.

>>> from edgekit.device import Device
>>> connect(Device("pi", "telnet:pi"))
Traceback (most recent call last):
edgekit.errors.UsageError: pi: no way to reach 'telnet:pi'; addresses begin with local:, sim:, ssh:
"""

from collections.abc import Callable
from pathlib import Path

from devices.connection import Connection
from edgekit.device import Device
from edgekit.errors import UsageError

__all__ = ["SCHEMES", "Connection", "connect"]


def _local(device: Device, home: Path | None) -> Connection:
    from devices.local import connect

    return connect(device, home)


def _sim(device: Device, home: Path | None) -> Connection:
    from devices.sim import connect

    return connect(device, home)


def _ssh(device: Device, home: Path | None) -> Connection:
    from devices.ssh import connect

    return connect(device, home)


SCHEMES: dict[str, Callable[[Device, Path | None], Connection]] = {
    "local": _local,
    "sim": _sim,
    "ssh": _ssh,
}
"""Address schemes and what opens them; a test or a plug-in may add its own.

Each imports what it needs when the first device is opened: paramiko, or onnxruntime.
"""


def connect(device: Device, home: Path | None = None) -> Connection:
    """Open a Connection to a device by the scheme of its address.

    ``home``: where agents that stay keep their files; None for agents that end with the connection.
    """
    if device.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        raise UsageError(f"{device.name}: no way to reach {device.address!r}; addresses begin with {known}")
    return SCHEMES[device.scheme](device, home)
