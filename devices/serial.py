"""``serial:`` devices: a microcontroller at a port of this machine, behind an agent here as ``local:`` devices have one.

    serial:/dev/ttyACM0        the board at that port
    serial:0123456789abcdef    the board of that uid, wherever it is plugged in

The stage process of the agent owns the line, so that links, replay and metrics are those of any stage.
"""

from pathlib import Path

from devices import local
from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.runtime.board_facts import port_of

__all__ = ["connect"]


def connect(device: Device, home: Path | None = None) -> local.LocalConnection:
    """Reach a ``serial:`` device; whether its board answers is told by ``facts``, and by what is loaded on it.

    Raises:
        UsageError: the address names no port.
        DeviceError: as of a ``local:`` device.
    """
    board = port_of(device)
    if board is None or not board.port:
        raise UsageError(f"{device.name}: expected the port of a board, such as serial:/dev/ttyACM0, got {device.address!r}")
    return local.connect(device, home)
