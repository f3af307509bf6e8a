"""Boards on serial lines: what they say of themselves, and whether one can be used."""

from msgspec import structs

from devices import connect
from devices.connection import FactsReply
from devices.setup.procedure import Outcome
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.board_facts import BoardFacts

__all__ = ["board_outcomes", "known_board", "with_board"]


def with_board(device: Device) -> Device:
    """A device with what its board says of itself, where nothing else is given.

    ``memory_bytes`` is the RAM that arena, table and weights may have; ``insn_per_s`` is that of an emulated board: one
    instruction in each cycle of its clock.

    Raises:
        DeviceError: the board does not answer.
    """
    with connect(device) as connection:
        board = known_board(device, connection.facts())
    emulated_per_s = float(board.hz) if board.time == "insn" else None
    return structs.replace(
        device,
        memory_bytes=board.pool_bytes if device.memory_bytes is None else device.memory_bytes,
        flash_bytes=board.flash_bytes if device.flash_bytes is None else device.flash_bytes,
        insn_per_s=device.insn_per_s or emulated_per_s,
    )


def known_board(device: Device, facts: FactsReply) -> BoardFacts:
    """What the board of a device says.

    Raises:
        DeviceError: it does not answer.
    """
    if facts.board is None:
        raise DeviceError(f"{device.name}: {facts.boardless or 'its agent tells of no board; run: edgekit devices setup'}")
    return facts.board


def board_outcomes(device: Device) -> list[Outcome]:
    """Whether the agent and the board of a device answer, as steps of a check."""
    try:
        with connect(device) as connection:
            facts = connection.facts()
    except EdgekitError as error:
        return [Outcome("agent", "failed", str(error))]
    engines = ", ".join(map(str, facts.engines))
    agent = Outcome("agent", "ok", f"edgekit {facts.version}, {engines}")
    if facts.board is None:
        return [agent, Outcome("board", "failed", facts.boardless)]
    held = f"; its line is held by {facts.held}" if facts.held else ""
    return [agent, Outcome("board", "ok", f"{facts.board}{held}")]
