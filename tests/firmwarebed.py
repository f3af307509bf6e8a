"""Firmware for tests: as a program of this machine under sanitizers, and a client that says what it has to, one frame at a time."""

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cbor2
import pytest
import serial
from smp import packet

from devices.mcu.boards import FIRMWARE
from devices.mcu.firmware_image import GCC, zcbor_folder

__all__ = ["Board", "HostBoard", "framed", "host_firmware", "message", "needs_cross_compiler", "needs_qemu", "on_line", "unframed"]

SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
STRICT = ("-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-pedantic", "-Wconversion", "-Werror")

needs_cross_compiler = pytest.mark.skipif(
    shutil.which(GCC) is None, reason="needs tool arm-none-eabi-gcc: sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
)
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-arm") is None or shutil.which(GCC) is None,
    reason="needs tool qemu-system-arm: sudo apt-get install qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi",
)


def host_firmware(folder: Path) -> Path:
    """The firmware built for this machine with the address and the undefined behaviour sanitizer."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs tool gcc: sudo apt-get install gcc libc6-dev")
    zcbor = zcbor_folder()
    ours = [path for place in ("agent", "executor", "kernels", "ports/host") for path in sorted((FIRMWARE / place).glob("*.c"))]
    theirs = [zcbor / "src" / f"zcbor_{part}.c" for part in ("common", "decode", "encode")]
    include = [f"-I{FIRMWARE / place}" for place in ("agent", "executor", "kernels")] + ["-isystem", str(zcbor / "include")]
    named = ['-DEDGE_BOARD="host"', '-DEDGE_CPU="host"']
    for sources, flags in ((ours, STRICT), (theirs, ("-w",))):
        command = [compiler, *SANITIZED, *flags, *include, *named, "-c", *map(str, sources)]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
    program = folder / "firmware"
    subprocess.run([compiler, *SANITIZED, *map(str, sorted(folder.glob("*.o"))), "-o", str(program)], check=True)
    return program


def message(op: int, group: int, command: int, told: Mapping[str, Any], sequence: int = 0) -> bytes:
    """A request of SMP version 2."""
    body = cbor2.dumps(dict(told))
    return struct.pack("!BBHHBB", 8 | op, 0, len(body), group, sequence, command) + body


def framed(data: bytes) -> bytes:
    """A message as lines of the console."""
    return b"".join(packet.encode(data))


def unframed(lines: Callable[[], bytes]) -> bytes | None:
    """The next message of a line; None: it ended before."""
    decoder = packet.decode()
    next(decoder)
    try:
        while line := lines():
            decoder.send(line)
    except StopIteration as done:
        return bytes(done.value)
    return None


class Line(Protocol):
    """What carries bytes to a firmware and back."""

    def send(self, data: bytes) -> None: ...
    def line(self) -> bytes: ...


class Board:
    """A client without any patience: one request, one answer."""

    def __init__(self, line: Line):
        self.line = line
        self.sequence = 0

    def ask(self, op: int, command: int, told: Mapping[str, Any] | None = None, group: int = 64, attempts: int = 1) -> dict[str, Any]:
        """Ask until there is an answer."""
        for _ in range(attempts):
            self.sequence = (self.sequence + 1) % 256
            self.line.send(framed(message(op, group, command, told or {}, self.sequence)))
            answer = unframed(self.line.line)
            if answer is not None:
                assert (answer[0], answer[6], answer[7]) == (8 | op + 1, self.sequence, command), answer
                found = cbor2.loads(answer[8:])
                assert isinstance(found, dict)
                return found
        raise AssertionError(f"no answer to {command} of group {group}")

    def put(self, command: int, data: bytes, first: Mapping[str, Any], every: Mapping[str, Any] | None = None, piece: int = 700) -> Any:
        """Send all of it in pieces; the last answer."""
        answer: dict[str, Any] = {}
        for off in range(0, len(data), piece):
            told = {"off": off, "data": data[off : off + piece], **(every or {}), **(first if off == 0 else {})}
            answer = self.ask(2, command, told)
        return answer


class HostBoard:
    """The firmware as a process of this machine."""

    def __init__(self, program: Path):
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def close(self) -> None:
        """End its input: it has to end by itself, and well."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait()
        self.process.stdout.close()
        assert code == 0, f"the firmware ended with code {code}"


@contextmanager
def on_line(port: str) -> Iterator[Board]:
    """A client at a serial port."""
    with serial.Serial(port, 115200, timeout=2) as found:

        class Port:
            def send(self, data: bytes) -> None:
                found.write(data)

            def line(self) -> bytes:
                return bytes(found.readline())

        yield Board(Port())
