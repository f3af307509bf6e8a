"""Finds a board, by its port or by who it is: after it was unplugged it may be at another port.

port given as                first asked            then, where the uid is known
/dev/ttyACM0                 that port              its likes, /dev/ttyACM*, and all ports
0123456789abcdef (uid)       all ports
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from edgekit.errors import DeviceError
from edgekit.runtime.board_facts import BoardFacts, BoardPort
from edgekit.runtime.serial_line.board_line import BoardLine
from edgekit.runtime.serial_line.serial_port import LostBoard, ports
from edgekit.runtime.serial_line.smp_line import ATTEMPTS

__all__ = ["find"]

GLANCE = 3
"""Requests after which a port that is one of several is left."""

TERMINALS = "/dev/pts"
"""Where a port has no likes: the others are people's terminals."""


def find(board: BoardPort, *, tell: Callable[[str], None] = lambda text: None, attempts: int = ATTEMPTS) -> tuple[BoardLine, BoardFacts]:
    """An open line to the board, and what it says of itself.

    Raises:
        LostBoard: it is not there.
        DeviceError: its port cannot be opened, or another board or other firmware is there.
    """
    by_path = "/" in board.port
    uid = board.uid or ("" if by_path else board.port.lower())
    said: list[DeviceError] = []
    if by_path:
        try:
            return _open(board.port, uid, tell, attempts)
        except DeviceError as error:
            if not uid:
                raise
            said.append(error)
    for path in _others(board.port if by_path else None):
        try:
            return _open(path, uid, tell, GLANCE)
        except DeviceError as error:
            tell(str(error))
    if said:
        raise said[0]
    raise LostBoard(f"no board {uid} answers here; the serial ports here are {', '.join(ports()) or 'none'}")


def _open(path: str, uid: str, tell: Callable[[str], None], attempts: int) -> tuple[BoardLine, BoardFacts]:
    line = BoardLine(path, tell)
    try:
        facts = line.hello(attempts)
        if uid and facts.uid != uid:
            raise LostBoard(f"{path}: expected board {uid}, got {facts.board} {facts.uid}; plug the right one in, or deploy again")
    except BaseException:
        line.close()
        raise
    return line, facts


def _others(path: str | None) -> list[str]:
    """The ports that a board may have moved to; each once, whatever it is called."""
    found = list(ports())
    if path is not None and not path.startswith(TERMINALS):
        place = Path(path)
        stem = re.sub(r"\d+$", "", place.name)
        likes = (each for each in place.parent.glob(f"{stem}*") if each.name != place.name)
        found = [*map(str, sorted(likes)), *found]
    real = {os.path.realpath(each): each for each in reversed(found)}
    real.pop(os.path.realpath(path), None) if path is not None else None
    return list(reversed(real.values()))
