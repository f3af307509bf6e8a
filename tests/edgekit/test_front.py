"""Fronts: the best plan in one objective, and the one between."""

import pytest
from msgspec.structs import replace

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


def test_a_front_of_two_plans_has_a_knee_and_not_always_the_first() -> None:
    alone, split = plan("alone", 0.098, 1 / 21), plan("split", 0.106, 1 / 56)
    assert front(alone, split).knee().name == "split"
    assert front(plan("split", 0.098, 1 / 50), plan("wide", 0.196, 1 / 56)).knee().name == "split"


@pytest.mark.parametrize("objectives", [("latency", "period"), ("latency", "period", "memory")])
def test_a_tenth_of_the_memory_does_not_buy_twice_the_latency(objectives: tuple[Objective, ...]) -> None:
    quick, small = plan("quick", 0.120, 0.071, 218), plan("small", 0.242, 0.103, 198)
    between = plan("between", 0.150, 0.080, 205)
    assert front(quick, between, small, objectives=objectives).knee().name == "quick"
    quick, small = plan("quick", 0.107, 1 / 56.7, 230), plan("small", 0.122, 1 / 19.8, 199)
    assert front(quick, small, objectives=objectives).knee().name == "quick"


def test_an_objective_that_hardly_differs_counts_for_nothing() -> None:
    fast, slow = plan("fast", 1.0, 1.0, 7_100), plan("slow", 1.002, 1.002, 6_900)
    assert front(fast, slow, objectives=("latency", "period", "memory")).knee().name == "fast"
    crowd = [plan(f"{i}", 1 + i / 10, 1 + i / 10, 104 - i) for i in range(5)]
    assert front(*crowd, objectives=("latency", "period", "memory")).knee().name == "0"


def test_the_knee_of_a_hundred_plans_is_not_moved_by_one_far_out() -> None:
    curve = [plan(f"{i}", 1.08**i, 1.08 ** (100 - i)) for i in range(101)]
    assert front(*curve).knee().name == "50"
    assert front(*curve, plan("far", 1e9, 0.99)).knee().name == "50"


def test_what_costs_nothing_has_a_knee_too() -> None:
    assert front(plan("free", 0.0, 2.0), plan("paid", 1.0, 1.9)).knee().name == "free"
    assert front(plan("free", 0.0, 9.0), plan("near", 1.0, 1.0), plan("far", 9.0, 0.5)).knee().name == "near"
    assert front(plan("a", 0.0, 0.0)).knee().name == "a"


def lossy(name: str, latency_s: float, loss: float) -> Plan:
    return Plan("d", (Stage(0, 1, ("pi",)),), predicted=Cost(latency_s, 1.0, 0, (), (), (), accuracy_loss=loss), name=name)


def test_accuracy_is_given_away_only_for_much() -> None:
    for latency_s, loss, name in ((0.4, 0.01, "int8"), (0.7, 0.01, "fp32"), (0.4, 0.1, "fp32"), (0.9, 0.0001, "int8")):
        found = front(lossy("int8", latency_s, loss), lossy("fp32", 1.0, 0.0), objectives=("latency", "loss"))
        assert found.knee().name == name, (latency_s, loss)


def over(*devices: str, latency_s: float, period_s: float) -> Plan:
    stages = tuple(Stage(i, i + 1, (name,)) for i, name in enumerate(devices))
    return Plan("d", stages, predicted=Cost(latency_s, period_s, 5, (), (), ()))


SPLIT, SLOW, FAST = (
    over("a", "b", latency_s=0.106, period_s=1 / 56),
    over("a", latency_s=0.3, period_s=0.3),
    over("b", latency_s=0.098, period_s=1 / 21),
)


def test_a_choice_is_told_against_the_fastest_device_alone() -> None:
    found = front(FAST, SPLIT)
    assert found.choice(SPLIT) == "chose plan 1: 106 ms, 56 frames/s; fastest alone: 98 ms, 21 frames/s"
    assert found.choice(FAST) == "chose plan 0: 98 ms, 21 frames/s; it is the fastest alone"
    compared = replace(front(SPLIT), compared=(SLOW, FAST))
    assert compared.choice(SPLIT) == "chose plan 0: 106 ms, 56 frames/s; fastest alone: 98 ms, 21 frames/s"


def test_a_choice_without_a_device_alone_is_told_against_the_best_latency() -> None:
    other = over("b", "a", latency_s=0.2, period_s=1 / 80)
    assert front(SPLIT, other).choice(other) == "chose plan 1: 200 ms, 80 frames/s; best in latency: 106 ms, 56 frames/s"
    assert front(SPLIT, other).choice(SPLIT) == "chose plan 0: 106 ms, 56 frames/s; it is the best in latency"


def test_a_plan_has_the_same_number_when_it_is_priced_anew() -> None:
    again = replace(SPLIT, predicted=Cost(9.0, 9.0, 0, (), (), ()))
    assert (front(FAST, SPLIT).number(again), front(FAST).number(again)) == (1, None)


def test_a_front_is_a_table_with_units_in_its_names() -> None:
    first, second = front(FAST, SPLIT).table()
    assert list(first) == (
        "number plan latency_s period_s frames_per_s peak_memory_bytes energy_j accuracy_loss device_count badge emulated".split()
    )
    assert (second["number"], second["plan"], second["latency_s"], second["energy_j"]) == (1, "a[0:1] → b[1:2]", 0.106, None)


def test_a_front_is_printed_on_one_line() -> None:
    assert repr(front(FAST)) == "<Front of 1 plan on cluster over latency, period; front.table() lists them>"
    assert repr(SPLIT) == str(SPLIT) == "<Plan a[0:1] → b[1:2]: 106 ms, 56 frames/s>"


@pytest.mark.parametrize("question", [lambda f: f.best("latency"), lambda f: f.knee()])
def test_plans_that_were_never_priced_cannot_be_compared(question) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PlanError, match=r"plan pi\[0:1\] carries no prediction; price it first"):
        question(front(Plan("d", (Stage(0, 1, ("pi",)),))))
