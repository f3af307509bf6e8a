"""What happened, one event a line as JSON: when, where in the plan, how grave, and what.

A stage process writes to its standard error, as everything does that it has loaded; its agent puts that into the device's log.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

if TYPE_CHECKING:
    from edgekit.runtime.verbs import StageSpec

__all__ = ["Event", "event_now", "event_of", "line_of", "say", "say_seldom"]

MOST_SAID = 5
"""Events a second, whatever happens how often."""

Level = Literal["info", "warning", "error"]

_said: deque[float] = deque(maxlen=MOST_SAID)
_lock = threading.Lock()


class Event(Struct, frozen=True):
    """One line. ``time`` is the device's wall clock in UTC; what is not known of the rest is absent."""

    time: str
    monotonic_s: float
    level: Level
    event: str
    device: str | UnsetType = UNSET
    stage: int | UnsetType = UNSET
    replica: int | UnsetType = UNSET
    plan: str | UnsetType = UNSET
    epoch: int | UnsetType = UNSET
    frame: int | UnsetType = UNSET


def event_now(
    text: str, *, level: Level = "info", of: StageSpec | None = None, epoch: int | None = None, frame: int | None = None
) -> Event:
    """Something that happens now, of a stage if of any."""
    now = time.time()
    at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"
    event = Event(at, time.monotonic(), level, text, epoch=UNSET if epoch is None else epoch, frame=UNSET if frame is None else frame)
    return event if of is None else replace(event, device=of.device, stage=of.stage, replica=of.replica, plan=of.plan)


def event_of(line: str) -> Event | None:
    """The event of a line; None where it holds anything else."""
    if not line.startswith("{"):
        return None
    try:
        return msgspec.json.decode(line, type=Event)
    except msgspec.DecodeError:
        return None


def line_of(event: Event) -> str:
    """As one line, with its end."""
    return msgspec.json.encode(event).decode() + "\n"


def say(text: str, *, level: Level = "info", of: StageSpec | None = None, epoch: int | None = None, frame: int | None = None) -> None:
    """Log an event; a full disk is no reason to fail."""
    with contextlib.suppress(OSError):
        sys.stderr.write(line_of(event_now(text, level=level, of=of, epoch=epoch, frame=frame)))
        sys.stderr.flush()


def say_seldom(
    text: str, *, level: Level = "info", of: StageSpec | None = None, epoch: int | None = None, frame: int | None = None
) -> None:
    """The same for what others may cause as often as they like: a few a second at most."""
    now = time.monotonic()
    with _lock:
        if len(_said) == MOST_SAID and now - _said[0] < 1.0:
            return
        _said.append(now)
    say(text, level=level, of=of, epoch=epoch, frame=frame)
