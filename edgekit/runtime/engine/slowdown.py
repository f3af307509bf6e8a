"""How long a run takes on the slower machine that a device plays."""

import statistics

__all__ = ["Pace"]

MOST_HINDERED = 1.6
"""What neighbours on this machine (a sibling thread, shared caches) can add to the same work's processor time."""


class Pace:
    """Stretches runs to ``1 / speed`` of the processor time that the work takes when nothing hinders it.

    Devices that play side by side on one machine hinder each other, other tenants of the machine hinder them all, and after a
    pause caches have cooled; the machines that are played would not be hindered so. So the work is learned before frames come,
    relative to what this machine is capable of at the moment, and a hindered run has as much less to wait. A run far above that,
    and above those after a pause, was not hindered but had more to do, and is stretched by its own time.
    """

    def __init__(self, speed: float):
        self._speed = speed
        self._learned: list[float] = []
        self._work_s = self._rested_s = 0.0

    @property
    def plays(self) -> bool:
        """Whether a slower machine is played at all."""
        return self._speed < 1

    def learn(self, busy_s: float, slowness: float) -> None:
        """The work took so long, while this machine took ``slowness`` times as long as usual for anything."""
        self._learned.append(busy_s / slowness)
        self._work_s = statistics.median(self._learned)

    def rested(self, busy_s: float) -> None:
        """The same work took so long after a pause."""
        self._rested_s = max(self._rested_s, busy_s)

    def remainder_s(self, wall_s: float, busy_s: float) -> float:
        """Seconds still to wait after a run that lasted ``wall_s`` and kept its processor busy for ``busy_s``."""
        usual = busy_s <= MOST_HINDERED * max(self._work_s, self._rested_s)
        work_s = self._work_s if usual else busy_s
        return max(work_s / self._speed - wall_s, 0.0) if self.plays else 0.0
