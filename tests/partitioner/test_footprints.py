import pytest
from msgspec import structs

from edgekit.cluster import Cluster, Link
from edgekit.device import Device
from edgekit.errors import PlanError
from edgekit.front import Question
from edgekit.graph import Node
from edgekit.memory_model import UNSTATED, MemoryTable, SegmentBytes
from edgekit.profile import SegmentTime
from edgekit.profiles import Profiles
from edgekit.stages.onnxruntime_memory import ONNXRUNTIME_MEMORY
from partitioner.footprints import Footprints
from partitioner.solve.exact import solve
from tests.partitioner.instances import graph_of, profile_of, random_instance, straight

#   bytes           400        200        100         40
#            x ──────▶ [unit 0] ──▶ [unit 1] ──▶ [unit 2] ──▶ y
#   weights            80         160        320
GRAPH = straight([100, 50, 25, 10], [20, 40, 80])


def whole(load, run, **rest):
    """A profile of 1000 bytes base and 100 of libraries, whose whole graph took so much on top."""
    profile = structs.replace(profile_of(GRAPH, "pi", [1.0, 2.0, 4.0], base=1000), library_bytes=100)
    measured = structs.replace(profile.whole, memory_bytes=1100 + max(load, run), load_peak_bytes=1100 + load, run_peak_bytes=1100 + run)
    return structs.replace(profile, segments=(measured, *rest.get("more", ())))


def test_a_shared_weight_counts_once_in_each_segment_and_a_convolutions_thrice():
    #   unit      0       1       2
    #   weights   a       b       a          a = 4 bytes, b = 40 bytes of a convolution, behind a constant node
    units = [
        [Node("n0", "Op", ("x", "a"), ("t",))],
        [Node("turn", "Transpose", ("b",), ("c",), constant=True), Node("n1", "Conv", ("t", "c"), ("u",))],
        [Node("n2", "Op", ("u", "a"), ("y",))],
    ]
    graph = graph_of(units, dict.fromkeys("xtuyc", 0), {"a": 1, "b": 10})
    assert Footprints(graph).needs(UNSTATED).load.tolist() == [
        [0, 8, 128 + 120, 128 + 120],
        [0, 0, 120 + 120, 128 + 120],
        [0, 0, 0, 8],
        [0, 0, 0, 0],
    ]
    assert (
        Footprints(graph).needs(UNSTATED).run.tolist() == Footprints(graph).needs(UNSTATED).load.tolist()
    )  # nothing but weights takes any bytes here


@pytest.mark.parametrize("seed", range(20))
def test_the_tables_are_those_of_the_graphs_own_segments(seed):
    graph = random_instance(seed)[0]
    needs, count = Footprints(graph).needs(UNSTATED), len(graph.units)
    for start in range(count):
        for stop in range(start + 1, count + 1):
            segment = graph.segment(start, stop)
            ends = graph.cuts[start].nbytes + graph.cuts[stop].nbytes
            assert needs.load[start, stop] == 2 * segment.weight_bytes
            assert needs.run[start, stop] == 2 * segment.weight_bytes + ends + 2 * graph.peak_bytes(start, stop)


def test_both_peaks_are_predicted_and_the_larger_counts_with_its_margin():
    #   units [0, 2)   load 2·240 = 480     run 2·240 + 400 + 100 + 2·600 = 2180
    plain = structs.replace(profile_of(GRAPH, "pi", [1.0, 2.0, 4.0], base=1000), library_bytes=100)
    load, run = Footprints(GRAPH).predicted(plain)
    assert (load[0, 2], run[0, 2]) == (1100 + 480, 1100 + 2180)
    assert Footprints(GRAPH).stage_bytes(plain, 0, 2) == 1000 + 1.25 * (100 + 2180)


