"""Fronts over ranges of conditions are those that are found for each condition alone."""

import pytest
from msgspec.structs import replace

from edgekit.cluster import Cluster, Link
from edgekit.constraints import Constraints, Limit
from edgekit.device import Device
from edgekit.errors import PlanError
from edgekit.files import decode, encode
from edgekit.front import Front, Question, value
from edgekit.profiles import Profiles
from edgekit.sweep import Knob
from partitioner.reasons import explain
from partitioner.solve.exact import solve
from partitioner.whatif import faster, sweep
from tests.partitioner.instances import large_instance, profile_of, straight

NET = straight([1000, 500, 20, 100, 4], [10, 20, 400, 300])
CLUSTER = Cluster((Device("near"), Device("far")), (Link("*", "*", 0.01, 1e5),))
PROFILES = Profiles((profile_of(NET, "near", [0.1, 0.1, 0.4, 0.4]), profile_of(NET, "far", [0.05, 0.05, 0.1, 0.1])))
RATES = Knob("bandwidth", (1e2, 1e3, 1e4, 1e5, 1e6))
TIMES = ("latency", "period")


def test_each_condition_has_the_front_that_it_has_alone():
    graph, cluster, profiles, _ = large_instance(20, 3)
    found = sweep(graph, cluster, profiles, (Knob("bandwidth", (1e5, 1e6, 1e7, 1e8)), Knob("speed d1", (0.5, 2.0))), objectives=TIMES)
    assert len(found.conditions) == 8
    for condition in found.conditions:
        rate, speed = condition.at
        links = tuple(replace(link, bytes_per_s=rate) for link in cluster.links)
        alone = solve(graph, Cluster(cluster.devices, links), faster(profiles, "d1", speed), objectives=TIMES)
        expected = [tuple(value(plan.predicted, o) for o in TIMES) for plan in alone.plans]
        assert list(condition.points) == [pytest.approx(point, rel=1e-9) for point in expected]
        assert condition.winner("latency").predicted.latency_s == pytest.approx(expected[0][0])


def test_conditions_that_no_plan_can_meet_are_left_out():
    limit = Constraints((Limit("latency", 1.5),))
    found = sweep(NET, CLUSTER, PROFILES, (RATES,), objectives=TIMES, question=Question(constraints=limit))
    assert [condition.at[0] for condition in found.conditions] == [1e4, 1e5, 1e6]
    with pytest.raises(PlanError, match="under any of the conditions"):
        sweep(NET, CLUSTER, PROFILES, (RATES,), objectives=TIMES, question=Question(constraints=Constraints((Limit("latency", 1e-3),))))


def test_a_knob_that_is_not_there_is_refused():
    with pytest.raises(PlanError, match="expected bandwidth, latency or speed of a device that is profiled .near, far., got 'speed moon'"):
        sweep(NET, CLUSTER, PROFILES, (Knob("speed moon", (1.0,)),))


def test_an_explanation_names_what_holds_a_plan_up_and_what_would_help():
    front = solve(NET, CLUSTER, PROFILES, objectives=TIMES)
    plan = front.best("period")
    found = explain(plan, front, NET, CLUSTER, PROFILES)
    assert found.loads[0].seconds == plan.predicted.period_s
    helps = {each.change: dict(each.ratios) for each in found.helps}
    assert helps["far twice as fast"]["latency"] < 0.8
    assert helps["without far"]["latency"] > 1.2
    assert helps["all links twice as fast"]["latency"] < 1
    assert {each.plan.stages for each in found.neighbours} <= {each.stages for each in front.plans} - {plan.stages}
    assert [min(dict(each.ratios).values()) for each in found.helps] == sorted(min(dict(each.ratios).values()) for each in found.helps)


def test_an_explanation_asks_what_was_asked_before():
    rules = Constraints(forbidden=("far",))
    front = solve(NET, CLUSTER, PROFILES, objectives=TIMES, question=Question("free", rules, team=2))
    assert (front.question.order, front.question.constraints, front.question.team) == ("free", rules, 2)
    assert decode(encode(front), Front) == front
    found = explain(front.knee(), front, NET, CLUSTER, PROFILES)
    assert all(ratio <= 1 + 1e-9 or "without" in each.change for each in found.helps for _, ratio in each.ratios)
    assert dict(next(each.ratios for each in found.helps if each.change == "without far")) == {"latency": 1.0, "period": 1.0}


def test_links_are_changed_one_by_one():
    doubled = CLUSTER.relinked(lambda link: Link(link.source, link.receiver, link.latency_s, 2 * link.bytes_per_s))
    assert [link.bytes_per_s for link in doubled.links] == [2e5]


def test_a_plan_that_is_not_on_the_front_is_explained_against_it():
    front = solve(NET, CLUSTER, PROFILES, objectives=TIMES)
    plan = next(each for each in front.compared if front.number(each) is None)
    found = explain(plan, front, NET, CLUSTER, PROFILES)
    assert found.plan is plan and found.neighbours
    assert any(ratio < 1 for each in found.neighbours for _, ratio in each.ratios)


def test_a_sweep_knows_where_the_cluster_is():
    assert sweep(NET, CLUSTER, PROFILES, (RATES, Knob("speed far", (1.0, 2.0))), objectives=TIMES).here == (1e5, 1.0)
