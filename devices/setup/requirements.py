"""What a device can be given: system → Python → the newest onnxruntime that has wheels for it, or why there is none.

    comes with it                 Python        newest onnxruntime     glibc
    Raspberry Pi OS 13            3.13          1.31                   2.41
    Raspberry Pi OS 12            3.11          1.31                   2.36
    Raspberry Pi OS 11            3.9           refused
    Ubuntu 24.04                  3.12          1.31                   2.39
    Ubuntu 22.04                  3.10          1.23                   2.35
    JetPack 7 (L4T R38)           3.12          1.31, CUDA 13          2.39
    JetPack 6 (L4T R36)           3.10          1.23, CUDA 12          2.35
    JetPack 4, 5 (R32, R35)       3.6, 3.8      refused

A newer Python beside the system's own is taken where there is one. As PyPI had them in November 2026: wheels of 1.24 and later
are for Python 3.11 to 3.14, those of 1.29 and later for glibc 2.28; onnxruntime-gpu is built for CUDA 12 up to 1.26, for CUDA 13
from 1.27, and for aarch64 from 1.29 with glibc 2.34. NVIDIA keeps wheels for JetPack 6 in an index of its own.
"""

import re
from typing import NamedTuple

from devices.setup.wheels import Platform
from edgekit.errors import DeviceError
from edgekit.machine import Machine

__all__ = ["BOARD_PACKAGES", "NEWEST_PYTHON", "OLDEST_PYTHON", "Requirements", "choose", "jetpack_of", "platform_of", "refusal"]

OLDEST_PYTHON = (3, 10)
NEWEST_PYTHON = (3, 14)
OLDEST_GLIBC = (2, 27)
ARCHITECTURES = ("aarch64", "x86_64")
BASE = ("msgspec>=0.19", "numpy>=1.26")
BOARD_PACKAGES = ("smp>=4.2", "pyserial>=3.5")
"""For a microcontroller that is plugged in; nothing else is asked of its gateway."""

JETPACK_INDEX = "https://pypi.jetson-ai-lab.io/jp6/cu126"
BESIDE = "or install Python 3.11 beside it, which is taken when `python3.11` is on the PATH of a login over SSH"


class Requirements(NamedTuple):
    """Packages for pip, and the indexes to look in besides the usual ones."""

    packages: tuple[str, ...]
    indexes: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """All of it in one line, as the device keeps it."""
        return " ".join((*self.packages, *self.indexes))


def jetpack_of(machine: Machine) -> int | None:
    """The JetPack that a Jetson runs, by its Linux for Tegra release: R32 → 4, R35 → 5, R36 → 6, R38 → 7."""
    found = re.match(r"R(\d+)", (machine.jetson.release or "") if machine.jetson else "")
    if found is None:
        return None
    major = int(found[1])
    return 4 if major < 34 else 5 if major < 36 else 6 if major < 38 else 7


def refusal(machine: Machine, python: tuple[int, int] | None) -> str | None:
    """Why a machine cannot be set up, and what would help; None where it can. ``python`` is the one found to be fit, if any."""
    if machine.architecture in ARCHITECTURES and machine.bits != 64:
        return f"its programs are 32-bit on a 64-bit kernel, and onnxruntime has no 32-bit wheels; {_sixty_four(machine)}"
    if machine.architecture not in ARCHITECTURES:
        small = machine.architecture.startswith(("arm", "i")) or machine.bits != 64
        if small:
            return f"it is a 32-bit system ({machine.architecture}), and onnxruntime has no 32-bit wheels; {_sixty_four(machine)}"
        return f"onnxruntime has no wheels for {machine.architecture}; take a machine with {' or '.join(ARCHITECTURES)}"
    name, _, version = (machine.libc or "").partition(" ")
    if name == "musl":
        return f"its C library is musl ({machine.system}), for which onnxruntime has no wheels; install a system with glibc, such as Debian"
    if (glibc := _numbers(version)) is not None and glibc < OLDEST_GLIBC:
        return f"its glibc is {version}, and onnxruntime's wheels need {OLDEST_GLIBC[0]}.{OLDEST_GLIBC[1]}; install a newer system"
    return None if python is not None else _without_python(machine)


def _sixty_four(machine: Machine) -> str:
    if machine.family == "raspberry-pi":
        return "install the 64-bit Raspberry Pi OS (Raspberry Pi 3, Zero 2 and later can run it)"
    return "install a 64-bit system, if its processor can run one"


def _without_python(machine: Machine) -> str:
    """The remedy for a Python that is too old or too new."""
    there = _numbers(machine.python or "")
    if there is not None and there > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        return f"its Python is {machine.python}, and the newest with wheels of onnxruntime is {newest}; install python{newest} beside it"
    jetpack = jetpack_of(machine)
    if jetpack in (4, 5):
        newer = "move to JetPack 6, if the board is an Orin" if jetpack == 5 else "no newer JetPack exists for its board"
        return f"JetPack {jetpack} comes with Python {machine.python}, and edgekit needs 3.10 or newer; {newer}, {BESIDE}"
    newer = "install Raspberry Pi OS 12 or newer" if machine.family == "raspberry-pi" else "install a newer system"
    return f"its Python is {machine.python or 'missing'}, and edgekit needs 3.10 or newer; {newer}, {BESIDE}"


def choose(machine: Machine, python: tuple[int, int]) -> tuple[Requirements, ...]:
    """What to install, best first: the next is for where the one before cannot be had."""
    plain = Requirements((*BASE, f"onnxruntime>=1.20,<1.{32 if python > OLDEST_PYTHON else 24}"))
    cuda = _numbers(machine.cuda or "")
    if cuda is None:
        return (plain,)
    if machine.architecture == "aarch64" and cuda[0] == 12 and python == (3, 10) and jetpack_of(machine) == 6:
        return Requirements((*BASE, "onnxruntime-gpu>=1.20,<1.24"), (JETPACK_INDEX,)), plain
    if cuda[0] == 13 and python > OLDEST_PYTHON and (machine.architecture == "x86_64" or _glibc(machine) >= (2, 34)):
        return Requirements((*BASE, "onnxruntime-gpu>=1.29,<1.32")), plain
    if cuda[0] == 12 and machine.architecture == "x86_64":
        return Requirements((*BASE, f"onnxruntime-gpu>=1.20,<1.{27 if python > OLDEST_PYTHON else 24}")), plain
    return (plain,)


def _glibc(machine: Machine) -> tuple[int, int]:
    return _numbers((machine.libc or "").partition(" ")[2]) or OLDEST_GLIBC


def platform_of(machine: Machine, python: tuple[int, int]) -> Platform:
    """What wheels for a machine have to be built for.

    Raises:
        DeviceError: its C library is not known.
    """
    if _numbers((machine.libc or "").partition(" ")[2]) is None:
        raise DeviceError(f"its C library is not known ({machine.libc}), so no wheels can be chosen for it here; leave out --offline")
    return Platform(machine.architecture, _glibc(machine), python)


def _numbers(version: str) -> tuple[int, int] | None:
    """The first two numbers of a version."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
