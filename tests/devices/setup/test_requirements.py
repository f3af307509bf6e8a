"""The table: machines as the probe describes them, and what each is given or told."""

import re

import pytest

from devices.setup.requirements import choose, jetpack_of, platform_of, refusal
from devices.setup.wheels import Platform
from edgekit.errors import DeviceError
from edgekit.machine import Jetson, Machine


def pi(system: str, glibc: str, python: str, **other: object) -> Machine:
    return Machine("aarch64", 4, family="raspberry-pi", system=system, libc=f"glibc {glibc}", python=python, **other)  # type: ignore[arg-type]


def jetson(release: str, glibc: str, python: str, cuda: str | None) -> Machine:
    return Machine("aarch64", 6, family="jetson", jetson=Jetson(release), libc=f"glibc {glibc}", python=python, cuda=cuda)


def server(glibc: str, python: str, cuda: str | None = None) -> Machine:
    return Machine("x86_64", 16, libc=f"glibc {glibc}", python=python, cuda=cuda)


TRIXIE = pi("Debian GNU/Linux 13 (trixie)", "2.41", "3.13.5")
BOOKWORM = pi("Debian GNU/Linux 12 (bookworm)", "2.36", "3.11.2")
BULLSEYE = pi("Debian GNU/Linux 11 (bullseye)", "2.31", "3.9.2")
JETPACK_4 = jetson("R32.7.1", "2.27", "3.6.9", "10.2.300")
JETPACK_5 = jetson("R35.4.1", "2.31", "3.8.10", "11.4.298")
JETPACK_6 = jetson("R36.4.3", "2.35", "3.10.12", "12.6.68")
JETPACK_7 = jetson("R38.2.0", "2.39", "3.12.3", "13.0.48")


def numbers(machine: Machine) -> tuple[int, int]:
    major, minor = (machine.python or "").split(".")[:2]
    return int(major), int(minor)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (TRIXIE, ["onnxruntime>=1.20,<1.32"]),
        (BOOKWORM, ["onnxruntime>=1.20,<1.32"]),
        (server("2.39", "3.12.3"), ["onnxruntime>=1.20,<1.32"]),
        (server("2.35", "3.10.12"), ["onnxruntime>=1.20,<1.24"]),
        (server("2.39", "3.12.3", cuda="13.1.80"), ["onnxruntime-gpu>=1.29,<1.32", "onnxruntime>=1.20,<1.32"]),
        (server("2.39", "3.12.3", cuda="12.4.127"), ["onnxruntime-gpu>=1.20,<1.27", "onnxruntime>=1.20,<1.32"]),
        (server("2.35", "3.10.12", cuda="12.4.127"), ["onnxruntime-gpu>=1.20,<1.24", "onnxruntime>=1.20,<1.24"]),
        (server("2.39", "3.12.3", cuda="11.8.89"), ["onnxruntime>=1.20,<1.32"]),
        (JETPACK_6, ["onnxruntime-gpu>=1.20,<1.24", "onnxruntime>=1.20,<1.24"]),
        (JETPACK_7, ["onnxruntime-gpu>=1.29,<1.32", "onnxruntime>=1.20,<1.32"]),
    ],
)
def test_a_machine_is_given_the_newest_onnxruntime_there_is_for_it(machine: Machine, expected: list[str]) -> None:
    assert refusal(machine, numbers(machine)) is None
    choices = choose(machine, numbers(machine))
    assert [choice.packages[-1] for choice in choices] == expected
    assert all(choice.packages[:2] == ("msgspec>=0.19", "numpy>=1.26") for choice in choices)


def test_only_jetpack_6_needs_an_index_of_its_own() -> None:
    assert [choice.indexes for choice in choose(JETPACK_6, (3, 10))] == [("https://pypi.jetson-ai-lab.io/jp6/cu126",), ()]
    assert [choice.indexes for choice in choose(JETPACK_7, (3, 12))] == [(), ()]


def test_what_was_asked_for_is_one_line() -> None:
    gpu, plain = choose(JETPACK_6, (3, 10))
    assert gpu.asked == "msgspec>=0.19 numpy>=1.26 onnxruntime-gpu>=1.20,<1.24 https://pypi.jetson-ai-lab.io/jp6/cu126"
    assert plain.asked == "msgspec>=0.19 numpy>=1.26 onnxruntime>=1.20,<1.24"


@pytest.mark.parametrize(
    ("machine", "reason", "remedy"),
    [
        (BULLSEYE, "its Python is 3.9.2, and edgekit needs 3.10 or newer", "install Raspberry Pi OS 12 or newer, or install Python 3.11"),
        (JETPACK_5, "JetPack 5 comes with Python 3.8.10, and edgekit needs 3.10 or newer", "move to JetPack 6, if the board is an Orin"),
        (JETPACK_4, "JetPack 4 comes with Python 3.6.9", "no newer JetPack exists for its board"),
        (server("2.41", "3.15.0"), "its Python is 3.15.0, and the newest with wheels of onnxruntime is 3.14", "install python3.14 beside"),
        (pi("Raspbian GNU/Linux 12", "2.36", "3.11.2", bits=32), "its programs are 32-bit on a 64-bit kernel", "install the 64-bit Rasp"),
        (Machine("armv7l", 4, bits=32, family="raspberry-pi"), r"it is a 32-bit system \(armv7l\)", "install the 64-bit Raspberry Pi OS"),
        (Machine("i686", 1, bits=32), r"it is a 32-bit system \(i686\)", "install a 64-bit system"),
        (Machine("riscv64", 4), "onnxruntime has no wheels for riscv64", "take a machine with aarch64 or x86_64"),
        (Machine("x86_64", 4, libc="musl", system="Alpine Linux v3.20"), r"its C library is musl \(Alpine Linux v3.20\)", "glibc, such as"),
        (server("2.17", "3.6.8"), "its glibc is 2.17, and onnxruntime's wheels need 2.27", "install a newer system"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason_and_what_would_help(machine: Machine, reason: str, remedy: str) -> None:
    said = refusal(machine, None)
    assert said is not None
    assert re.search(f"{reason}.*; .*{remedy}", said)


def test_a_newer_python_beside_the_systems_own_is_enough() -> None:
    assert refusal(JETPACK_5, (3, 11)) is None
    assert [choice.packages[-1] for choice in choose(JETPACK_5, (3, 11))] == ["onnxruntime>=1.20,<1.32"]


@pytest.mark.parametrize("machine", [Machine("aarch64", 4, bits=32), Machine("x86_64", 4, libc="musl"), Machine("riscv64", 4)])
def test_no_python_helps_where_there_are_no_wheels(machine: Machine) -> None:
    assert refusal(machine, (3, 11)) is not None


@pytest.mark.parametrize(
    ("machine", "jetpack"), [(JETPACK_4, 4), (JETPACK_5, 5), (JETPACK_6, 6), (JETPACK_7, 7), (BOOKWORM, None), (Machine("x86_64", 1), None)]
)
def test_jetpacks_are_told_by_their_linux_for_tegra(machine: Machine, jetpack: int | None) -> None:
    assert jetpack_of(machine) == jetpack


def test_wheels_are_chosen_by_processor_glibc_and_python() -> None:
    assert platform_of(BOOKWORM, (3, 11)) == Platform("aarch64", (2, 36), (3, 11))
    with pytest.raises(DeviceError, match=r"its C library is not known \(None\).*; leave out --offline"):
        platform_of(Machine("aarch64", 4), (3, 11))
