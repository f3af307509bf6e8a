from itertools import combinations

import pytest
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.constraints import Constraints, Limit
from edgekit.device import Device, Variant
from edgekit.errors import PlanError
from edgekit.front import Question
from edgekit.plan import validate
from edgekit.profiles import Profiles
from partitioner.compliance import broken
from partitioner.cost import price
from partitioner.solve.exact import solve
from tests.partitioner.instances import (
    TELLING,
    coded,
    enriched,
    every_plan,
    naive_front,
    points_of,
    profile_of,
    random_constraints,
    random_instance,
    straight,
    twinned,
)

SUBSETS = [subset for size in (3, 2, 1) for subset in combinations(TELLING, size)]
FAST_LINKS = (Link("*", "*", 0.0, 2.0**20),)


def bounds(**limits):
    return Constraints(tuple(Limit(objective, most) for objective, most in limits.items()))


def solved(graph, cluster, profiles, order, objectives, **rest):
    """The points of the front; none where no plan exists."""
    try:
        front = solve(graph, cluster, profiles, objectives=objectives, question=Question(order, **rest))
    except PlanError as error:
        assert str(error).startswith(("no plan", "no chain", "no profile")), error
        return []
    assert front.objectives == objectives
    return points_of([plan.predicted for plan in front.plans], objectives)


@pytest.mark.parametrize("block", range(16))
def test_the_front_is_that_of_brute_force(block):
    # 16 × 20 instances whose sums are exact, so ties are ties and the fronts are equal to the last bit
    for seed in range(20 * block, 20 * block + 20):
        graph, cluster, profiles, order = random_instance(seed)
        costs = [cost for _, cost in every_plan(graph, cluster, profiles, order)]
        for objectives in SUBSETS if seed % 10 == 0 else (SUBSETS[0], SUBSETS[seed % 7]):
            assert solved(graph, cluster, profiles, order, objectives) == naive_front(points_of(costs, objectives)), (seed, objectives)


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_the_front_is_that_of_brute_force_within_rounding(seed):
    graph, cluster, profiles, order = random_instance(seed, exact=False)
    points = points_of([cost for _, cost in every_plan(graph, cluster, profiles, order)], TELLING)
    found, expected = solved(graph, cluster, profiles, order, TELLING), naive_front(points)
    assert all(any(point == pytest.approx(other, rel=1e-9) for other in found) for point in expected)
    assert all(any(point == pytest.approx(other, rel=1e-9) for other in expected) for point in found)


@pytest.mark.parametrize("seed", range(2000, 2060))
def test_limits_cut_the_front_of_brute_force(seed):
    graph, cluster, profiles, order = random_instance(seed)
    points = points_of([cost for _, cost in every_plan(graph, cluster, profiles, order)], TELLING)
    if points:
        latency, _, memory = points[seed % len(points)]
        expected = naive_front([(period,) for a, period, b in points if a <= latency and b <= memory])
        assert solved(graph, cluster, profiles, order, ("period",), constraints=bounds(latency=latency, memory=memory)) == expected


ALL = ("latency", "period", "memory", "energy", "loss", "devices")
RICH = [tuple(o for o in ALL if o in chosen) for size in range(1, 7) for chosen in combinations(ALL, size)]


def rich_instance(seed, units=5, devices=3, energy=True):
    graph, cluster, profiles, order = random_instance(seed, units=units, devices=devices)
    return graph, cluster, enriched(seed, graph, profiles, energy), order


@pytest.mark.parametrize("block", range(8))
def test_any_order_variants_and_joules_are_those_of_brute_force(block):
    for seed in range(4000 + 20 * block, 4020 + 20 * block):
        graph, cluster, profiles, order = rich_instance(seed)
        costs = [cost for _, cost in every_plan(graph, cluster, profiles, order, free=True)]
        for objectives in (ALL, RICH[seed % len(RICH)]):
            assert solved(graph, cluster, profiles, "free", objectives) == naive_front(points_of(costs, objectives)), (seed, objectives)


@pytest.mark.parametrize("block", range(8))
def test_devices_in_turn_within_a_chain_are_those_of_brute_force(block):
    for seed in range(5000 + 10 * block, 5010 + 10 * block):
        graph, cluster, profiles, order = rich_instance(seed, units=4, devices=4)
        free = bool(seed % 2)
        costs = [cost for _, cost in every_plan(graph, cluster, profiles, order, free, team=3)]
        for objectives in (("latency", "period", "memory"), RICH[seed % len(RICH)]):
            found = solved(graph, cluster, profiles, "free" if free else order, objectives, team=3)
            assert near(found, naive_front(points_of(costs, objectives))), (seed, objectives)


