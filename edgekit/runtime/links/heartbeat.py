"""Signs of life of a link: when the next one is due, and when a peer from whom none came is taken for dead."""

import time

__all__ = ["BEAT_S", "DEAD_S", "Pulse"]

BEAT_S = 1.0
"""Time between two signs of life."""

DEAD_S = 3.0
"""Silence after which a peer is taken for dead."""


class Pulse:
    """Of one connection, from when it is made."""

    def __init__(self) -> None:
        self._heard = self._beaten = time.monotonic()

    def heard(self) -> None:
        """Something came from the peer."""
        self._heard = time.monotonic()

    def beat(self) -> None:
        """A sign of life goes out."""
        self._beaten = time.monotonic()

    def due_s(self) -> float:
        """Seconds until the next sign of life has to go out, none or less where it is time.

        Raises:
            ConnectionError: the peer has given none for too long.
        """
        now = time.monotonic()
        if now - self._heard > DEAD_S:
            raise ConnectionError(f"nothing was heard for {DEAD_S:g} s")
        return self._beaten + BEAT_S - now
