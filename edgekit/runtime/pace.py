"""How long a run takes on the slower machine that a device plays."""

__all__ = ["Pace"]

MOST_HINDERED = 1.6
"""What neighbours on this machine (a sibling thread, shared caches) can add to the same work's processor time."""

LEARNING = 32
"""Runs by which the work is known: about as many as a measurement has. The least of ever more would be ever less."""


class Pace:
    """Stretches runs to ``1 / speed`` of the processor time that the work takes when nothing hinders it.

    Devices that play side by side on one machine hinder each other, other tenants of the machine hinder them all, and after a
    pause caches have cooled; the machines that are played would not be hindered so. So the least time of the first runs is what
    is stretched, and a hindered run has as much less to wait. A run far above it, and above those after a pause, was not hindered
    but had more to do, and is stretched by its own time.
    """

    def __init__(self, speed: float):
        self._speed = speed
        self._least_s = float("inf")
        self._rested_s = 0.0
        self._runs = 0

    @property
    def plays(self) -> bool:
        """Whether a slower machine is played at all."""
        return self._speed < 1

    def rested(self, busy_s: float) -> None:
        """The same work took so long after a pause."""
        self._rested_s = max(self._rested_s, busy_s)

    def remainder_s(self, wall_s: float, busy_s: float) -> float:
        """Seconds still to wait after a run that lasted ``wall_s`` and kept its processor busy for ``busy_s``."""
        self._runs += 1
        if self._runs <= LEARNING:
            self._least_s = min(self._least_s, busy_s)
        more = busy_s > MOST_HINDERED * max(self._least_s, self._rested_s)
        work_s = busy_s if more else self._least_s
        return max(work_s / self._speed - wall_s, 0.0) if self.plays else 0.0
