"""Time that the machine's processors were ready to work and whatever runs the machine let others work: "steal" in proc(5)."""

import os
import time

from edgekit.runtime.machine.sources import Here

__all__ = ["Stolen"]

STEAL = 8
"""Which word of the line ``cpu  user nice system idle iowait irq softirq steal …``."""


class Stolen:
    """What was taken since this was made. A machine that is nobody's guest has nothing taken."""

    def __init__(self, here: Here | None = None):
        self._here = here or Here()
        self._begin, self._ticks = time.monotonic(), self._read()

    def share(self) -> float:
        """Of the time of all processors since the beginning; a single tick, which is the least that is counted, says nothing."""
        ticks = self._read() - self._ticks
        seconds = max(time.monotonic() - self._begin, 1e-9) * (os.cpu_count() or 1)
        return min(ticks / os.sysconf("SC_CLK_TCK") / seconds, 1.0) if ticks > 1 else 0.0

    def _read(self) -> int:
        words = next(iter(self._here.lines("/proc/stat")), "").split()
        return int(words[STEAL]) if len(words) > STEAL and words[STEAL].isdecimal() else 0
