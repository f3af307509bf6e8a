"""Devices that are reached over SSH: known by name, looked at, made ready, and left as they were."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import NamedTuple

from msgspec import structs

from devices import connect, inventory, scheme_of
from devices.descriptions import Board, boards
from devices.host_keys import fingerprint
from devices.login import Ask, known, login, offered, trust
from devices.setup.procedure import Outcome, remove, setup
from devices.setup.shell_facts import machine_of
from edgekit.api.microcontrollers import board_outcomes, with_board
from edgekit.calibration import Calibration
from edgekit.device import Device, Variant
from edgekit.errors import DeviceError, UsageError
from edgekit.machine import Machine
from edgekit.progress import Tell, silent
from edgekit.runtime.agent.pages import address_from
from edgekit.runtime.board_facts import BoardFacts
from edgekit.runtime.verbs import Engine, Transport

__all__ = [
    "Board",
    "DeviceFacts",
    "Engine",
    "Outcome",
    "add_device",
    "calibrated",
    "device_facts",
    "forget_device",
    "known_devices",
    "remove_device",
    "set_up",
    "stock_boards",
]


def known_devices(names: Sequence[str] = ()) -> tuple[Device, ...]:
    """The devices of these names, or all that were added.

    Raises:
        UsageError: one is not known, or there is none.
    """
    return inventory.find(names)


def stock_boards() -> dict[str, Board]:
    """Machines that are described by their data sheets, to plan for before they are at hand: ``address = "sim:NAME"``."""
    return boards()


def calibrated(
    name: str,
    *,
    threads: int = 1,
    budget_s: float = 0.3,
    cores: tuple[int, ...] | None = None,
    tell: Tell = silent,
) -> Calibration:
    """What kernels cost on a device that was added, or on this machine (``local:``), fitted to micro-networks that run there."""
    from edgekit.deploy.serve.connections import connect_all
    from profilers.predict.calibrator import calibrate

    device = Device("local", name) if name == "local:" else inventory.find([name])[0]
    with ExitStack() as stack:
        pinned = structs.replace(device, cores=cores or device.cores, variant=Variant(threads=threads))
        connection = connect_all((pinned,), stack, purpose="a calibration")[device.name]
        return calibrate(connection, budget_s=budget_s, tell=tell)


def add_device(
    device: Device, *, expected: str | None = None, confirm: Callable[[str], bool] | None = None, ask: Ask | None = None
) -> None:
    """Know a device by name from now on, and its host by the key that it offers; a board at a port of this machine has to answer.

    A key that is not known yet is trusted when its fingerprint is ``expected``, or when ``confirm`` says so.

    Raises:
        UsageError: it has another fingerprint than expected, nobody is there to confirm it, or it was not confirmed.
        DeviceError: the device cannot be reached, offers another key than it used to, or does not let us in.
    """
    if device.board and not scheme_of(device).login:
        inventory.add(with_board(device))
        return
    if not scheme_of(device).login:
        raise UsageError(
            f"expected an address such as ssh://pi@raspberrypi.local or serial:/dev/ttyACM0, got {device.address!r}; "
            "other devices need not be added"
        )
    key = offered(device, ask)
    if expected is not None and fingerprint(key) != expected:
        raise UsageError(f"{device.name} offers the key {fingerprint(key)}, not {expected}; find out who answers there before you go on")
    if not known(device, key):
        if expected is None and confirm is None:
            shown = fingerprint(key)
            raise UsageError(f"{device.name} is not known yet; if its own key is {shown}, add: --fingerprint {shown}")
        if expected is None and confirm is not None and not confirm(fingerprint(key)):
            raise UsageError(f"{device.name} was not added: its key was not confirmed")
        trust(device, key)
    login(device, ask).close()
    if device.board:
        with suppress(DeviceError):  # a gateway that is not set up yet; its set-up says why a board does not answer
            device = with_board(device)
    inventory.add(device)


class DeviceFacts(NamedTuple):
    """The machine and its engines, none where it has not been set up; the board that is plugged in there, or why none answers."""

    machine: Machine
    engines: tuple[Engine, ...]
    board: BoardFacts | None = None
    boardless: str = ""
    held: str = ""


def device_facts(device: Device, ask: Ask | None = None) -> DeviceFacts:
    """What a device is."""
    machine = None
    if scheme_of(device).login:
        with login(device, ask) as shell:
            machine = machine_of(shell)
    try:
        with connect(device) as connection:
            reply = connection.facts()
    except DeviceError:
        if machine is None:
            raise
        return DeviceFacts(machine, ())
    return DeviceFacts(machine or reply.machine, reply.engines, reply.board, reply.boardless, reply.held)


def set_up(
    device: Device,
    *,
    check_only: bool = False,
    offline: bool = False,
    ask: Ask | None = None,
    tell: Callable[[str], None] = lambda text: None,
    pages: str | None = None,
    transports: tuple[Transport, ...] = (),
    restart: bool = False,
) -> list[Outcome]:
    """Make a device ready, or only look whether it is; the outcome of each step, up to the first that failed.

    A microcontroller behind it has to answer, and is known from then on with what it says of itself.

    ``pages``: HOST:PORT of the device where monitors are to find its agent from now on. ``transports``: what is to carry links
    besides sockets and what was ever told, and so needs packages there. ``restart``: a change may interrupt stages that serve there.

    Raises:
        UsageError: that is no such thing.
    """
    if pages is not None:
        address_from(pages)
    if not scheme_of(device).login:
        return board_outcomes(device)
    with login(device, ask) as shell:
        tell("looking at the machine")
        outcomes = setup(
            shell,
            machine_of(shell),
            offline=offline,
            check_only=check_only,
            tell=tell,
            pages=pages,
            transports=transports,
            board=device.board,
            restart=restart,
        )
    ready = all(outcome.state not in ("failed", "missing") for outcome in outcomes)
    if not (device.board and ready):
        return outcomes
    board = board_outcomes(device)[1:]
    if not check_only and all(outcome.state == "ok" for outcome in board):
        inventory.add(with_board(device))
    return [*outcomes, *board]


def remove_device(device: Device, ask: Ask | None = None, *, stop: bool = False) -> tuple[str, ...]:
    """Leave a device as it was before it was set up, and know it no more. ``stop``: end the stages that serve there.

    Other devices that were added may be at its address, such as another board of its gateway. Then what is installed
    stays, and the names of these devices are returned.

    Raises:
        DeviceError: stages serve there, the device cannot be reached, or something cannot be removed.
    """
    others = tuple(each.name for each in inventory.known() if each.address == device.address and each.name != device.name)
    if scheme_of(device).login and not others:
        with login(device, ask) as shell:
            remove(shell, stop=stop)
    inventory.remove(device.name)
    return others


def forget_device(device: Device) -> None:
    """Know a device no more, and leave what is on it."""
    inventory.remove(device.name)
