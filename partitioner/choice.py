"""One plan from a front: the knee, the best in an objective, in several of them one after the other, or weighed.

knee                     nearest to the ideal point
energy                   best in one objective
latency,memory           best in the first; of those that are within 1 % of it, best in the second
latency:2,energy:1       least weighted sum, with every objective scaled to the span of the front
3                        by number
devices if latency<=0.05 any of these among the plans that meet bounds, in SI units, with commas
"""

from collections.abc import Iterable, Sequence
from math import isfinite

from msgspec.structs import replace

from edgekit.constraints import Limit
from edgekit.errors import PlanError
from edgekit.front import Front, cost_of, value
from edgekit.objectives import OBJECTIVES, Objective
from edgekit.plan import Plan

__all__ = ["choose", "within"]

ALIKE = 0.01
"""Difference from the best in the first objective that the second may be chosen by."""


def choose(front: Front, pick: str) -> Plan:
    """The plan that ``pick`` names.

    Raises:
        PlanError: the front is empty, or nothing on it goes by that name.
    """
    if not front.plans:
        raise PlanError("the front holds no plan; run edgekit partition again")
    if " if " in pick:
        what, _, bounds = pick.partition(" if ")
        return choose(within(front, map(_limit, bounds.split(","))), what.strip())
    if pick == "knee":
        return front.knee()
    if pick.isdecimal() and int(pick) < len(front.plans):
        return front.plans[int(pick)]
    known = {str(objective): objective for objective in OBJECTIVES}
    words = pick.split(",")
    if all(word in known for word in words):
        return _in_turn(front, [known[word] for word in words])
    weights = [word.partition(":") for word in words]
    if all(name in known and _number(weight) for name, _, weight in weights):
        return _weighed(front, {known[name]: float(weight) for name, _, weight in weights})
    raise PlanError(
        f"expected knee, {', '.join(front.objectives)} or a number below {len(front.plans)} (or several in turn: "
        f"{','.join(front.objectives[:2])}; or weights: {front.objectives[0]}:2; or with bounds: knee if {front.objectives[0]}<=0.05), "
        f"got {pick!r}; change --pick"
    )


def _limit(text: str) -> Limit:
    name, _, most = text.strip().partition("<=")
    objective = {str(objective): objective for objective in OBJECTIVES}.get(name.strip())
    if objective is None or not _number(most):
        raise PlanError(f"expected a bound such as latency<=0.05, of {', '.join(OBJECTIVES)}, got {text.strip()!r}; change --pick")
    return Limit(objective, float(most))


def within(front: Front, limits: Iterable[Limit]) -> Front:
    """The front with those of its plans that meet the limits, which are all there are: what meets them is not dominated by what does not.

    Raises:
        PlanError: none does; the message says by how much the nearest misses.
    """
    limits = tuple(limits)
    for limit in limits:
        best = min(value(cost_of(plan), limit.objective) for plan in front.plans)
        if best > limit.most:
            raise PlanError(f"no plan has {limit.objective} ≤ {limit.most:.6g}, the least is {best:.6g}; raise the limit")
    plans = tuple(plan for plan in front.plans if all(value(cost_of(plan), limit.objective) <= limit.most for limit in limits))
    if not plans:
        named = ", ".join(limit.objective for limit in limits)
        raise PlanError(f"no plan meets all limits together ({named}), though each alone is met; raise one")
    return replace(front, plans=plans)


def _in_turn(front: Front, objectives: Sequence[Objective]) -> Plan:
    """Lexicographic, in the order in which they were named."""
    plans = list(front.plans)
    for objective in objectives:
        least = min(value(cost_of(plan), objective) for plan in plans)
        near = [plan for plan in plans if value(cost_of(plan), objective) <= least * (1 + ALIKE)]
        plans = sorted(near, key=lambda plan: value(cost_of(plan), objective))
    return plans[0]


def _weighed(front: Front, weights: dict[Objective, float]) -> Plan:
    spans = {}
    for objective in weights:
        values = [value(cost_of(plan), objective) for plan in front.plans]
        spans[objective] = (min(values), (max(values) - min(values)) or 1.0)

    def total(plan: Plan) -> float:
        return sum(w * (value(cost_of(plan), o) - spans[o][0]) / spans[o][1] for o, w in weights.items())

    return min(front.plans, key=total)


def _number(text: str) -> bool:
    try:
        return isfinite(float(text)) and float(text) >= 0
    except ValueError:
        return False
