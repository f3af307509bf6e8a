"""The pace of a step: how long it still takes, from how long it took so far; lines that say so."""

import math
import time
from collections.abc import Callable

__all__ = ["Lines", "Pace", "about"]

SURE_S = 1.0
"""Time after which a pace can be told."""

EVERY_S = 5.0
"""Time between two lines of one step."""

Clock = Callable[[], float]
Write = Callable[[str], object]


def about(seconds: float) -> str:
    """An estimated time in words.

    >>> about(0.4), about(37.2), about(200), about(8000)
    ('a few seconds', 'about 40 s', 'about 4 min', 'about 2.2 h')
    """
    if seconds <= 5:
        return "a few seconds"
    if seconds <= 60:
        return f"about {math.ceil(seconds / 5) * 5} s"
    if seconds <= 5400:
        return f"about {math.ceil(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"


class Pace:
    """How fast a step goes. It is marked when something of it is done."""

    def __init__(self, clock: Clock = time.monotonic):
        self._clock = clock
        self._began_s = self._last_s = clock()
        self._first, self._marks = 0.0, 0
        self.done: float | None = None
        self.total: float | None = None

    def mark(self, done: float | None, total: float | None) -> bool:
        """Note how much is done, and return whether another step begins with it.

        That is one that cannot be counted, or that has less done than the one before.
        """
        now = self._clock()
        fresh = done is None or self.done is None or done < self.done
        if fresh:
            self._began_s, self._first, self._marks = now, done or 0.0, 0
        elif self.done is not None and done is not None and done > self.done:
            self._marks += 1
        else:
            self.total = total
            return False
        self._last_s, self.done, self.total = now, done, total
        return fresh

    def left_s(self) -> float | None:
        """Seconds until all is done, if the rest goes at the same pace; None while that is unknown.

        The part under way is expected to take as long as those before. Where it takes longer, the
        estimate grows slowly.
        """
        now = self._clock()
        if self.done is None or self.total is None or not self._marks:
            return None
        if now - self._began_s < SURE_S:
            return None
        size = (self.done - self._first) / self._marks
        each_s = (self._last_s - self._began_s) / self._marks
        left = max(self.total - self.done, 0.0) / size
        under_way_s = now - self._last_s
        if under_way_s <= each_s:
            return max(left * each_s - under_way_s, 0.0)
        return max(left - 1, 0.0) * (now - self._began_s) / (self._marks + 1)


class Lines:
    """A ``Tell`` that writes a line when a step begins, and then at most one every few seconds."""

    def __init__(self, write: Write, clock: Clock = time.monotonic):
        self._write, self._clock = write, clock
        self._pace = Pace(clock)
        self._written_s = -math.inf
        self._last = ""

    def __call__(self, text: str, done: float | None = None, total: float | None = None) -> None:
        fresh = self._pace.mark(done, total)
        now = self._clock()
        if text == self._last or not (fresh or now - self._written_s >= EVERY_S):
            return
        self._last, self._written_s = text, now
        left_s = self._pace.left_s()
        left = f", {about(left_s)} left" if left_s is not None else ""
        self._write(f"{text}{left}")
