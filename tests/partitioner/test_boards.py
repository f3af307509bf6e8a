"""A stage on a microcontroller: its line is a term of it, its RAM and flash are memories of their own."""

import numpy as np
import pytest
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.codec import CodecTime
from edgekit.constraints import UNCONSTRAINED, Constraints, Pin
from edgekit.device import Device, Variant
from edgekit.errors import PlanError
from edgekit.front import Question
from edgekit.graph import Graph
from edgekit.losses import Losses, TensorLoss
from edgekit.memory_model import MemoryTable, SegmentBytes
from edgekit.plan import Memory, Plan, Stage, Transfer, chain
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.ring import ring_bytes
from edgekit.serial_line import SerialLine
from partitioner.alternatives import relayed
from partitioner.compliance import broken
from partitioner.cost import price
from partitioner.cuts.chain import cuts
from partitioner.cuts.lattice import branches
from partitioner.footprints import Footprints
from partitioner.reasons import explain
from partitioner.solve.exact import solve
from partitioner.solve.labels import chains
from partitioner.tabulation import tabulate
from tests.partitioner.instances import TELLING, points_of, profile_of, random_instance, straight

GRAPH = straight([64, 32, 16, 8])  # elements of float32: four times as many bytes travel as the board has
MCU = Variant("int8", engine="mcu")
LINE = SerialLine(latency_s=0.5, in_s_per_byte=0.0625, out_s_per_byte=0.125)
ROWS = (
    SegmentBytes(0, 1, 100, 300, 1000, 64, 32, "conv_0"),
    SegmentBytes(0, 2, 100, 400, 3000, 64, 16, "conv_1"),
    SegmentBytes(0, 3, 100, 500, 7000, 64, 8, "conv_1"),
    SegmentBytes(1, 3, 100, 450, 6000, 32, 8, "conv_1"),
    SegmentBytes(2, 3, 100, 200, 4000, 16, 8, "dense"),
)
BOARD = Device("mcu", "serial:/dev/ttyACM0", variant=MCU, memory_bytes=1024, flash_bytes=8192)
LINKS = (Link("*", "*", 0.25, 1024.0),)
CLUSTER = Cluster((BOARD, Device("pi")), LINKS)


def boarded(*rows: SegmentBytes, graph: Graph = GRAPH, name: str = "mcu") -> Profile:
    """One second for each unit on the board; the stage process at its gateway takes 5000 bytes."""
    profile = profile_of(graph, name, [1.0] * len(graph.units), base=5000, variant=MCU)
    return structs.replace(profile, memory_model=MemoryTable(rows or ROWS), line=LINE, runs_on="mcu")


def profiles(*rows: SegmentBytes, pi_s: float = 4.0) -> Profiles:
    return Profiles((boarded(*rows), profile_of(GRAPH, "pi", [pi_s] * 3, base=9000)))


def head(stop: int) -> Plan:
    return chain(GRAPH, (Stage(0, stop, ("mcu",), MCU), Stage(stop, 3, ("pi",))))


def test_the_line_is_a_term_before_the_compute_of_its_stage():
    cost = price(head(1), GRAPH, CLUSTER, profiles())
    seconds = {term.name: term.seconds for term in cost.terms}
    line_s = 0.5 + 64 * 0.0625 + 32 * 0.125
    assert list(seconds)[1:3] == ["line 0@mcu", "compute 0@mcu"]
    assert (seconds["line 0@mcu"], seconds["compute 0@mcu"]) == (line_s, 1.0)
    assert cost.latency_s == sum(seconds.values())
    assert {load.resource: load.seconds for load in cost.loads}["device mcu"] == line_s + 1.0


