"""Firmware of microcontrollers: made into a file, written to a board, or run in an emulator."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devices.mcu.blob import blob_of
from devices.mcu.boards import Board, board
from devices.mcu.compiler import compile_segment
from devices.mcu.emulator import emulated
from devices.mcu.firmware_image import Image, binary, check_elf, image
from edgekit import onnxio
from edgekit.errors import DeviceError, UsageError

__all__ = ["build_firmware", "flash_command", "flash_firmware", "next_commands", "running_firmware"]

FLASHED = {
    "pyocd": ("pyocd", "load", "--target", "{chip}", "{elf}"),
    "stm32loader": ("stm32loader", "-p", "{port}", "-f", "{chip}", "-e", "-w", "-v", "{binary}"),
}
"""How each program writes the flash of a board."""


def build_firmware(name: str, output: Path, *, network: Path | None = None) -> Image:
    """Build the firmware of a board into a file; its map of addresses comes beside it.

    ``network``: whose weights lie in its flash, so that tables of all of its segments find them there.

    Raises:
        UsageError: no such board, no compiler, or it does not fit.
        GraphError: a node of the network cannot run on a microcontroller.
    """
    built = image(board(name), weights=b"" if network is None else _weights(network))
    output.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".elf", ".map"):
        shutil.copyfile(built.elf.with_suffix(suffix), output if suffix == ".elf" else output.with_suffix(suffix))
    return built._replace(elf=output)


def _weights(network: Path) -> bytes:
    source = onnxio.from_tflite(network) if network.suffix == ".tflite" else network
    return blob_of([compile_segment(onnxio.normalise(source))])


def next_commands(name: str, elf: Path) -> list[str]:
    """What may be done with a firmware: flash it, or run it in an emulator."""
    found = board(name)
    port = " --port PORT" if found.tool == "stm32loader" else ""
    flash = [f"edgekit firmware flash {elf} --board {name}{port}"] if found.tool else []
    return flash + ([f"edgekit firmware run {elf} --emulate {name}"] if found.machine else [])


def flash_command(name: str, elf: Path, port: str = "") -> list[str]:
    """The command that writes a firmware to a board.

    Raises:
        UsageError: the board has no flash that is written, or its program needs a port.
    """
    found = board(name)
    if not found.tool:
        raise UsageError(f"{name} has no flash to write; to run its firmware: edgekit firmware run --emulate {name} {elf}")
    if found.tool == "stm32loader" and not port:
        raise UsageError(f"{name} is written over its serial port; say which: --port /dev/ttyUSB0")
    given = {"chip": found.chip, "elf": str(elf), "port": port, "binary": str(elf.with_suffix(".bin"))}
    return [word.format(**given) for word in FLASHED[found.tool]]


def flash_firmware(name: str, elf: Path, port: str = "") -> list[str]:
    """Write a firmware to a board, where the program that does it is there; the command.

    Raises:
        UsageError: as ``flash_command``, or the file is not there.
        DeviceError: the program failed.
    """
    check_elf(elf, name)
    command = flash_command(name, elf, port)
    if board(name).tool == "stm32loader":
        binary(elf, elf.with_suffix(".bin"))
    if shutil.which(command[0]) is not None:
        code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        if code != 0:
            raise DeviceError(f"{name}: {command[0]} ended with code {code}, see above; check the cable and the boot mode")
    return command


@contextmanager
def running_firmware(name: str, elf: Path | None, *, uid: str = "") -> Iterator[tuple[Board, str]]:
    """A board in an emulator, with the port at which it answers; without a file, the firmware is built first."""
    found = board(name)
    with emulated(found, image(found).elf if elf is None else elf, uid=uid) as running:
        yield found, running.port
