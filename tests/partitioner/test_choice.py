"""A plan from a front, by name."""

import pytest

from edgekit.constraints import Limit
from edgekit.errors import PlanError
from edgekit.front import Certificate, Front
from edgekit.plan import Cost, Plan, Stage
from partitioner.choice import choose, within


def plan(name: str, latency_s: float, period_s: float, nbytes: int) -> Plan:
    return Plan("d", (Stage(0, 1, ("pi",)),), predicted=Cost(latency_s, period_s, nbytes, (), (), ()), name=name)


#                        latency period memory
PLANS = (plan("whole", 1.0, 1.0, 900), plan("close", 1.005, 0.9, 950), plan("middle", 1.4, 0.6, 500), plan("split", 3.0, 0.5, 200))
FRONT = Front("d", "cluster", ("latency", "period", "memory"), PLANS, Certificate("exact", "chain", 8, 100))


@pytest.mark.parametrize(
    ("pick", "name"),
    {
        "knee": "middle",
        "latency": "whole",
        "memory": "split",
        "latency,period": "close",
        "period,latency": "split",
        "latency:1,memory:0": "whole",
        "latency:1,memory:9": "split",
        "2": "middle",
        "memory if latency<=2": "middle",
        "memory if latency <= 2, period<=0.95": "middle",
        "latency if memory<=600": "middle",
        "0 if period<=0.7": "middle",
    }.items(),
)
def test_a_plan_is_picked_by_name(pick: str, name: str) -> None:
    assert choose(FRONT, pick).name == name


@pytest.mark.parametrize("pick", ["best", "9", "latency:", "latency:-1", "latency:nan", "latency:1,memory", "-1", ""])
def test_what_names_no_plan_is_refused(pick: str) -> None:
    with pytest.raises(PlanError, match="expected knee, latency, period, memory or a number below 4"):
        choose(FRONT, pick)


@pytest.mark.parametrize("pick", ["knee if fast", "knee if latency<=", "knee if beauty<=1", "knee if latency<1"])
def test_what_is_no_bound_is_refused(pick: str) -> None:
    with pytest.raises(PlanError, match="expected a bound such as latency<=0.05"):
        choose(FRONT, pick)


def test_limits_leave_the_plans_that_meet_them() -> None:
    assert [each.name for each in within(FRONT, [Limit("latency", 2.0), Limit("memory", 930)]).plans] == ["whole", "middle"]
    with pytest.raises(PlanError, match="latency ≤ 0.5, the least is 1;"):
        within(FRONT, [Limit("latency", 0.5)])
    with pytest.raises(PlanError, match=r"all limits together \(latency, memory\)"):
        within(FRONT, [Limit("latency", 1.2), Limit("memory", 300)])