def test_ram_and_flash_are_memories_of_the_board_and_its_process_is_the_gateways():
    cost = price(head(2), GRAPH, CLUSTER, profiles())
    rings = ring_bytes(256) + ring_bytes(64)
    of_pi = Footprints(GRAPH).stage_bytes(profiles()["pi"], 2, 3) + ring_bytes(64) + ring_bytes(32)
    expected = (
        Memory("gateway of mcu", 5000 + rings),
        Memory("pi", of_pi),
        Memory("mcu", 400, "ram"),
        Memory("mcu", 3000, "flash"),
    )
    assert cost.memory == expected and cost.peak_memory_bytes == max(5000 + rings, of_pi)


def test_boards_of_one_gateway_share_its_host():
    devices = tuple(structs.replace(BOARD, name=name, host="gate") for name in ("one", "two"))
    both = Profiles(tuple(boarded(name=name) for name in ("one", "two")))
    plan = chain(GRAPH, (Stage(0, 1, ("one",), MCU), Stage(1, 3, ("two",), MCU)))
    cost = price(plan, GRAPH, Cluster((*devices, Device("gate", host="gate")), LINKS), both)
    rings = ring_bytes(256) + 2 * ring_bytes(128) + ring_bytes(32)
    assert {(each.host, each.kind): each.nbytes for each in cost.memory} == {
        ("gate", "host"): 2 * 5000 + rings,
        ("one", "ram"): 300,
        ("one", "flash"): 1000,
        ("two", "ram"): 450,
        ("two", "flash"): 6000,
    }


def test_a_gateway_shares_its_memory_with_the_processes_of_boards():
    one, two = (structs.replace(BOARD, name=name, host="gate") for name in ("one", "two"))
    gate = Device("gate", host="gate", memory_bytes=20_000)
    known = Profiles((boarded(name="one"), boarded(name="two"), profile_of(GRAPH, "gate", [1.0] * 3, base=9000)))
    plan = chain(GRAPH, (Stage(0, 1, ("one",), MCU), Stage(1, 2, ("gate",)), Stage(2, 3, ("two",), MCU)))
    cluster = Cluster((one, two, gate), LINKS)
    cost = price(plan, GRAPH, cluster, known)
    (shared,) = (each.nbytes for each in cost.memory if each.kind == "host")
    assert shared > 9000 + 2 * 5000
    exact = structs.replace(cluster, devices=(one, two, structs.replace(gate, memory_bytes=shared)))
    assert broken(plan, cost, exact, UNCONSTRAINED) == ()
    short = structs.replace(cluster, devices=(one, two, structs.replace(gate, memory_bytes=shared - 1)))
    (told,) = broken(plan, cost, short, UNCONSTRAINED)
    assert told.startswith("gate needs ")


def test_weights_lie_in_ram_where_a_board_has_no_flash_for_them():
    cluster = Cluster((structs.replace(BOARD, flash_bytes=0), Device("pi")), LINKS)
    cost = price(head(2), GRAPH, cluster, profiles())
    assert {each.kind: each.nbytes for each in cost.memory if each.host == "mcu"} == {"ram": 3400, "flash": 0}


def test_a_plan_written_by_hand_is_told_what_does_not_fit():
    cluster = Cluster((structs.replace(BOARD, memory_bytes=450, flash_bytes=6000), Device("pi")), LINKS)
    plan = chain(GRAPH, (Stage(0, 3, ("mcu",), MCU),))
    told = broken(plan, price(plan, GRAPH, cluster, profiles()), cluster, UNCONSTRAINED)
    assert told == ("mcu needs 500 B of RAM and has 450 B, 50 B too few", "mcu needs 6.84 KiB of flash and has 5.86 KiB, 1000 B too few")


@pytest.mark.parametrize(("ram", "flash", "longest"), [(1024, 8192, 3), (450, 8192, 2), (1024, 2999, 1), (299, 8192, 0)])
def test_the_board_takes_what_fits_into_ram_and_flash(ram: int, flash: int, longest: int):
    cluster = Cluster((structs.replace(BOARD, memory_bytes=ram, flash_bytes=flash), Device("pi")), LINKS)
    for split in (False, True):
        front = solve(
            GRAPH, cluster, profiles(pi_s=99.0), objectives=("latency", "memory"), question=Question(("mcu", "pi"), split_branches=split)
        )
        stops = [stage.stop for plan in front.plans for stage in plan.stages if stage.devices == ("mcu",)]
        assert max(stops, default=0) == longest


