"""Tensors that pass stages by, instead of being relayed by them."""

import pytest

from edgekit.cluster import Cluster, Link
from edgekit.device import Device
from edgekit.errors import PlanError
from edgekit.front import Question, value
from edgekit.graph import Node
from edgekit.plan import CLIENT, Stage, chain, validate
from edgekit.profiles import Profiles
from partitioner.alternatives import direct
from partitioner.cost import price
from partitioner.solve.exact import solve
from tests.partitioner.instances import TELLING, graph_of, profile_of, random_instance, straight

#                 ┌──────── wide (1000) ────────┐
#   x (10) ──▶ first ── slim (10) ──▶ second ── thin (10) ──▶ third ──▶ y (10)
NODES = (
    [Node("first", "Op", ("x",), ("wide", "slim"))],
    [Node("second", "Op", ("slim",), ("thin",))],
    [Node("third", "Op", ("wide", "thin"), ("y",))],
)
SKIP = graph_of(NODES, {"x": 10, "wide": 1000, "slim": 10, "thin": 10, "y": 10})
NAMES = ("one", "two", "three")
CLUSTER = Cluster(tuple(map(Device, NAMES)), (Link("*", "*", 0.0, 4000.0),))
#   each device is quick in one unit: a chain of all three is worth its messages
PROFILES = Profiles(tuple(profile_of(SKIP, name, [1.0 if i == n else 50.0 for i in range(3)]) for n, name in enumerate(NAMES)))


def test_a_tensor_goes_straight_to_the_stage_that_reads_it():
    plan = chain(SKIP, (Stage(0, 1, ("one",)), Stage(1, 2, ("two",)), Stage(2, 3, ("three",))))
    straight_on = direct(plan, SKIP)
    ways = [(each.tensor, each.source, each.receiver) for each in straight_on.transfers]
    assert ways == [("x", CLIENT, 0), ("slim", 0, 1), ("wide", 0, 2), ("thin", 1, 2), ("y", 2, CLIENT)]
    assert validate(straight_on, SKIP) is straight_on


def test_a_chain_without_anything_to_relay_stays_as_it_is():
    net = straight([10, 10, 10])
    assert direct(chain(net, (Stage(0, 1, ("one",)), Stage(1, 2, ("two",)))), net) is None


def test_a_front_with_straight_tensors_has_plans_that_relaying_has_not():
    relayed, passed = (
        solve(SKIP, CLUSTER, PROFILES, objectives=("latency", "period"), question=Question(direct=way)) for way in (False, True)
    )
    #   relayed: 10 + (10 + 1000) + (10 + 1000) + 10 floats at 1000 a second, and three seconds of work
    assert relayed.best("latency").predicted.latency_s == pytest.approx(3 + 2.04)
    assert passed.best("latency").predicted.latency_s == pytest.approx(3 + 1.04)
    assert passed.best("latency").name == "3 stages at 1, 2, direct" and "sent straight" in passed.certificate.model


def test_a_link_that_is_not_there_leaves_the_relayed_chain():
    links = tuple(Link(a, b, 0.0, 4000.0) for a in ("client", *NAMES) for b in ("client", *NAMES) if {a, b} != {"one", "three"} and a != b)
    front = solve(SKIP, Cluster(CLUSTER.devices, links), PROFILES, objectives=("latency",), question=Question(direct=True))
    assert front.best("latency").name == "3 stages at 1, 2"


@pytest.mark.parametrize("seed", range(11_000, 11_040))
def test_no_point_of_the_front_is_lost(seed):
    graph, cluster, profiles, order = random_instance(seed)
    try:
        relayed, passed = (
            solve(graph, cluster, profiles, objectives=TELLING, question=Question(order, direct=way)) for way in (False, True)
        )
    except PlanError:
        return
    for plan in passed.plans:
        assert validate(plan, graph) is plan and price(plan, graph, cluster, profiles) == plan.predicted
    points = [[value(plan.predicted, objective) for objective in TELLING] for plan in passed.plans]
    for plan in relayed.plans:
        assert any(all(a <= value(plan.predicted, o) for a, o in zip(point, TELLING, strict=True)) for point in points)
