"""Joules that a machine's meters have counted since they were first asked; meters of watts are read once a second and summed up.

Nothing is read, and no thread runs, until somebody asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.energy_sum import add_up
from edgekit.runtime.power.meter import Meter
from edgekit.runtime.power.meters import find
from edgekit.runtime.power.power_samples import Record, Sample

__all__ = ["Running"]

INTERVAL_S = 1.0
LONGEST_GAP_S = 5.0
"""Time without a reading of watts that is not bridged."""


class Running:
    """A sum for each kind of meter, of all its counted rails."""

    def __init__(self, here: Here, clock: Callable[[], float] = time.monotonic):
        self._here, self._clock = here, clock
        self._lock = threading.Lock()
        self._meters: list[Meter] | None = None
        self._latest: dict[str, Sample] = {}
        self._joules: dict[str, float] = {}

    def joules(self) -> dict[str, float]:
        """By kind and path of the meter; none where there is no meter, or it does not answer."""
        with self._lock:
            if self._meters is None:
                self.look()
                if self._meters:
                    threading.Thread(target=self._run, name="joules", daemon=True).start()
        return dict(self._joules)

    def look(self) -> None:
        """Read every meter once."""
        if self._meters is None:
            self._meters = find(self._here)
        for meter in self._meters:
            values, name = meter.values(), f"{meter.kind} {meter.path}"
            if values is None:
                continue
            sample = Sample(self._clock(), values)
            before = self._latest.get(name, sample)
            record = Record(before.at_s, sample.at_s, (before, sample))
            self._joules[name] = self._joules.get(name, 0.0) + add_up(meter, record, LONGEST_GAP_S).joules
            self._latest[name] = sample

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL_S)
            self.look()
