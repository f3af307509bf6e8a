"""Stages that take longer than their plan counts on: heat, or others at work. Told once it lasts, and until it is over as long.

as planned ── above SLOWER for LASTS_S ──▶ slow ── below AS_PLANNED for LASTS_S ──▶ as planned
"""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from edgekit.deploy.observe.rates import StageRate
from edgekit.plan import Plan
from edgekit.quantity import Name, Seconds

__all__ = ["Slow", "Slowing"]

SLOWER, AS_PLANNED = 1.3, 1.15
LASTS_S = 30.0


class Slow(Struct, frozen=True):
    """A stage on a device that takes ``ratio`` times as long for a frame as its plan counts on, and has for ``seconds``."""

    stage: Name
    ratio: float
    seconds: Seconds


@dataclass
class _State:
    """``began_s``: when it became slow, if it is; ``turned_s``: since when it has been otherwise than it is told to be."""

    ratio: float = 1.0
    began_s: float | None = None
    turned_s: float | None = None


class Slowing:
    """Follows the stages of a plan from look to look; a plan that nobody predicted is as good as any."""

    def __init__(self, plan: Plan):
        self._stages = plan.stages
        terms = plan.predicted.terms if plan.predicted else ()
        self._expected_s = {term.name.partition("@")[0]: term.seconds for term in terms if term.seconds and term.badge != "spec"}
        self._states: dict[tuple[int, int], _State] = {}

    def look(self, rates: Iterable[StageRate], now_s: float) -> tuple[Slow, ...]:
        """Those that are slow now; a stage that had nothing to do stays what it was."""
        for rate in rates:
            expected_s = self._expected_s.get(f"compute {rate.stage}")
            if expected_s and rate.busy and rate.frames_per_s:
                state = self._states.setdefault((rate.stage, rate.replica), _State())
                state.ratio = rate.busy / rate.frames_per_s / expected_s
                self._turn(state, now_s)
        return tuple(
            Slow(f"stage {stage}@{self._stages[stage].devices[replica]}", state.ratio, now_s - state.began_s)
            for (stage, replica), state in self._states.items()
            if state.began_s is not None
        )

    def _turn(self, state: _State, now_s: float) -> None:
        turning = state.ratio > SLOWER if state.began_s is None else state.ratio < AS_PLANNED
        state.turned_s = (now_s if state.turned_s is None else state.turned_s) if turning else None
        if state.turned_s is not None and now_s - state.turned_s >= LASTS_S:
            state.began_s, state.turned_s = state.turned_s if state.began_s is None else None, None