def test_what_the_whole_took_corrects_its_parts():
    #   whole          load 2·560 = 1120    run 2·560 + 400 + 40 + 2·600 = 2760
    footprints = Footprints(GRAPH)
    load, run = footprints.predicted(whole(load=1120 * 0.95, run=2760 * 0.5))
    assert (load[0, 2], run[0, 2]) == pytest.approx((1100 + 480 * 0.95, 1100 + 2180 * 0.9))  # a tenth is credited at most
    load, run = footprints.predicted(whole(load=1120 + 7000, run=2760))
    assert (load[0, 2], run[0, 2]) == (1100 + 480 + 7000, 1100 + 2180)  # more is taken for a fixed cost


def test_of_several_measured_segments_the_worst_corrects():
    part = SegmentTime(0, 1, 1.0, 1.0, 1.0, 0.0, 9, load_peak_bytes=1100 + 160, run_peak_bytes=1100 + 1960)  # as the equations have it
    load, run = Footprints(GRAPH).predicted(whole(load=1120 * 0.9, run=2760 * 0.9, more=(part,)))
    assert (load[0, 2], run[0, 2]) == (1100 + 480, 1100 + 2180)


def test_what_was_measured_counts_as_it_is():
    profile = whole(load=500, run=300)
    assert Footprints(GRAPH).stage_bytes(profile, 0, 3) == 1600


def test_the_coefficients_are_those_of_the_profiles_own_engine():
    #   units [0, 2)   load 1·240    run 240 + 400 + 100 + 1·600 = 1340, of which a half on top
    own = structs.replace(UNSTATED, weight_copies=1, activation_copies=1, margin=0.5)
    profile = structs.replace(profile_of(GRAPH, "pi", [1.0, 2.0, 4.0], base=1000), memory_model=own)
    assert Footprints(GRAPH).stage_bytes(profile, 0, 2) == 1000 + 1.5 * 1340


TABLE = MemoryTable((SegmentBytes(0, 3, 70, 50), SegmentBytes(0, 2, 20, 30, 500), SegmentBytes(2, 3, 5, 6)))


def tabled(memory=None):
    profile = profile_of(GRAPH, "mcu", [1.0, 2.0, 4.0], base=1000, measured=[(0, 2, 3.0, memory)])
    return structs.replace(profile, memory_model=TABLE)


def test_a_table_counts_as_it_is_and_lets_no_other_segment_run():
    footprints, profile = Footprints(GRAPH), tabled()
    assert [footprints.stage_bytes(profile, *ends) for ends in ((0, 3), (0, 2), (2, 3))] == [1070, 1030, 1006]
    with pytest.raises(PlanError, match=r"mcu as .* cannot run units \[1, 3\): its memory table lacks them"):
        footprints.stage_bytes(profile, 1, 3)
    assert Footprints(GRAPH).stage_bytes(tabled(memory=1999), 0, 2) == 1999  # what was measured goes before it


def test_a_table_keeps_the_segments_that_are_ranges_in_another_order():
    assert [(each.start, each.stop) for each in TABLE.in_order({0: 0, 1: 2, 2: 1}).segments] == [(0, 3), (1, 2)]


def test_the_partitioner_cuts_only_where_a_table_has_both_stages():
    cluster = Cluster((Device("mcu"), Device("pi")), (Link("*", "*", 0.0, 1e6),))
    profiles = Profiles((tabled(), profile_of(GRAPH, "pi", [9.0, 9.0, 9.0])))
    for branches in (False, True):
        front = solve(GRAPH, cluster, profiles, objectives=("period",), question=Question("free", split_branches=branches))
        cuts = {(s.start, s.stop) for p in (*front.plans, *front.compared) for s in p.stages if "mcu" in s.devices}
        assert cuts == {(0, 3), (0, 2)}  # and not units [1, 3) after the pi, which a sum of kernels would have chosen
    only = structs.replace(tabled(), memory_model=MemoryTable(TABLE.segments[1:]))
    with pytest.raises(PlanError):
        solve(GRAPH, Cluster((Device("mcu"),), cluster.links), Profiles((only,)))


def test_a_profile_that_states_no_model_is_priced_by_onnxruntimes():
    assert profile_of(GRAPH, "pi", [1.0, 2.0, 4.0]).memory_model == ONNXRUNTIME_MEMORY
