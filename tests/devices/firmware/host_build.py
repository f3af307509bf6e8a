"""Builds the firmware's C for this machine, with sanitizers: the executor and the kernels with a driver of a test."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

__all__ = ["FIRMWARE", "STRICT", "built", "sources"]

FIRMWARE = Path(__file__).parents[3] / "devices/firmware"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")
SANITIZED = ("-g1", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def sources(*rooms: str) -> list[Path]:
    """The C files of some rooms of the firmware: "kernels", "executor", …"""
    return [path for room in rooms for path in sorted((FIRMWARE / room).glob("*.c"))]


def built(folder: Path, files: Iterable[Path], *, defines: Iterable[str] = (), optimized: bool = False) -> Path:
    """An executable of these C files, under sanitizers; ``optimized``: without them, for speed. A program "gcc" has to be there."""
    if shutil.which("gcc") is None:
        pytest.skip("needs tool gcc")
    program = folder / "driver"
    flags = ("-O2",) if optimized else SANITIZED
    rooms = [f"-I{FIRMWARE / room}" for room in ("kernels", "executor")]
    command = ["gcc", *STRICT, *flags, *(f"-D{each}" for each in defines), *rooms, *map(str, files), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return program
