"""Packages of a device: from its own package index, or as wheels that are fetched here and pushed; and why that failed."""

from collections.abc import Callable, Sequence
from typing import Any

from devices.setup.paths import ROOT, WHEELS
from devices.setup.remote import NotDone, tell_device
from devices.setup.requirements import Requirements, platform_of
from devices.setup.wheels import fetch, lock, pip_file
from devices.shell import Shell
from edgekit.errors import DeviceError, EdgekitError
from edgekit.machine import Machine

__all__ = ["install", "why"]

INSTALL_S = 3600.0
DAY_S = 86400.0
ONLINE = ("--retries=1", "--timeout=20")
OFFLINE = ("--no-index", "--find-links=wheels", "--require-hashes", "--requirement=wheels/lock.txt")
"""Relative to our folder, which pip is run in."""

FULL = ("No space left on device", "Disk quota exceeded")
UNREACHED = ("NewConnectionError", "Failed to establish", "Temporary failure", "ConnectTimeout", "ReadTimeout", "Connection refused")
UNTRUSTED = ("CERTIFICATE_VERIFY_FAILED", "SSLError", "certificate")

Tell = Callable[[str], None]


def install(
    shell: Shell,
    machine: Machine,
    python: tuple[int, int],
    choices: Sequence[Requirements],
    held: dict[str, str],
    offline: bool,
    tell: Tell,
) -> None:
    """Install the first of ``choices`` that can be had. ``held``: digests of the wheels that an earlier set-up has brought there.

    Raises:
        DeviceError: none can; the message is about the last.
        UsageError: the wheels cannot be fetched here.
    """
    shell.put(pip_file(), f"~/{ROOT}/tmp/pip.zip")
    for choice in choices:
        try:
            options = _push(shell, machine, python, choice, held, tell) if offline else _online(choice)
            tell(f"installing {', '.join(choice.packages)}")
            _ask(shell, choice, options, machine, offline)
            return
        except EdgekitError:
            if choice is choices[-1]:
                raise
            tell(f"{choice.packages[-1]} cannot be had; taking the next best")


def _online(choice: Requirements) -> list[str]:
    return [*ONLINE, *(f"--extra-index-url={index}" for index in choice.indexes), *choice.packages]


def _push(shell: Shell, machine: Machine, python: tuple[int, int], choice: Requirements, held: dict[str, str], tell: Tell) -> list[str]:
    """Bring the wheels there that are not there yet."""
    tell("fetching wheels")
    wheels = fetch(choice.packages, platform_of(machine, python), indexes=choice.indexes)
    for wheel in wheels:
        if held.get(wheel.path.name) != wheel.digest:
            tell(f"sending {wheel.path.name}")
            shell.put(wheel.path.read_bytes(), f"~/{WHEELS}/{wheel.path.name}")
    shell.put(lock(wheels).encode(), f"~/{WHEELS}/lock.txt")
    return list(OFFLINE)


def _ask(shell: Shell, choice: Requirements, options: list[str], machine: Machine, offline: bool) -> dict[str, Any]:
    try:
        return tell_device(shell, "install", INSTALL_S, asked=choice.asked, options=options)
    except NotDone as error:
        raise DeviceError(f"{shell.name}: {why(str(error), machine.clock_offset_s, offline)}") from error


def why(said: str, clock_offset_s: float | None, offline: bool) -> str:
    """The reason in what pip said, and what to do about it."""
    lines = said.strip().splitlines() or ["it said nothing"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    last = errors[-1] if errors else lines[-1]
    if any(word in said for word in FULL):
        return "its disk became full while packages were installed; free some space there, then run setup again"
    if offline or "import msgspec" in lines[-1]:
        return f"packages were installed, but cannot be used: {' / '.join(lines[-2:])}" if "import msgspec" in lines[-1] else last
    if clock_offset_s is not None and abs(clock_offset_s) > DAY_S:
        days = f"{abs(clock_offset_s) / DAY_S:.0f} days {'ahead' if clock_offset_s > 0 else 'behind'}"
        return (
            f"its clock is {days}, so that no certificate of a package index is valid there; set it (sudo timedatectl set-ntp true), "
            "or let wheels be brought from here: setup --offline"
        )
    if any(word in said for word in UNREACHED):
        return f"it reaches no package index ({last}); give it internet, or let wheels be brought from here: setup --offline"
    if any(word in said for word in UNTRUSTED):
        return f"it does not trust its package index ({last}); update ca-certificates there, or: setup --offline"
    return f"pip failed there ({last}); see pip config list there, or: setup --offline"
