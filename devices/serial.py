"""``serial:`` devices: a microcontroller at a port of this machine, behind an agent here as ``local:`` devices have one.

    serial:/dev/ttyACM0        the board at that port
    serial:0123456789abcdef    the board of that uid, wherever it is plugged in

The stage process of the agent owns the line, so that links, replay and metrics are those of any stage.
"""

import re
from pathlib import Path

from devices import local
from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.runtime.board_facts import port_of

__all__ = ["connect"]


def connect(device: Device, home: Path | None = None) -> local.LocalConnection:
    """Reach a ``serial:`` device; whether its board answers is told by ``facts``, and by what is loaded on it.

    Raises:
        UsageError: the address names no port, or a second one is given.
        DeviceError: as of a ``local:`` device.
    """
    board = port_of(device)
    if board is None or not board.port:
        raise UsageError(f"{device.name}: expected the port of a board, such as serial:/dev/ttyACM0, got {device.address!r}")
    if "/" not in board.port and not re.fullmatch(r"[0-9a-fA-F]+", board.port):
        raise UsageError(
            f"{device.name}: expected the path of a port or the number of a board in hexadecimal digits, got {device.address!r}; "
            f"write serial:/dev/{board.port}"
        )
    if device.port is not None:
        raise UsageError(
            f"{device.name}: a board at {device.address} has no port besides, got {device.port!r}; leave it out, "
            "or give the address of the machine that the board is plugged into, such as ssh://USER@HOST"
        )
    return local.connect(device, home)
