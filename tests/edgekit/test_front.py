"""Fronts: the best plan in one objective, and the one between."""

import pytest

from edgekit.errors import PlanError
from edgekit.front import Certificate, Front, value
from edgekit.objectives import OBJECTIVES, Objective
from edgekit.plan import Cost, Plan, Stage

EXACT = Certificate("exact", "chain", 8, 100)


def plan(name: str, latency_s: float, period_s: float, peak_memory_bytes: int = 0) -> Plan:
    return Plan("d", (Stage(0, 1, ("pi",)),), predicted=Cost(latency_s, period_s, peak_memory_bytes, (), (), ()), name=name)


def front(*plans: Plan, objectives: tuple[Objective, ...] = ("latency", "period")) -> Front:
    return Front("d", "cluster", objectives, plans, EXACT)


#   period
#     10 | whole
#      7 |   slow
#      3 |      middle
#      1 |                 split
#        +--------------------------
#          1  2  3      10   latency
BENT = front(plan("whole", 1.0, 10.0), plan("slow", 2.0, 7.0), plan("middle", 3.0, 3.0), plan("split", 10.0, 1.0))


def test_the_best_plan_is_that_with_the_least_value() -> None:
    assert BENT.best("latency").name == "whole"
    assert BENT.best("period").name == "split"


def test_memory_is_an_objective_in_bytes() -> None:
    plans = front(plan("large", 1.0, 1.0, 2**30), plan("small", 2.0, 2.0, 2**20), objectives=OBJECTIVES)
    assert plans.best("memory").name == "small"
    assert [value(each.predicted, "memory") for each in plans.plans if each.predicted] == [2.0**30, 2.0**20]


def test_the_knee_is_nearest_to_the_ideal_point() -> None:
    assert BENT.knee().name == "middle"


def test_the_knee_does_not_depend_on_the_units_of_the_objectives() -> None:
    scaled = front(*(plan(p.name, p.predicted.latency_s * 1e-6, p.predicted.period_s * 1e6) for p in BENT.plans if p.predicted))
    assert scaled.knee().name == "middle"


def test_the_knee_counts_only_the_objectives_of_the_front() -> None:
    plans = (plan("a", 1.0, 5.0, 9), plan("b", 2.0, 4.0, 1), plan("c", 4.0, 3.0, 9))
    assert front(*plans, objectives=("latency", "memory")).knee().name == "b"
    assert front(*plans, objectives=("latency",)).knee().name == "a"
    assert front(*plans, objectives=("period",)).knee().name == "c"


def test_a_front_of_one_plan_has_its_knee_there() -> None:
    assert front(plan("only", 3.0, 3.0)).knee().name == "only"


def test_an_objective_in_which_all_agree_does_not_move_the_knee() -> None:
    assert front(plan("a", 5.0, 2.0), plan("b", 5.0, 1.0)).knee().name == "b"


@pytest.mark.parametrize("question", [lambda f: f.best("latency"), lambda f: f.knee()])
def test_plans_that_were_never_priced_cannot_be_compared(question) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PlanError, match=r"plan pi\[0:1\] carries no prediction; price it first"):
        question(front(Plan("d", (Stage(0, 1, ("pi",)),))))
