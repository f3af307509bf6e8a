"""Commands about microcontrollers: which boards there are, what fits, build, flash, run on an emulator."""

import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.app import command, group
from edgekit.cli.console import progress
from edgekit.wording import kib

__all__ = ["build", "firmware", "flash", "run"]

firmware = group("firmware", "Build the firmware of a microcontroller, flash it, or run it on an emulator.")

LOOK_S = 3600.0

OnBoard = Annotated[str, typer.Option("--board", help="A board of edgekit firmware boards, such as mps2-an386.")]


@command("build", firmware)
def build(
    board: OnBoard,
    network: Annotated[Path | None, typer.Argument(help="A network in int8 (.onnx or .tflite) whose weights lie in its flash.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write the firmware to (.elf).")] = Path("firmware.elf"),
) -> None:
    """Build the firmware of a board, with the weights of a network in its flash."""
    from edgekit import api

    with progress("building") as tell:
        tell(board)
        built = api.build_firmware(board, output, network=network)
    flash = f"{kib(built.text_bytes)} code, {kib(built.weights_bytes)} weights"
    print(f"{output} for {board}: {flash}, {kib(built.flash_left_bytes)} of flash left")
    fixed = f"{kib(built.data_bytes + built.bss_bytes)} data, {kib(built.stack_bytes)} stack"
    print(f"RAM: {fixed}, {kib(built.pool_bytes)} left for networks")
    print(f"next: {'; or '.join(api.next_commands(board, output))}")


@command("flash", firmware)
def flash(
    elf: Annotated[Path, typer.Argument(help="The firmware that edgekit firmware build made.")],
    board: OnBoard,
    port: Annotated[str, typer.Option(help="The serial port of a board that is written over one, such as /dev/ttyUSB0.")] = "",
) -> None:
    """Write a firmware to a board, by pyocd or stm32loader; where the program is missing, print its command."""
    from edgekit import api

    command_line = api.flash_firmware(board, elf, port)
    if shutil.which(command_line[0]) is None:
        print(f"{command_line[0]} is missing; pip install {command_line[0]}, then run:")
        print(shlex.join(command_line))
        return
    print(f"{elf} is on {board}")
    print(f"next: edgekit devices add NAME serial:{port or '/dev/ttyACM0'}")


@command("run", firmware, "the emulator has ended")
def run(
    emulate: Annotated[str, typer.Option("--emulate", help="A board of edgekit firmware boards that QEMU has.")],
    elf: Annotated[Path | None, typer.Argument(help="A firmware for that board; without it, one is built.")] = None,
    uid: Annotated[str, typer.Option(help="Eight hexadecimal digits: which board it says it is, to tell several apart.")] = "",
) -> None:
    """Run a board in QEMU until Ctrl-C, and print the port at which it answers."""
    from edgekit import api

    with api.running_firmware(emulate, elf, uid=uid) as (board, port):
        print(f"{board.title} runs in QEMU; its serial port is {port}")
        print(f"next, in another terminal: edgekit devices add board serial:{port}", flush=True)
        while True:
            time.sleep(LOOK_S)
