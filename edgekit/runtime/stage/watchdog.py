"""Notices a stage that is stuck in a frame, as a runtime with a fault may be, and ends its process.

The agent starts the stage again and the client gives the frame again; one that does it again and again fails alone.
"""

import os
import threading
import time
from typing import NoReturn

from edgekit.runtime.log import say
from edgekit.runtime.stage.counters import Tally

__all__ = ["end_stage", "watch"]

LEAST_S = 5.0
"""Time that any frame may take."""

TIMES = 10
"""How much longer than all but one in a hundred a frame may take."""

POLL_S = 0.5

EX_SOFTWARE = 70


def _limit_s(tally: Tally, first_s: float) -> float:
    """How long a frame may take in a stage whose first run took ``first_s``.

    >>> _limit_s(Tally(), 0.01), _limit_s(Tally(), 2.0)
    (5.0, 20.0)
    """
    took = sorted(each.end_s - each.begin_s for each in tuple(tally.passages))
    usual_s = took[int(0.99 * len(took))] if took else 0.0
    return max(LEAST_S, TIMES * first_s, TIMES * usual_s)


def watch(name: str, tally: Tally, first_s: float) -> None:
    """Look after a stage, on a thread of its own. Time for which this process was stopped does not count."""
    threading.Thread(target=_watch, args=(name, tally, first_s), name="watchdog", daemon=True).start()


def _watch(name: str, tally: Tally, first_s: float) -> None:
    frame, spent_s, before = None, 0.0, time.monotonic()
    while True:
        time.sleep(POLL_S)
        now = time.monotonic()
        spent_s = spent_s + min(now - before, 2 * POLL_S) if tally.computing == frame else 0.0
        frame, before = tally.computing, now
        if frame is not None and spent_s > LEAST_S and spent_s > (most_s := _limit_s(tally, first_s)):
            end_stage(f"{name}: frame {frame[0]} has been computed for {spent_s:.0f} s, at most {most_s:.0f} s are allowed")


def end_stage(why: str) -> NoReturn:
    """End this process, and with it its stage, which the agent starts again."""
    say(f"{why}; the stage is ended")
    os._exit(EX_SOFTWARE)
