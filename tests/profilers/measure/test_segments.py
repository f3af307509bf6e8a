"""Segments are measured where they are asked for, once each."""

import pytest

from devices import connect
from devices.connection import Measured
from edgekit.device import Device, Variant
from profilers.measure.profiler import profile_graph
from profilers.measure.segments import ends, measure_segments, request_for, summarize
from tests.models import Net, simulated, skipping

NET: Net = skipping()
SIM = simulated("a").devices[0]


def test_samples_become_percentiles_and_a_spread_that_is_deaf_to_one_bad_one() -> None:
    time = summarize(
        1,
        3,
        [
            Measured(samples_s=(1.0, 2.0, 3.0), cpu_s=(), base_bytes=0, peak_bytes=7, load_s=0.5, first_s=9.0),
            Measured(samples_s=(4.0, 100.0), cpu_s=(), base_bytes=0, peak_bytes=6, load_s=0.7, first_s=8.0),
        ],
    )
    assert (time.start, time.stop, time.p50_s, time.mad_s, time.samples, time.memory_bytes) == (1, 3, 3.0, 1.0, 5, 7)
    assert (time.load_peak_bytes, time.run_peak_bytes) == (None, None)
    assert time.p10_s == pytest.approx(1.4) and time.p90_s == pytest.approx(61.6) and time.p99_s == pytest.approx(96.16)
    assert (time.load_s, time.first_s, time.bursts) == (0.6, 8.5, ((1.0, 2.0, 3.0), (4.0, 100.0)))
    once = summarize(0, 1, [Measured(samples_s=(1.0, 1.0), cpu_s=(), base_bytes=0, peak_bytes=0, load_s=0.0)])
    assert (once.memory_bytes, once.repeatability, once.rested_s) == (None, None, None)  # a device that does not say, and one burst
    rested = (
        Measured(samples_s=(1.0,), cpu_s=(), base_bytes=0, peak_bytes=0, load_s=0.0, rested_s=seconds) for seconds in ((1.5, 1.3), (9.0,))
    )
    assert summarize(0, 1, list(rested)).rested_s == 1.5


def test_a_request_holds_what_the_stage_process_will_be_told() -> None:
    with connect(Device("a", "sim:", cores=(1,), speed=0.5, roofline=SIM.roofline)) as connection:
        request = request_for(NET.graph, NET.graph.segment(1, 3), "digest", connection, Variant(threads=2), 0.5)
    assert ([tensor.name for tensor in request.inputs], [tensor.name for tensor in request.outputs]) == (["b"], ["g"])
    assert request.emulation is not None
    assert (request.variant.threads, request.cores, request.emulation.speed, request.budget_s) == (2, (1,), 0.5, 0.5)
    assert [work.macs for work in request.emulation.works] == [NET.graph.segment(unit, unit + 1).macs for unit in (1, 2)]


def test_on_a_described_device_segments_add_up_to_the_whole() -> None:
    with connect(SIM) as connection:
        profile = profile_graph(NET.graph, NET.model, connection)
        profile = measure_segments(NET.graph, NET.model, connection, profile, [(3, 5), (0, 3), (0, 5)])
    assert [(segment.start, segment.stop) for segment in profile.segments] == [(0, 3), (0, 5), (3, 5)]
    first, whole, last = (segment.p50_s for segment in profile.segments)
    assert first + last == pytest.approx(whole)
    assert sum(profile.unit_s) == pytest.approx(whole)


def test_what_was_measured_before_is_kept() -> None:
    with connect(SIM) as connection:
        profile = profile_graph(NET.graph, NET.model, connection)
        (whole,) = profile.segments
        again = measure_segments(NET.graph, NET.model, connection, profile, [(0, 5), (0, 5), (1, 2)])
    assert whole in again.segments and len(again.segments) == 2


def test_each_settled_segment_can_be_kept_at_once() -> None:
    kept: list[int] = []
    with connect(SIM) as connection:
        profile = profile_graph(NET.graph, NET.model, connection)
        measure_segments(NET.graph, NET.model, connection, profile, [(0, 3), (3, 5)], keep=lambda found: kept.append(len(found.segments)))
    assert kept == [2, 3]


def test_beginnings_and_ends_meet_at_the_cheapest_cuts() -> None:
    crossing = {position: NET.graph.cuts[position].nbytes for position in NET.graph.candidates}
    cheapest = min(crossing, key=lambda position: crossing[position])
    assert ends(NET.graph, 1) == ((0, cheapest), (cheapest, 5))
    assert len(ends(NET.graph)) == 2 * len(crossing)


def test_an_agent_measures_a_stream_at_the_rate_that_frames_come_in() -> None:
    with connect(Device("a")) as connection:
        profile = profile_graph(NET.graph, NET.model, connection, budget_s=0.4, rate_per_s=50.0)
    assert profile.conditions.rate_per_s == 50.0
    assert all(len(burst) <= 0.2 * 50.0 + 2 for burst in profile.whole.bursts)  # saturated, there would be thousands


def test_an_agent_measures_a_segment_in_a_stage_process() -> None:
    with connect(Device("a")) as connection:
        profile = profile_graph(NET.graph, NET.model, connection, budget_s=0.05)
        profile = measure_segments(NET.graph, NET.model, connection, profile, [(1, 3)], burst_s=0.05)
    for segment in (profile.whole, profile.segment(1, 3)):
        assert segment is not None and segment.samples >= 10 and 0 < segment.p10_s <= segment.p50_s <= segment.p90_s
        assert segment.memory_bytes is not None and segment.memory_bytes > profile.base_bytes > 2**20
        assert segment.memory_bytes == max(segment.load_peak_bytes or 0, segment.run_peak_bytes or 0)
    assert profile.coverage == 1 and profile.kernels and not profile.emulated
    assert sum(profile.unit_s) == pytest.approx(profile.whole.p50_s)
    assert profile.conditions.wall_over_cpu is not None and profile.conditions.engines
