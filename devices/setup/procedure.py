"""Makes a machine ready, step by step: each looks whether it is as it should be, changes it if not, and looks again.

    system ▶ home ▶ disk ▶ venv ▶ packages ▶ agent ▶ service ▶ answer

The first three cannot be changed from here. What an earlier set-up left half-done is found by the same looks, and finished.
"""

from contextlib import nullcontext
from typing import Literal, NamedTuple

from devices.setup.remote import NotDone, Unfit, alone, tell_device
from devices.setup.requirements import OLDEST_PYTHON, refusal
from devices.setup.steps import REMOVE_S, STEPS, Found, Site, Step, Tell
from devices.shell import Shell
from edgekit.errors import DeviceError, EdgekitError
from edgekit.machine import Machine
from edgekit.runtime.verbs import Transport

__all__ = ["Outcome", "plan", "remove", "setup"]

State = Literal["ok", "warning", "changed", "missing", "failed"]
"""``missing`` is what would be changed, where one only looks; ``warning``: it works, and may still surprise."""


class Outcome(NamedTuple):
    """How a step went: what is there now, or what is wrong."""

    step: str
    state: State
    text: str


def _silent(text: str) -> None:
    pass


def plan(shell: Shell, machine: Machine, *, board: bool = False) -> list[Outcome]:
    """What is there already, and what set-up would change; nothing is changed."""
    return setup(shell, machine, check_only=True, board=board)


def setup(
    shell: Shell,
    machine: Machine,
    *,
    offline: bool = False,
    check_only: bool = False,
    tell: Tell = _silent,
    pages: str | None = None,
    transports: tuple[Transport, ...] = (),
    board: bool = False,
    restart: bool = False,
) -> list[Outcome]:
    """Make the machine ready; the outcome of each step, up to the first that failed.

    ``restart``: whether a change may interrupt stages that serve there; else it is refused.

    ``pages``: HOST:PORT where monitors are to find the agent from now on; loopback alone, unless it was ever told.
    ``transports``: what is to carry links from now on, besides sockets and what was ever told.
    ``board``: a microcontroller is plugged in there, whose line needs packages.
    """
    site = Site(shell, machine, offline, tell, pages, transports, restart, board)
    outcomes: list[Outcome] = []
    try:
        if reason := refusal(machine, OLDEST_PYTHON):
            raise DeviceError(f"{shell.name}: {reason}")
        found = _look(site)
        idle = check_only or all(step.lacks(site, found) is None for step in STEPS)
        with nullcontext() if idle else alone(shell, tell):
            found = found if idle else _look(site)  # what was not ready before the wait may be now
            for step in STEPS:
                tell(step.name)
                outcome, found = _take(step, site, found, check_only)
                outcomes.append(outcome)
                if outcome.state == "failed":
                    break
    except EdgekitError as error:
        outcomes.append(Outcome(STEPS[len(outcomes)].name, "failed", str(error)))
    return outcomes


def remove(shell: Shell, *, stop: bool = False) -> None:
    """Leave the machine as it was before it was set up. ``stop``: end the stages that serve there.

    Raises:
        DeviceError: stages serve there, or something cannot be removed.
    """
    try:
        serving = tell_device(shell, "look")["service"]["serving"]
    except (Unfit, NotDone):
        serving = []  # what cannot be looked at may still be removed
    if serving and not stop:
        verb = "serves" if len(serving) == 1 else "serve"
        raise DeviceError(f"{shell.name}: {', '.join(serving)} {verb} there; run: edgekit stop; or add --stop to end what serves there")
    try:
        tell_device(shell, "remove", REMOVE_S)
    except NotDone as error:
        raise DeviceError(f"{shell.name}: not all could be removed ({error}); see what is in its ~/.local/share/edgekit") from error


def _look(site: Site) -> Found:
    try:
        return tell_device(site.shell, "look")
    except Unfit as error:
        raise DeviceError(f"{site.shell.name}: {refusal(site.machine, None) or error}") from error


def _take(step: Step, site: Site, found: Found, check_only: bool) -> tuple[Outcome, Found]:
    """One step, and what is there after it."""
    lacking = step.lacks(site, found)
    if lacking is None:
        doubt = step.doubts(site, found)
        return Outcome(step.name, "warning" if doubt else "ok", doubt or step.has(site, found)), found
    if step.apply is None:
        return Outcome(step.name, "failed", f"{site.shell.name}: {lacking}"), found
    if check_only:
        return Outcome(step.name, "missing", lacking), found
    if (serving := found["service"]["serving"]) and not site.restart:
        which = f"{', '.join(serving)}, which serves there" if len(serving) == 1 else f"{', '.join(serving)}, which serve there"
        why = f"{lacking}; to change that would interrupt {which}; add --restart to do it now"
        return Outcome(step.name, "failed", f"{site.shell.name}: {why}"), found
    step.apply(site, found)
    found = _look(site)
    lacking = step.lacks(site, found)
    if lacking is not None:
        return Outcome(
            step.name,
            "failed",
            f"{site.shell.name}: {lacking}, although it was just changed; see the log in its ~/.local/share/edgekit/agent",
        ), found
    return Outcome(step.name, "changed", step.doubts(site, found) or step.has(site, found)), found