@pytest.mark.parametrize("block", range(8))
def test_codecs_and_precisions_are_those_of_brute_force(block):
    for seed in range(9000 + 12 * block, 9012 + 12 * block):
        graph, cluster, profiles, order = rich_instance(seed, units=4)
        losses, profiles = coded(seed, graph, profiles)
        if seed % 4 > 1:
            graph, losses, profiles = twinned(seed, graph, losses, profiles)
        free, team = bool(seed % 2), 2 if seed % 3 == 0 else 1
        costs = [cost for _, cost in every_plan(graph, cluster, profiles, order, free, team, losses)]
        for objectives in (ALL, RICH[seed % len(RICH)]):
            try:
                front = solve(
                    graph, cluster, profiles, objectives=objectives, question=Question("free" if free else order, team=team, losses=losses)
                )
            except PlanError as error:
                assert str(error).startswith(("no plan", "no chain", "no profile", "what")), error
                assert not costs or str(error).startswith("what"), seed
                continue
            assert points_of([plan.predicted for plan in front.plans], objectives) == naive_front(points_of(costs, objectives)), seed
            for plan in front.plans:
                assert validate(plan, graph) is plan and price(plan, graph, cluster, profiles, losses=losses) == plan.predicted


def near(found, expected):
    """The same points within rounding: thirds of a frame are no power of two."""
    close = [[point == pytest.approx(other, rel=1e-9) for other in expected] for point in found]
    return all(map(any, close)) and all(map(any, zip(*close, strict=True))) and bool(found) == bool(expected)


@pytest.mark.parametrize("block", range(8))
def test_constraints_leave_what_brute_force_leaves(block):
    for seed in range(6000 + 20 * block, 6020 + 20 * block):
        graph, cluster, profiles, order = rich_instance(seed, units=6)
        constraints = random_constraints(seed, graph, [device.name for device in cluster.devices])
        free = bool(seed % 2)
        plans = every_plan(graph, cluster, profiles, order, free)
        points = points_of([cost for plan, cost in plans if not broken(plan, cost, cluster, constraints)], TELLING)
        assert solved(graph, cluster, profiles, "free" if free else order, TELLING, constraints=constraints) == naive_front(points), seed


@pytest.mark.parametrize("seed", range(7100, 7120))
def test_serial_io_occupies_both_ends(seed):
    graph, cluster, profiles, order = random_instance(seed)
    costs = [cost for _, cost in every_plan(graph, cluster.serial(), profiles, order)]
    assert solved(graph, cluster, profiles, order, TELLING, serial_io=True) == naive_front(points_of(costs, TELLING))


def test_serial_io_adds_up_what_a_device_computes_and_sends():
    overlapped, serial = (solve(HALVES, CLUSTER, PAIR, objectives=("period",), question=Question(serial_io=wait)) for wait in (False, True))
    assert serial.best("period").predicted.period_s > overlapped.best("period").predicted.period_s
    nbytes = sum(cut.nbytes for cut in (HALVES.cuts[0], HALVES.cuts[-1]))
    alone = next(plan.predicted for plan in (*serial.plans, *serial.compared) if plan.name == "whole on left")
    assert {load.resource: load.seconds for load in alone.loads}["device left"] == 2.0 + nbytes / 2.0**20


@pytest.mark.parametrize("seed", range(7000, 7040))
def test_an_approximate_front_is_within_its_gap(seed):
    graph, cluster, profiles, order = random_instance(seed, exact=False)
    points = points_of([cost for _, cost in every_plan(graph, cluster, profiles, order)], TELLING)
    if points:
        front = solve(graph, cluster, profiles, objectives=TELLING, question=Question(order, epsilon=0.3))
        found = points_of([plan.predicted for plan in front.plans], TELLING)
        assert front.certificate.kind == "bounded" and front.certificate.gap == 0.3
        assert all(any(all(a <= 1.3 * b for a, b in zip(mine, point, strict=True)) for mine in found) for point in points)


@pytest.mark.parametrize("seed", range(3000, 3020))
def test_the_order_of_the_clusters_devices_does_not_matter(seed):
    graph, cluster, profiles, order = random_instance(seed)
    mirrored = structs.replace(cluster, devices=cluster.devices[::-1], links=cluster.links[::-1])
    mixed = Profiles(profiles.each[::-1])

    def outcome(*arguments):
        try:
            return solve(*arguments, objectives=TELLING, question=Question(order))
        except PlanError as error:
            return str(error)

    assert outcome(graph, cluster, profiles) == outcome(graph, mirrored, mixed)


@pytest.mark.parametrize("seed", range(3000, 3020))
def test_every_plan_of_the_front_is_valid_and_carries_its_price(seed):
    graph, cluster, profiles, order = random_instance(seed)
    if solved(graph, cluster, profiles, order, TELLING):
        front = solve(graph, cluster, profiles, objectives=TELLING, question=Question(order))
        for plan in (*front.plans, *front.compared):
            assert validate(plan, graph) is plan
            assert price(plan, graph, cluster, profiles) == plan.predicted
        assert len({plan.name for plan in (*front.plans, *front.compared)}) == len(front.plans) + len(front.compared)


#                 unit 0   unit 1      whole
#   left           0.5      1.5        2.0        split at 1:  latency 0.5 + 1.875, period 1.875, half the weights
#   right          0.625    1.875      2.5        in turn:     latency 2.5, period 2.5 / 2
HALVES = straight([64, 64, 64], [1024, 1024])
CLUSTER = Cluster((Device("left"), Device("right")), FAST_LINKS)
PAIR = Profiles(tuple(profile_of(HALVES, name, [0.5 * slow, 1.5 * slow], base=100) for name, slow in (("left", 1.0), ("right", 1.25))))


