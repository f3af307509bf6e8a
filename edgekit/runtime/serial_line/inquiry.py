"""Asks a board what it is, in a process of its own, so that an agent stays small: facts on standard output, or why there are none."""

import sys

import msgspec
from msgspec.structs import replace

from edgekit.errors import DeviceError
from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.serial_line.board_search import find

__all__ = ["main"]

ATTEMPTS = 5
"""Requests after which a board counts as absent: a terminal of an emulator takes a second to notice that it was opened."""


def main(arguments: list[str]) -> int:
    """Ask the board that the argument describes; the exit code."""
    try:
        line, facts = find(msgspec.json.decode(arguments[0], type=BoardPort), attempts=ATTEMPTS)
        facts = replace(facts, memory=line.memory())
        line.close()
    except DeviceError as error:
        print(error, file=sys.stderr)
        return 1
    print(msgspec.json.encode(facts).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
