"""The firmware of a board as an ELF file, made by the cross compiler from the C sources beside this package.

    firmware/agent, executor, kernels, ports/cortexm, ports/BOARD'S   zcbor/src           weights
    └──────────────── compiled once for each board ─────────────────────────┘                │
                                      └──────────────────── linked ──────────────────────────┘

Objects and images stay in edgekit's cache under the hash of all that they are made of.
"""

import contextlib
import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from devices.mcu.boards import FIRMWARE, Board
from edgekit import __version__, folders
from edgekit.errors import UsageError
from edgekit.wording import kib

__all__ = ["GCC", "STACK_BYTES", "Image", "binary", "check_elf", "image", "zcbor_folder"]

GCC = "arm-none-eabi-gcc"
ELF = b"\x7fELF"
STACK_BYTES = 4096

OPTIMISED = {"kernels": "-O2"}
"""Folders whose speed counts; all else is made small."""

COMPILED = ("-mthumb", "-std=c99", "-g", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-pedantic", "-Wconversion")
LINKED = ("-mthumb", "-nostartfiles", "-Wl,--gc-sections", "-Wl,--fatal-warnings", "-Wl,--no-warn-rwx-segments")
WEIGHTS = '.section .weights, "a"\n.balign 8\n.incbin "weights.bin"\n'


class Image(NamedTuple):
    """A firmware and what it takes.

    Attributes:
        elf: the file; its map of addresses is beside it, with the suffix .map.
        text_bytes: code, constants and initial data, in flash.
        weights_bytes: of the blob, in flash.
        data_bytes, bss_bytes, stack_bytes: in RAM.
        pool_bytes: what is left of RAM, for arena, tables and uploaded weights.
        flash_left_bytes: what is left of flash.
    """

    elf: Path
    text_bytes: int
    weights_bytes: int
    data_bytes: int
    bss_bytes: int
    stack_bytes: int
    pool_bytes: int
    flash_left_bytes: int


def check_elf(path: Path, name: str) -> None:
    """Refuse a file that is no firmware, before it is run or written to the board ``name``.

    Raises:
        UsageError: it is not there, or is another file.
    """
    make = f"edgekit firmware build --board {name} -o"
    if not path.is_file():
        raise UsageError(f"{path} is not there; to make it: {make} {path}")
    with path.open("rb") as file:
        if file.read(len(ELF)) != ELF:
            raise UsageError(f"{path}: expected a firmware, got another file; to make one: {make} firmware.elf")


def image(board: Board, *, weights: bytes = b"") -> Image:
    """Build the firmware of a board, with a blob of weights in its flash.

    Raises:
        UsageError: the compiler or zcbor is missing, or flash or RAM is too small; the message says by how much.
    """
    objects = _objects(board)
    name = hashlib.sha256(objects.name.encode() + weights).hexdigest()[:32]
    folder = folders.cache() / "firmware" / name
    if not (folder / "firmware.elf").is_file():
        with _made(folder) as work:
            _link(board, sorted(objects.glob("*.o")), weights, work)
    return _measured(board, folder / "firmware.elf")


def binary(elf: Path, output: Path) -> None:
    """Write what of a firmware lies in flash, as programs take it that do not read ELF."""
    _run([_tool("arm-none-eabi-objcopy"), "-O", "binary", str(elf.absolute()), str(output.absolute())], elf.parent)


def zcbor_folder() -> Path:
    """Where the package zcbor has its C sources; it is not imported."""
    found = importlib.util.find_spec("zcbor")
    if found is None or found.origin is None:
        raise UsageError("the firmware needs the C sources of zcbor; run: pip install 'edgekit[mcu]'")
    return Path(found.origin).parent


def _sources(board: Board) -> dict[str, list[Path]]:
    """C files by the folder that they lie in."""
    places = ("agent", "executor", "kernels", "ports/cortexm", f"ports/{board.port}")
    found = {place: sorted((FIRMWARE / place).glob("*.c")) for place in places}
    zcbor = zcbor_folder() / "src"
    return found | {"zcbor": [zcbor / f"zcbor_{part}.c" for part in ("common", "decode", "encode")]}


def _flags(board: Board, place: str) -> list[str]:
    told = {
        "EDGE_VERSION": f'"{__version__}"',
        "EDGE_BOARD": f'"{board.name}"',
        "EDGE_CPU": f'"{board.cpu}"',
        "EDGE_CLOCK_HZ": f"{board.clock_hz}U",
        "EDGE_SHIFT": str(board.shift),
        "EDGE_UID_AT": f"{board.uid_at:#x}U",
    }
    ours = [f"-I{FIRMWARE / folder}" for folder in ("agent", "executor", "kernels", "ports/cortexm", f"ports/{board.port}")]
    flags = [*board.flags, *COMPILED, OPTIMISED.get(place, "-Os"), *(f"-D{key}={value}" for key, value in told.items()), *ours]
    strict = ["-w"] if place == "zcbor" else ["-Werror"]
    return [*flags, "-isystem", str(zcbor_folder() / "include"), *strict]


def _objects(board: Board) -> Path:
    """The folder of the compiled sources."""
    sources = _sources(board)
    read = hashlib.sha256(_run([_tool(GCC), "--version"], FIRMWARE).encode())
    for place, files in sources.items():
        read.update(repr(_flags(board, place)).encode())
        for path in files:
            read.update(path.read_bytes())
    for path in sorted(FIRMWARE.rglob("*.h")) + sorted(FIRMWARE.rglob("*.ld")):
        read.update(path.read_bytes())
    folder = folders.cache() / "firmware" / f"objects-{read.hexdigest()[:32]}"
    if not folder.is_dir():
        with _made(folder) as work:
            for place, files in sources.items():
                if files:
                    _run([_tool(GCC), *_flags(board, place), "-c", *map(str, files)], work)
    return folder


def _link(board: Board, objects: Sequence[Path], weights: bytes, folder: Path) -> None:
    (folder / "weights.bin").write_bytes(weights)
    (folder / "weights.s").write_text(WEIGHTS)
    ram_bytes = board.uid_at - board.ram_at if board.uid_at else board.ram_bytes
    sizes = {
        "FLASH_AT": board.flash_at,
        "FLASH_BYTES": board.flash_bytes,
        "RAM_AT": board.ram_at,
        "RAM_BYTES": ram_bytes,
        "STACK_BYTES": STACK_BYTES,
    }
    script = [f"-Wl,--defsym={key}={value}" for key, value in sizes.items()] + ["-T", str(FIRMWARE / "ports/cortexm/firmware.ld")]
    files = [*map(str, objects), "weights.s"]
    try:
        _run([_tool(GCC), *board.flags, *LINKED, *script, *files, "-Wl,-Map=firmware.map", "-o", "firmware.elf"], folder)
    except UsageError as error:
        over = re.search(r"region `(\w+)' overflowed by (\d+) bytes", str(error))
        if over is None:
            raise
        kind, size = ("flash", board.flash_bytes) if over[1] == "FLASH" else ("RAM", board.ram_bytes)
        raise UsageError(
            f"{board.name}: the firmware with {kib(len(weights))} of weights needs {kib(int(over[2]))} more than its "
            f"{kib(size)} of {kind}; cut the network, or take a larger board (edgekit firmware boards)"
        ) from error


def _measured(board: Board, elf: Path) -> Image:
    named = _run([_tool("arm-none-eabi-nm"), elf.name], elf.parent)
    at = {name: int(address, 16) for address, name in re.findall(r"^(\w+) \w edge_(\w+)$", named, re.MULTILINE)}
    text = at["weights_begin"] - at["flash_begin"]
    weights = at["weights_end"] - at["weights_begin"]
    data, bss, stack, pool = (at[f"{name}_end"] - at[f"{name}_begin"] for name in ("data", "bss", "stack", "pool"))
    return Image(elf, text, weights, data, bss, stack, pool, board.flash_bytes - text - weights)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"{name} is missing; on Debian: sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    return found


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise UsageError(f"{Path(command[0]).name} ended with code {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder to work in that gets its name when all is done: there whole, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="part-") as part:
        work = Path(part) / "made"
        work.mkdir()
        yield work
        with contextlib.suppress(OSError):  # another process was first
            work.rename(folder)
