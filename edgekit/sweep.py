"""Which plan wins under which conditions: fronts over ranges of bandwidth, delay or speed."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.objectives import Objective
from edgekit.plan import Plan
from edgekit.quantity import Name

__all__ = ["Condition", "Knob", "Sweep", "Winner"]


class Knob(Struct, frozen=True, forbid_unknown_fields=True):
    """What is changed: ``bandwidth`` (bytes per second) or ``latency`` (seconds) of every link, or ``speed NAME`` of a device.

    ``values`` are what it is set to; a speed is a factor on what was profiled.
    """

    name: Name
    values: Annotated[tuple[float, ...], Meta(min_length=1)]


class Winner(Struct, frozen=True, forbid_unknown_fields=True):
    """The plan that is picked (``knee``, or best in an objective) under one condition."""

    pick: Name
    plan: Plan


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """One value of each knob; ``points`` are the front there, in its objectives."""

    at: tuple[float, ...]
    winners: tuple[Winner, ...]
    points: tuple[tuple[float, ...], ...]

    def winner(self, pick: str) -> Plan:
        """The plan that ``pick`` names."""
        return next(winner.plan for winner in self.winners if winner.pick == pick)


class Sweep(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.sweep"):
    """Every combination of the knobs' values, the first knob's slowest.

    ``here`` is where the cluster itself is on each knob: the median of its links, and 1 for a speed; empty: not told.
    """

    graph: Name
    cluster: Name
    knobs: Annotated[tuple[Knob, ...], Meta(min_length=1, max_length=2)]
    objectives: tuple[Objective, ...]
    conditions: tuple[Condition, ...]
    here: tuple[float, ...] = ()
    version: int = 1
