"""Joules out of the readings of a meter, and for how much of the time they are known."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from edgekit.runtime.power.meter import Meter
from edgekit.runtime.power.power_samples import Record

__all__ = ["Sum", "add_up"]


class Sum(NamedTuple):
    """Joules of the seconds that readings cover; the other seconds of the window are not in them."""

    joules: float
    covered_s: float


def add_up(meter: Meter, record: Record, longest_gap_s: float) -> Sum:
    """The sum over the counted rails.

    Watts are integrated by trapezoids between neighbouring readings, and not across a gap longer than ``longest_gap_s``.
    A counter goes on counting while nobody looks, so no gap is too long for it.
    """
    joules, covered_s = 0.0, 0.0
    for one, other in pairwise(record.samples):
        step_s = other.at_s - one.at_s
        if meter.unit == "joules":
            steps = [_counted(meter, *step) for step in zip(meter.counted, one.values, other.values, strict=True)]
            known = [step for step in steps if step is not None]
            if len(known) == len(steps):
                joules, covered_s = joules + sum(known), covered_s + step_s
        elif step_s <= longest_gap_s:
            joules, covered_s = joules + (sum(one.values) + sum(other.values)) / 2 * step_s, covered_s + step_s
    return Sum(joules, covered_s)


def _counted(meter: Meter, rail: str, before_j: float, after_j: float) -> float | None:
    """How far a counter went; None where it went back and its range is not known."""
    if after_j >= before_j:
        return after_j - before_j
    return after_j - before_j + meter.range_j[rail] if rail in meter.range_j else None
