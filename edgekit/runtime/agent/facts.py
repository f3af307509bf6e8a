"""What an agent says of its device: the machine, and the engines that its stages would use."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.device import MCU
from edgekit.errors import DeviceError
from edgekit.machine import Machine
from edgekit.runtime.board_facts import BoardFacts, BoardPort, missing_packages
from edgekit.runtime.links.transport_packages import available
from edgekit.runtime.machine.machine_probe import probe
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import Engine, FactsReply
from edgekit.telemetry import decline

__all__ = ["ask_board", "probe_facts"]

ASK_S = 60.0
ASK = """
from importlib import metadata
found = [each.version for name in ("onnxruntime", "onnxruntime-gpu") for each in metadata.distributions(name=name)]
print(*found[:1], flush=True)
import onnxruntime
print(*onnxruntime.get_available_providers())
for each in sorted(metadata.entry_points(group="edgekit.engines"), key=lambda each: each.name):
    print(each.name, each.dist.version if each.dist else "")
"""
"""Asked of another process: the agent is small without what this loads."""


def probe_facts(board: BoardPort | None = None) -> FactsReply:
    """Facts of this device, gathered without loading onnxruntime into this process; with the engine of a board, if it is one."""
    installed = Path(msgspec.__file__).parents[1].stat()  # where packages come and go
    return FactsReply(
        version=__version__,
        machine=msgspec.convert(probe(Here()), Machine),
        engines=(*_engines(installed.st_mtime_ns), *(_engine_of_boards() if board is not None else ())),
        transports=available(),
    )


def ask_board(board: BoardPort) -> BoardFacts:
    """What a microcontroller that is plugged in here says of itself.

    Raises:
        DeviceError: it does not answer, its port cannot be opened, or packages are missing.
    """
    if lacking := missing_packages():
        what = f"{board.port}: {' and '.join(lacking)} not installed where the board is plugged in"
        raise DeviceError(f"{what}; run: edgekit devices setup, or there: pip install edgekit[mcu]")
    command = [sys.executable, "-m", "edgekit.runtime.serial_line.inquiry", msgspec.json.encode(board).decode()]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False, env=environment())
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{board.port}: the board has not answered for {ASK_S:g} s; reset it") from None
    if asked.returncode:
        raise DeviceError((asked.stderr.strip().splitlines() or [f"{board.port}: exit code {asked.returncode}"])[-1])
    return msgspec.json.decode(asked.stdout, type=BoardFacts)


def _engine_of_boards() -> tuple[Engine, ...]:
    from importlib import metadata  # an agent without a board is small without it

    return () if missing_packages() else (Engine(MCU, f"smp {metadata.version('smp')}"),)


@cache
def _engines(changed_ns: int) -> tuple[Engine, ...]:
    """Those that are installed since then: onnxruntime, without providers where it cannot be imported, and what is beside it."""
    decline()
    command = [sys.executable, "-c", ASK]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False, env=environment())
    version, providers, *others = [*asked.stdout.splitlines(), "", ""]
    first = (Engine("onnxruntime", version, tuple(providers.split())),) if version else ()
    beside = (line.partition(" ") for line in others if line)
    return (*first, *(Engine(name, own) for name, _, own in beside))
