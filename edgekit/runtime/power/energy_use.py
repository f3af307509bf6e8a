"""What work took, over what the machine takes at rest, in the form of the noun Energy.

Method: at rest and at work for at least 10 s each, as MLPerf Tiny asks of a device (Banbury et al., 2021); with a meter of
watts for at least 50 readings. Where that, or nine tenths of the time, was not reached, the joules are None with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.energy_sum import Sum, add_up
from edgekit.runtime.power.meter import Meter
from edgekit.runtime.power.meters import choose
from edgekit.runtime.power.power_samples import Record, record

__all__ = ["measure", "spent"]

LEAST_S = 10.0
LEAST_READINGS = 50
LEAST_COVERAGE = 0.9
LONGEST_GAP_S = 0.5


def measure(
    here: Here,
    start: Callable[[], Callable[[], int]],
    *,
    wanted: str | None = None,
    gpu: bool = False,
    seconds: float = LEAST_S,
    interval_s: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Rest, then work, ``seconds`` each.

    Arguments:
        start: begins the work, and gives what ends it and tells how many inferences it made.
        wanted: kind or path of the meter; without one, the best that there is. Without any meter nothing is run.
        gpu: whether the work is a GPU's.
    """
    meter, reason = choose(here, wanted, gpu)
    if meter is None:
        return _unmetered(str(reason))
    idle = record(meter, seconds, interval_s=interval_s, clock=clock, sleep=sleep)
    stop = start()
    inferences = 0
    try:
        active = record(meter, seconds, interval_s=interval_s, clock=clock, sleep=sleep)
    finally:
        inferences = stop()
    return spent(meter, idle, active, inferences=inferences)


def _unmetered(reason: str) -> dict[str, Any]:
    """Of a machine that cannot tell."""
    return {"format": "edgekit.energy", "version": 1, "reason": reason}


def spent(
    meter: Meter, idle: Record | None, active: Record, *, inferences: int | None = None, longest_gap_s: float = LONGEST_GAP_S
) -> dict[str, Any]:
    """The joules of a window of work, gross and net of what the machine takes at rest.

    Both are those of the covered seconds, and net = gross - idle watts · covered seconds.
    """
    found = _unmetered("")
    gross = add_up(meter, active, longest_gap_s)
    found.update(
        meter=meter.kind,
        rails=list(meter.counted),
        window_s=active.window_s,
        readings=len(active.samples),
        coverage=_coverage(active, gross),
        inferences=inferences or None,
    )
    rest = None if idle is None else add_up(meter, idle, longest_gap_s)
    at_work = _doubt(meter, active, gross)
    at_rest = "not measured" if idle is None or rest is None else _doubt(meter, idle, rest)
    if at_work is None:
        found["gross_j"] = gross.joules
    if at_rest is None and rest is not None:
        found["idle_w"] = rest.joules / rest.covered_s
        if at_work is None:
            found["net_j"] = gross.joules - found["idle_w"] * gross.covered_s
    doubts = [f"{when}: {doubt}" for when, doubt in (("at work", at_work), ("at rest", at_rest)) if doubt]
    found["reason"] = "; ".join(doubts) or None
    return found


def _coverage(record: Record, known: Sum) -> float:
    return min(1.0, known.covered_s / record.window_s) if record.window_s > 0 else 0.0


def _doubt(meter: Meter, record: Record, known: Sum) -> str | None:
    """Why a record does not bear a number."""
    if record.window_s < LEAST_S:
        return f"{record.window_s:.1f} s are too short, it takes {LEAST_S:g} s"
    if meter.unit == "watts" and len(record.samples) < LEAST_READINGS:
        return f"{len(record.samples)} readings of {meter.kind} are too few, it takes {LEAST_READINGS}; {record.missed} gave nothing"
    coverage = _coverage(record, known)
    if coverage < LEAST_COVERAGE:
        return f"readings of {meter.kind} cover {coverage:.0%} of the time, it takes {LEAST_COVERAGE:.0%}; {record.missed} gave nothing"
    return None
