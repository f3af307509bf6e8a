"""Stages that split branches, against every order of the units of small graphs."""

from itertools import permutations

import pytest
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.constraints import UNCONSTRAINED, Constraints, Pin
from edgekit.device import Device
from edgekit.errors import PlanError
from edgekit.front import Question
from edgekit.plan import validate
from edgekit.profiles import Profiles
from partitioner.compliance import broken
from partitioner.cost import price
from partitioner.cuts.lattice import branches
from partitioner.footprints import Footprints
from partitioner.solve.exact import solve
from tests.edgekit.test_graph import graph as drawn
from tests.partitioner.instances import TELLING, enriched, every_chain, naive_front, points_of, profile_of, random_instance

SPLIT = Question(split_branches=True)


def every_order(graph):
    for order in permutations(range(len(graph.units))):
        try:
            yield graph.in_order(order)
        except PlanError:
            continue


def every_branching_plan(graph, cluster, profiles, order, free):
    """What brute force finds for each order of the units: each plan once, with its cost, where it fits."""
    plans = {(plan.stages, plan.order): plan for ordered in every_order(graph) for plan in every_chain(ordered, profiles, order, free)}
    plans = {key: plan for key, plan in plans.items() if all(runs_in_own_order(plan, stage) for stage in plan.stages)}
    found = []
    for plan in plans.values():
        try:
            cost = price(plan, graph, cluster, profiles)
        except PlanError as error:
            assert "unreachable" in str(error)
            continue
        if not broken(plan, cost, cluster, UNCONSTRAINED):
            found.append((plan, cost))
    return found


def runs_in_own_order(plan, stage):
    """Within a stage units run as the graph has them: another order is the same stage."""
    units = plan.order[stage.start : stage.stop]
    return list(units) == sorted(units)


@pytest.mark.parametrize("block", range(10))
def test_the_front_is_that_of_all_orders_of_the_units(block):
    for seed in range(8000 + 8 * block, 8008 + 8 * block):
        graph, cluster, profiles, order = random_instance(seed, units=5, devices=3)
        profiles = enriched(seed, graph, profiles, energy=False)
        free = bool(seed % 2)
        points = points_of([cost for _, cost in every_branching_plan(graph, cluster, profiles, order, free)], TELLING)
        try:
            front = solve(graph, cluster, profiles, objectives=TELLING, question=Question("free" if free else order, split_branches=True))
            found = points_of([plan.predicted for plan in front.plans], TELLING)
            for plan in front.plans:
                assert validate(plan, graph) is plan and price(plan, graph, cluster, profiles) == plan.predicted
        except PlanError as error:
            assert str(error).startswith(("no plan", "no chain", "no profile")), error
            found = []
        expected = naive_front(points)
        assert all(any(mine == pytest.approx(other, rel=1e-9) for other in expected) for mine in found), seed
        assert all(any(mine == pytest.approx(other, rel=1e-9) for mine in found) for other in expected), seed


#            ╱─▶ left0 ─▶ left1 ─╲          each branch is best on its own device, and neither is a range
#     stem ─▶                     ▶ join     of units as they stand: left0 right0 left1 right1
#            ╲─▶ right0 ▶ right1 ─╱
DIAMOND = drawn(
    """
    stem: x > s
    left0: s > l
    right0: s > r
    left1: l > m
    right1: r > q
    join: m q > y
    """,
    inputs="x",
    outputs="y",
)
PROFILES = Profiles((profile_of(DIAMOND, "a", [0.1, 0.1, 2, 0.1, 2, 0.1]), profile_of(DIAMOND, "b", [2, 2, 0.1, 2, 0.1, 0.1])))


def cluster_of(*names):
    return Cluster(tuple(map(Device, names)), (Link("*", "*", 0.0, 1e6),))


def test_branches_that_stand_mixed_are_cut_apart():
    cluster = cluster_of("a", "b")
    stiff, loose = (
        solve(DIAMOND, cluster, PROFILES, objectives=TELLING, question=Question(split_branches=split)) for split in (False, True)
    )
    assert stiff.best("latency").predicted.latency_s > 2
    best = loose.best("latency")
    assert best.order == (0, 1, 3, 2, 4, 5) and best.describe() == "a[0:3] → b[3:6]"
    assert best.predicted.latency_s == pytest.approx(0.6, rel=1e-3)
    assert "branches" in loose.certificate.model


def test_what_was_measured_of_a_stage_counts_in_every_order():
    stage = structs.replace(PROFILES["a"].whole, p50_s=9.0, start=0, stop=4, units=(0, 1, 3))
    slow = structs.replace(PROFILES["a"], segments=(*PROFILES["a"].segments, stage))
    front = solve(DIAMOND, cluster_of("a", "b"), PROFILES.add(slow), objectives=TELLING, question=SPLIT)
    assert front.best("latency").order != (0, 1, 3, 2, 4, 5)
    assert slow.in_order((0, 1, 3, 2, 4, 5)).segment(0, 3).p50_s == 9.0
    back = PROFILES["a"].with_segments(slow.in_order((0, 1, 3, 2, 4, 5)), (0, 1, 3, 2, 4, 5))
    assert back.segments[-1] == stage or stage in back.segments


def test_pins_hold_for_units_wherever_they_come_to_stand():
    constraints = Constraints(pins=(Pin(2, 3, "a"),))
    front = solve(
        DIAMOND, cluster_of("a", "b"), PROFILES, objectives=TELLING, question=Question(constraints=constraints, split_branches=True)
    )
    for plan in front.plans:
        holder = next(stage for stage in plan.stages if 2 in (plan.order or range(6))[stage.start : stage.stop])
        assert holder.devices == ("a",)


def test_units_that_stay_together_are_in_one_stage_in_every_order():
    constraints = Constraints(together=((1, 4),))
    front = solve(
        DIAMOND, cluster_of("a", "b"), PROFILES, objectives=TELLING, question=Question(constraints=constraints, split_branches=True)
    )
    assert front.plans
    for plan in front.plans:
        held = [set((plan.order or tuple(range(6)))[stage.start : stage.stop]) for stage in plan.stages]
        assert any({1, 4} <= units for units in held)


def test_too_many_places_are_refused():
    with pytest.raises(PlanError, match="more than 3 places"):
        branches(DIAMOND, Footprints(DIAMOND), most=3)


def test_a_graph_with_too_many_places_is_cut_in_some_orders_with_a_proven_gap():
    exact = solve(DIAMOND, cluster_of("a", "b"), PROFILES, objectives=("latency",), question=SPLIT)
    some = solve(DIAMOND, cluster_of("a", "b"), PROFILES, objectives=("latency",), question=SPLIT, most_places=3)
    least = sum(map(min, zip(PROFILES["a"].unit_s, PROFILES["b"].unit_s, strict=True)))
    assert some.certificate.kind == "bounded" and "orders of the units" in some.certificate.model
    found = some.best("latency").predicted.latency_s
    assert found == pytest.approx(exact.best("latency").predicted.latency_s)
    assert some.certificate.gap == pytest.approx(found / least - 1)
