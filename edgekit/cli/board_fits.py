"""The commands ``edgekit firmware boards`` and ``edgekit firmware check``: which boards there are, and what fits on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import table
from edgekit.cli.firmware import firmware
from edgekit.wording import kib

if TYPE_CHECKING:
    from edgekit.api import BoardFit

__all__ = ["boards", "check"]

DEFAULT = "mps2-an386"
"""The board of the next command, where the network fits on it: QEMU plays it."""

SHOWN = 3
"""Buffers that a peak names, the largest first."""


@command("boards", firmware)
def boards() -> None:
    """List the boards that the firmware has a port for."""
    from edgekit import api

    rows = [
        [each.name, each.title, each.cpu, kib(each.ram_bytes), kib(each.flash_bytes), f"{each.clock_hz / 1e6:.0f} MHz", each.machine or "-"]
        for each in api.known_boards()
    ]
    table("", ["board", "title", "cpu", "RAM", "flash", "clock", "QEMU"], rows)
    print("next: edgekit firmware check net.onnx")


@command("check", firmware)
def check(
    network: Annotated[Path, typer.Argument(help="A network in int8, as .onnx or .tflite.")],
    board: Annotated[str | None, typer.Option("--board", help="Only this board of edgekit firmware boards.")] = None,
) -> None:
    """Tell for each board whether a network fits, without any hardware."""
    from edgekit import api

    found = api.network_fits(network, board)
    table("", ["board", "fits", "RAM", "of", "left", "flash", "of", "left"], [_row(each) for each in found])
    first = found[0]
    if first.needs is not None:
        print(_peak(first))
    else:
        print(f"not the whole network: {first.refused}")
    for each in found:
        if not each.fits and (each.needs or each.head or each.tail):
            print(f"{each.board.name}: {_remedy(each)}")
    if any(each.fits for each in found):
        names = [each.board.name for each in found if each.fits]
        fitting = DEFAULT if DEFAULT in names else names[0]
        print("RAM and flash count the firmware, its stack and its buffers")
        print(f"next: {_next_commands(network, fitting)}")
    else:
        raise typer.Exit(1)


def _next_commands(network: Path, board: str) -> str:
    """What builds a firmware with the weights; a .tflite file is written as ONNX before."""
    onnx = network.with_suffix(".onnx")
    export = f"edgekit export {network} -o {onnx}, then " if onnx != network else ""
    return f"{export}edgekit firmware build {onnx} --board {board}"


def _row(fit: "BoardFit") -> list[str]:
    board = fit.board
    if fit.needs is None or fit.room is None:
        return [board.name, "no", "-", kib(board.ram_bytes), "-", "-", kib(board.flash_bytes), "-"]
    left = [kib(nbytes) if nbytes >= 0 else f"{kib(-nbytes)} too few" for nbytes in fit.room]
    ram = [kib(fit.needs.ram_bytes), kib(board.ram_bytes), left[0]]
    flash = [kib(fit.needs.flash_bytes), kib(board.flash_bytes), left[1]]
    return [board.name, "yes" if fit.fits else "no", *ram, *flash]


def _peak(fit: "BoardFit") -> str:
    assert fit.needs is not None
    peak = fit.needs.peak
    alive = [f"{buffer.name} {kib(buffer.nbytes)}" for buffer in peak.alive[:SHOWN]]
    alive += [f"scratch {kib(peak.scratch_bytes)}"] if peak.scratch_bytes else []
    shared = f", {kib(peak.shared_bytes)} of them in one place" if peak.shared_bytes else ""
    parts = f"arena {kib(fit.needs.arena_bytes)}, table {kib(fit.needs.table_bytes)}, weights {kib(fit.needs.weights_bytes)}"
    moment = f"{peak.operator} runs" if peak.operator else "inputs come or outputs leave"
    return f"{parts}; most memory is taken while {moment}, with {', '.join(alive)} alive{shared}"


def _remedy(fit: "BoardFit") -> str:
    """What is missing, and what would fit."""
    named = (("RAM", fit.room.ram_bytes), ("flash", fit.room.flash_bytes)) if fit.room else ()
    missing = " and ".join(f"{-nbytes} bytes of {what} are missing" for what, nbytes in named if nbytes < 0)
    spans = []
    if fit.head:
        spans.append(f"cut before unit {fit.head[1]}: units [0, {fit.head[1]}) fit")
    if fit.tail:
        spans.append(f"cut before unit {fit.tail[0]}: units [{fit.tail[0]}, {fit.tail[1]}) fit")
    advice = "; or ".join(spans) or "no beginning and no end of it fits; take a smaller network, or a lower resolution"
    return f"{missing}; {advice}" if missing else advice