@pytest.mark.parametrize("objectives", [("latency",), ("period",), ("latency", "period", "memory")])
@pytest.mark.parametrize("lattice", [False, True])
def test_labels_and_price_agree_about_boards(objectives, lattice):
    graph = GRAPH
    places = branches(graph, Footprints(graph)) if lattice else cuts(graph, Footprints(graph))
    kinds = (("mcu",), ("pi",))
    times = profiles(*ROWS[:2], pi_s=99.0)
    tables = tabulate(places, CLUSTER, times, kinds)
    found = chains(tables, objectives)
    assert any(len(hops) == 2 for hops in found.chains)
    for hops, costs in zip(found.chains, found.costs, strict=True):
        cost = price(relayed(places, tables, kinds, hops), graph, CLUSTER, times)
        expected = dict(zip(TELLING, costs[:3], strict=True))
        assert points_of([cost], objectives)[0] == pytest.approx(tuple(expected[each] for each in objectives), rel=1e-9)


def test_too_little_ram_is_refused_with_bytes_units_and_operator():
    cluster = Cluster((structs.replace(BOARD, memory_bytes=200),), LINKS)
    only = Profiles((boarded(ROWS[2]),))
    expected = (
        r"no plan fits in memory: at best mcu needs 500 B of RAM and has 200 B, 300 B too few, for units \[0, 3\), "
        "most of it while conv_1 runs; add a device that takes some of these units, or a board with more"
    )
    with pytest.raises(PlanError, match=expected):
        solve(GRAPH, cluster, only)


def test_too_little_flash_is_refused_as_flash():
    cluster = Cluster((structs.replace(BOARD, flash_bytes=4096),), LINKS)
    expected = r"at best mcu needs 6.84 KiB of flash and has 4 KiB, 2.84 KiB too few, for units \[0, 3\); add"
    with pytest.raises(PlanError, match=expected):
        solve(GRAPH, cluster, Profiles((boarded(ROWS[2]),)))


def test_a_table_that_leaves_no_plan_is_not_blamed_on_links():
    with pytest.raises(PlanError) as caught:
        solve(GRAPH, Cluster((BOARD,), LINKS), Profiles((boarded(ROWS[0], ROWS[4]),)))
    assert "link" not in str(caught.value)
    assert "mcu as int8 mcu ×1 can hold units [0, 1), units [2, 3)" in str(caught.value)


def test_missing_links_are_still_told_beside_a_board():
    with pytest.raises(PlanError, match="add the missing links"):
        solve(GRAPH, Cluster((BOARD, Device("pi")), (Link("client", "mcu"),)), profiles())


def test_an_explanation_counts_the_line_and_tries_more_memory():
    cluster = Cluster((structs.replace(BOARD, memory_bytes=450), Device("pi")), LINKS)
    times = profiles(pi_s=99.0)
    front = solve(GRAPH, cluster, times, objectives=("latency",), question=Question(("mcu", "pi")))
    found = explain(front.plans[0], front, GRAPH, cluster, times)
    assert found.loads[0].resource == "device pi"
    assert "twice the memory" in [each.change for each in found.helps]


LOSSES = Losses(GRAPH.digest, "loss", 1, tensors=(TensorLoss("t1", "u8", 0.0), TensorLoss("t2", "u8", 0.0)))


def test_a_board_takes_no_codec_and_says_so():
    plan = head(1)
    u8 = structs.replace(plan, transfers=tuple(_coded(each) for each in plan.transfers))
    with pytest.raises(
        PlanError, match="t1 is to go 0 → 1 in u8, but one of the two stages runs on a microcontroller, which has no codecs"
    ):
        price(u8, GRAPH, CLUSTER, profiles())


