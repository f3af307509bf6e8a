import pytest
from msgspec import structs

from edgekit.graph import Node
from edgekit.profile import SegmentTime
from partitioner.footprints import Footprints
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
    assert Footprints(graph).load.tolist() == [
        [0, 8, 128 + 120, 128 + 120],
        [0, 0, 120 + 120, 128 + 120],
        [0, 0, 0, 8],
        [0, 0, 0, 0],
    ]
    assert Footprints(graph).run.tolist() == Footprints(graph).load.tolist()  # nothing but weights takes any bytes here


@pytest.mark.parametrize("seed", range(20))
def test_the_tables_are_those_of_the_graphs_own_segments(seed):
    graph = random_instance(seed)[0]
    footprints, count = Footprints(graph), len(graph.units)
    for start in range(count):
        for stop in range(start + 1, count + 1):
            segment = graph.segment(start, stop)
            ends = graph.cuts[start].nbytes + graph.cuts[stop].nbytes
            assert footprints.load[start, stop] == 2 * segment.weight_bytes
            assert footprints.run[start, stop] == 2 * segment.weight_bytes + ends + 2 * graph.peak_bytes(start, stop)


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
