"""Stages that come back by themselves: what serves is written down, and started again by the next agent of the device.

After a reboot the agent is started by the device itself; each of its stages then loads its model from the store,
listens where it listened before, and links up with its neighbours, who have waited for it.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit.errors import EdgekitError
from edgekit.runtime.links.sockets import pauses
from edgekit.runtime.verbs import Endpoint, Load, Reply, Request, Run, StageSpec

__all__ = ["Kept", "bring_back", "forget", "keep", "kept"]

AGAIN_S = (0.1, 5.0)
"""First and longest pause between attempts to load it: its address may not be there yet."""

LINK_S = 0.3
"""Pause between attempts to link it: its neighbours may not be ready, and others wait for it."""

Answer = Callable[[Request, bytes], tuple[Reply, bytes]]


class Kept(msgspec.Struct, frozen=True):
    """A stage that serves, and where those listen that follow it."""

    spec: StageSpec
    receivers: tuple[Endpoint, ...]


def keep(folder: Path, stage: Kept) -> None:
    """Write a stage down, in the place of what was written of it before."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{stage.spec.plan}-{stage.spec.stage}-{stage.spec.replica}.json"
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(stage))
    part.replace(path)


def kept(folder: Path) -> list[Kept]:
    """The stages that were written down; one that cannot be read, which an edgekit of another version wrote, is forgotten."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Kept))
        except (OSError, msgspec.DecodeError):
            path.unlink(missing_ok=True)
    return found


def forget(folder: Path, plan: str | None) -> None:
    """Let the stages of a plan, or all, not come back."""
    for path in folder.glob("*" if plan is None else f"{plan}-*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def bring_back(stage: Kept, answer: Answer, runs: Callable[[], bool], tell: Callable[[str], None], over: threading.Event) -> None:
    """Load it and let it serve, as often as it takes, until it does or it is ``over``; what hinders it is told.

    ``runs`` says whether its process still does.
    """
    spec, waits, loaded = stage.spec, pauses(*AGAIN_S), False
    while not over.is_set():
        try:
            if not loaded:
                answer(Load(spec), b"")
            loaded = True
            answer(Run(plan=spec.plan, stage=spec.stage, replica=spec.replica, receivers=stage.receivers), b"")
            return
        except EdgekitError as error:
            tell(str(error))
            loaded = loaded and runs()
        pause_s = next(waits)
        over.wait(LINK_S if loaded else pause_s)