def _coded(transfer: Transfer) -> Transfer:
    return structs.replace(transfer, codec="u8") if transfer.tensor == "t1" else transfer


def test_codecs_stay_between_other_devices_of_a_plan_with_a_board():
    times = (CodecTime("u8", 0.0, 0.0, 0.0, 0.0),)
    others = [structs.replace(profile_of(GRAPH, name, [4.0] * 3), codecs=times) for name in ("pi", "nano")]
    slow = Cluster((BOARD, Device("pi"), Device("nano")), (Link("*", "*", 0.0, 8.0),))
    question = Question(("mcu", "pi", "nano"), losses=LOSSES)
    found = solve(GRAPH, slow, Profiles((boarded(), *others)), objectives=("period",), question=question)
    for plan in (*found.plans, *found.compared):
        on_board = [i for i, stage in enumerate(plan.stages) if "mcu" in stage.devices]
        assert not any(each.codec == "u8" and {each.source, each.receiver} & {*on_board} for each in plan.transfers)


def test_a_board_runs_some_units_only_and_the_rest_goes_elsewhere():
    some = structs.replace(boarded(ROWS[0], ROWS[1]), cannot_run=((2, "no kernel for Erf"),), segments=())
    times = Profiles((some, profile_of(GRAPH, "pi", [4.0] * 3)))
    front = solve(GRAPH, CLUSTER, times, objectives=("period",), question=Question(("mcu", "pi")))
    assert all(stage.stop <= 2 for plan in front.plans for stage in plan.stages if "mcu" in stage.devices)


@pytest.mark.parametrize("seed", range(40))
def test_rings_of_replicated_neighbours_count_alike_in_labels_and_price(seed):
    graph, cluster, known, order = random_instance(seed, exact=False)
    names = [name for name in order if name in known]
    kinds = tuple((name,) for name in names)
    places = cuts(graph, Footprints(graph))
    tables = tabulate(places, cluster, known, kinds, replicas=3)
    found = chains(tables, TELLING)
    for hops, costs in zip(found.chains, found.costs, strict=True):
        cost = price(relayed(places, tables, kinds, hops), graph, cluster, known)
        assert points_of([cost], TELLING)[0] == pytest.approx(tuple(costs[:3]), rel=1e-9)
        caps = dict(zip(tables.hosts, tables.caps, strict=True))
        assert all(each.nbytes <= caps[structs.replace(each, nbytes=0)] for each in cost.memory)


def test_a_stage_has_a_ring_for_each_replica_of_its_neighbours():
    devices = tuple(Device(name) for name in "abc")
    times = Profiles(tuple(profile_of(GRAPH, name, [1.0] * 3) for name in "abc"))
    plan = chain(GRAPH, (Stage(0, 1, ("a",)), Stage(1, 3, ("b", "c"))))
    cost = price(plan, GRAPH, Cluster(devices, LINKS), times)
    held = {each.host: each.nbytes for each in cost.memory}
    whole = Footprints(GRAPH)
    assert held["a"] - whole.stage_bytes(times["a"], 0, 1) == ring_bytes(256) + 2 * ring_bytes(128)
    assert held["b"] - whole.stage_bytes(times["b"], 1, 3) == ring_bytes(128) + ring_bytes(32)
    assert np.isfinite(cost.latency_s)


def test_the_order_of_devices_is_blamed_where_it_is_the_reason():
    ends = Constraints(pins=(Pin(0, 1, "pi"), Pin(2, 3, "mcu")))  # the board stands before the machine in the cluster
    with pytest.raises(PlanError, match=r"the order mcu, pi .*try any order"):
        solve(GRAPH, CLUSTER, profiles(), objectives=TELLING, question=Question(constraints=ends))