def test_one_device_wins_latency_replicas_win_period_a_split_wins_memory():
    front = solve(HALVES, CLUSTER, PAIR, objectives=TELLING)
    assert [plan.name for plan in front.plans] == ["whole on left", "2 stages at 1", "2 replicas left|right"]
    assert [plan.name for plan in front.compared] == ["whole on right"]
    assert front.certificate.kind == "exact"
    assert front.certificate.cuts == 1
    assert front.certificate.model == "exact over relayed chains in the given device order, plus whole-network replicas"


def test_plans_are_sorted_by_the_first_objective():
    front = solve(HALVES, CLUSTER, PAIR, objectives=("memory", "latency"))
    assert [plan.name for plan in front.plans] == ["2 stages at 1", "whole on left"]


def test_a_split_over_some_of_the_devices_says_over_which():
    cluster = Cluster((*CLUSTER.devices, Device("slow")), FAST_LINKS)
    profiles = PAIR.add(profile_of(HALVES, "slow", [9.0, 9.0], base=9000))
    assert "2 stages at 1 on left, right" in [plan.name for plan in solve(HALVES, cluster, profiles, objectives=TELLING).plans]


def test_replicas_join_only_devices_of_one_variant():
    profiles = Profiles((PAIR["left"], structs.replace(PAIR["right"], variant=Variant(threads=2))))
    front = solve(HALVES, CLUSTER, profiles, objectives=TELLING)
    assert not any("replicas" in plan.name for plan in (*front.plans, *front.compared))
    assert {stage.variant.threads for stage in front.best("memory").stages} == {1, 2}


def test_beyond_six_devices_replicas_are_the_fastest_so_many():
    names = [f"d{i}" for i in range(8)]
    cluster = Cluster(tuple(map(Device, names)), FAST_LINKS)
    profiles = Profiles(tuple(profile_of(HALVES, name, [8.0 - i, 8.0 - i]) for i, name in enumerate(names)))
    front = solve(HALVES, cluster, profiles, objectives=("latency", "period"))
    replicas = [plan.stages[0].devices for plan in (*front.plans, *front.compared) if "replicas" in plan.name]
    assert sorted(replicas, key=len) == [tuple(names[8 - size :]) for size in range(2, 9)]


def test_a_device_without_a_profile_is_left_out_and_named():
    front = solve(HALVES, CLUSTER, Profiles((PAIR["right"],)), objectives=TELLING)
    assert [plan.name for plan in front.plans] == ["whole on right"]
    assert front.certificate.model.endswith("left out for want of a profile: left")


def test_no_more_than_200_splits_are_sampled():
    graph = straight([4] * 302)
    profiles = Profiles(tuple(profile_of(graph, name, [1.0] * 301) for name in ("left", "right")))
    front = solve(graph, CLUSTER, profiles, objectives=("latency",))
    assert len([plan for plan in front.compared if len(plan.stages) == 2]) == 200


def refused(graph=HALVES, cluster=CLUSTER, profiles=PAIR, **rest):
    with pytest.raises(PlanError) as caught:
        solve(graph, cluster, profiles, objectives=rest.pop("objectives", TELLING), question=Question(**rest))
    return str(caught.value)


def test_a_memory_cap_that_binds_is_named_with_the_bytes_that_lack():
    #   each half: 100 + 1.25 · (2 · 4096 + 3 · (256 + 256)) + 64 · (256 + 256) = 45028 bytes;  right has 14 too few, left 284
    devices = (Device("left", memory_bytes=44_744), Device("right", memory_bytes=45_014))
    assert "at best host left needs 45.0 kB and has 44.7 kB, 284 B too few" in refused(cluster=Cluster(devices, FAST_LINKS))


def test_devices_that_cannot_be_reached_are_named():
    message = refused(cluster=Cluster(CLUSTER.devices, (Link("client", "left"), Link("right", "client"))))
    assert "the client reaches left, and right can send to the client; add the missing links" in message


def test_a_limit_that_cannot_be_met_is_named_with_the_best_there_is():
    assert "period ≤ 0.5 s, the least possible is 1.25 s;" in refused(constraints=bounds(period=0.5))
    together = refused(constraints=bounds(period=1.25, memory=45_200))
    assert "no plan meets all limits together (period, memory)" in together


def test_what_cannot_be_asked_is_refused():
    assert "names a device twice" in refused(order=["left", "left"])
    assert "no device 'up' in cluster" in refused(order=["up"])
    assert "no profile for any of left, right" in refused(profiles=Profiles())
    assert "got speed" in refused(objectives=("speed",))
    assert "the joules of left, right are not known; profile with --energy" in refused(objectives=("energy",))
    assert "got none" in refused(objectives=())
    assert "is of graph other" in refused(profiles=Profiles((structs.replace(PAIR["left"], graph="other"),)))
