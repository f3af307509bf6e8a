"""Profiles: kernels are scaled to the measured whole, and what was measured beats what is estimated."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from edgekit.conditions import Conditions
from edgekit.device import RunsOn, Variant
from edgekit.errors import UsageError
from edgekit.files import encode, read
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.quantity import Badge
from tests.strategies import profiles

CONDITIONS = Conditions("x86_64", "a processor", ("onnxruntime 1.20",), 99, False, 1.0)


def measured(start: int, stop: int, p50_s: float) -> SegmentTime:
    return SegmentTime(start, stop, p50_s, p50_s, p50_s, 0.0, 5)


def profile(count: int, kernels: list[tuple[float, tuple[int, ...]]], *segments: SegmentTime) -> Profile:
    named = tuple(Kernel(f"k{i}", "Conv", seconds, units) for i, (seconds, units) in enumerate(kernels))
    return Profile("d", "pi", count, Variant(), CONDITIONS, named, segments)


def test_kernels_are_scaled_so_that_they_add_up_to_the_measured_whole() -> None:
    # the profiler slows kernels down: 8 s with it on, 4 s without
    assert profile(3, [(1.0, (0,)), (5.0, (1,)), (2.0, (2,))], measured(0, 3, 4.0)).unit_s == (0.5, 2.5, 1.0)


def test_a_profile_is_a_table_of_what_was_measured_and_of_units_that_were_not() -> None:
    found = profile(2, [(1.0, (0,)), (3.0, (1,))], measured(0, 2, 4.0), measured(1, 2, 2.5))
    rows = [(row["start"], row["stop"], row["p50_s"], row["badge"]) for row in found.table()]
    assert rows == [(0, 2, 4.0, "measured"), (1, 2, 2.5, "measured"), (0, 1, 1.0, "estimated")]
    assert repr(found) == "<Profile of 2 units on pi, fp32 CPU ×1: 4000 ms measured; profile.table() lists its segments>"


def test_kernels_of_one_unit_add_up() -> None:
    assert profile(2, [(1.0, (0,)), (1.0, (0,)), (2.0, (1,))], measured(0, 2, 4.0)).unit_s == (2.0, 2.0)


def test_a_kernel_that_spans_units_is_shared_among_them() -> None:
    #            unit   0    1    2
    #   k0 of 6 s       2    2    2
    #   k1 of 2 s                 2
    assert profile(3, [(6.0, (0, 1, 2)), (2.0, (2,))], measured(0, 3, 8.0)).unit_s == (2.0, 2.0, 4.0)


def test_a_unit_without_a_kernel_costs_nothing() -> None:
    assert profile(3, [(1.0, (0,)), (1.0, (2,))], measured(0, 3, 2.0)).unit_s == (1.0, 0.0, 1.0)


def test_a_kernel_of_no_unit_is_spread_with_the_rest() -> None:
    assert profile(2, [(3.0, ()), (1.0, (0,)), (1.0, (1,))], measured(0, 2, 5.0)).unit_s == (2.5, 2.5)


def test_without_kernels_the_whole_is_divided_evenly() -> None:
    assert profile(4, [], measured(0, 4, 2.0)).unit_s == (0.5, 0.5, 0.5, 0.5)
    assert profile(2, [(0.0, (0,))], measured(0, 2, 2.0)).unit_s == (1.0, 1.0)


def test_an_optimist_takes_a_quarter_off_estimates_and_leaves_measurements_alone() -> None:
    costs = profile(3, [(1.0, (0,)), (1.0, (1,)), (2.0, (2,))], measured(0, 3, 4.0), measured(0, 2, 2.5)).optimistic()
    assert costs.compute_s(0, 2) == (2.5, "measured")
    assert costs.compute_s(0, 1) == (0.75, "estimated")


def test_an_optimist_who_has_seen_ten_segments_goes_by_them() -> None:
    seen = [measured(unit, unit + 1, 0.8 if unit == 3 else 0.9 if unit == 4 else 1.1) for unit in range(11)]
    costs = profile(12, [(1.0, (unit,)) for unit in range(12)], measured(0, 12, 12.0), *seen).optimistic()
    assert costs.compute_s(11, 12)[0] == pytest.approx(0.9)  # the second quickest of eleven
    quick = profile(12, [(1.0, (unit,)) for unit in range(12)], measured(0, 12, 12.0), *(measured(u, u + 1, 1.2) for u in range(11)))
    assert quick.optimistic().compute_s(11, 12)[0] == 1.0  # where all took longer than estimated, estimates are low enough


def test_what_was_measured_beats_what_is_estimated() -> None:
    costs = profile(3, [(1.0, (0,)), (1.0, (1,)), (2.0, (2,))], measured(0, 3, 4.0), measured(0, 2, 2.5))
    assert costs.compute_s(0, 3) == (4.0, "measured")
    assert costs.compute_s(0, 2) == (2.5, "measured")
    assert costs.compute_s(0, 1) == (1.0, "estimated")
    assert costs.compute_s(1, 3) == (3.0, "estimated")


def test_after_a_pause_what_was_measured_so_counts_and_sums_are_scaled_as_the_whole() -> None:
    whole, part, quicker = (
        structs.replace(measured(*span, p50_s), rested_s=rested_s)
        for span, p50_s, rested_s in (((0, 3), 4.0, 6.0), ((0, 2), 2.0, 2.5), ((0, 1), 1.0, 0.9))
    )
    costs = profile(3, [(1.0, (0,)), (1.0, (1,)), (2.0, (2,))], whole, part, quicker, measured(1, 3, 3.1))
    spans = (0, 3), (0, 2), (0, 1), (1, 3), (2, 3)
    assert [costs.rested.compute_s(*span)[0] for span in spans] == [6.0, 2.5, 1.0, 3.1, 3.0]
    assert [costs.compute_s(*span)[0] for span in spans] == [4.0, 2.0, 1.0, 3.1, 2.0]


@pytest.mark.parametrize(
    ("conditions", "variant", "badge", "runs_on", "crowded"),
    [
        ({}, Variant(), "measured", "cpu", True),  # nobody knows
        ({"core_count": 4}, Variant(threads=4), "measured", "cpu", True),
        ({"core_count": 4}, Variant(threads=3), "measured", "cpu", False),
        ({"speed": 0.5}, Variant(threads=4), "measured", "cpu", False),
        ({"speed": 0.5}, Variant(), "spec", "cpu", True),
        ({"core_count": 1}, Variant("fp32", "CUDAExecutionProvider"), "measured", "gpu", False),
        ({"core_count": 1}, Variant("fp32", "XnnpackExecutionProvider"), "measured", "cpu", True),
        ({"core_count": 1}, Variant(engine="hailo"), "measured", "npu", False),
        ({"core_count": 1}, Variant(), "measured", None, True),  # of an older file
        ({"core_count": 1}, Variant("fp32", "CUDAExecutionProvider"), "measured", None, False),
    ],
)
def test_the_transport_has_a_core_where_the_stage_leaves_it_one(
    conditions: dict[str, float], variant: Variant, badge: Badge, runs_on: RunsOn | None, crowded: bool
) -> None:
    costs = profile(1, [(1.0, (0,))], measured(0, 1, 1.0))
    held = structs.replace(costs.conditions, **conditions)
    assert structs.replace(costs, conditions=held, variant=variant, badge=badge, runs_on=runs_on).crowded is crowded


def test_a_device_that_was_never_at_rest_is_always_as_quick() -> None:
    costs = profile(3, [(1.0, (0,))], measured(0, 3, 4.0))
    assert costs.rested is costs


@pytest.mark.parametrize(
    ("badge", "segment", "kernels"),
    [("spec", "spec", "spec"), ("estimated", "estimated", "estimated"), ("measured", "measured", "estimated")],
)
def test_times_are_worth_no_more_than_the_device_is_known(badge: Badge, segment: Badge, kernels: Badge) -> None:
    costs = structs.replace(profile(2, [(1.0, (0,)), (1.0, (1,))], measured(0, 2, 4.0)), badge=badge)
    assert costs.compute_s(0, 2) == (4.0, segment)
    assert costs.compute_s(0, 1) == (2.0, kernels)


def test_a_segment_is_found_by_its_range() -> None:
    part = measured(1, 2, 1.0)
    costs = profile(2, [], measured(0, 2, 3.0), part)
    assert costs.segment(1, 2) == part
    assert costs.segment(0, 1) is None
    assert costs.whole.p50_s == 3.0


def test_a_profile_without_the_whole_graph_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"the profile of pi lacks the whole graph, units \[0, 3\); profile it again"):
        profile(3, [(1.0, (0,))], measured(0, 2, 1.0)).compute_s(0, 1)


@pytest.mark.parametrize("units", [(3,), (0, 7)])
def test_a_kernel_outside_the_graph_is_refused(units: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="kernel k0 claims units .*, the graph has 3; profile it again"):
        profile(3, [(1.0, units)], measured(0, 3, 1.0))


@pytest.mark.parametrize(("start", "stop"), [(1, 1), (2, 1), (0, 4)])
def test_a_segment_outside_the_graph_is_refused(start: int, stop: int) -> None:
    with pytest.raises(UsageError, match=rf"units \[{start}, {stop}\) are no segment of 3 units; profile it again"):
        profile(3, [], measured(0, 3, 1.0), measured(start, stop, 1.0))


@given(profiles(), st.floats(0, 1e6))
def test_estimates_of_units_add_up_to_the_whole_whatever_the_kernels(drawn: Profile, whole_s: float) -> None:
    kernels = [(kernel.seconds % 1e6, kernel.units) for kernel in drawn.kernels]
    estimated = profile(drawn.unit_count, kernels, measured(0, drawn.unit_count, whole_s)).unit_s
    assert len(estimated) == drawn.unit_count
    assert min(estimated) >= 0
    assert sum(estimated) == pytest.approx(whole_s)


def test_the_compute_units_are_counted_by_provider() -> None:
    ran = [("CUDAExecutionProvider", 3.0), ("CPUExecutionProvider", 1.0), ("CUDAExecutionProvider", 2.0)]
    kernels = tuple(Kernel(f"k{i}", "Conv", seconds, (0,), provider=provider) for i, (provider, seconds) in enumerate(ran))
    one = Profile("d", "pi", 1, Variant(), CONDITIONS, kernels, (measured(0, 1, 1.0),))
    assert one.providers == {"CUDA": (2, 5.0), "CPU": (1, 1.0)}
    assert one.compute_units == "compute units: CPU 1 | CUDA 2"
    assert profile(1, [(1.0, (0,))]).compute_units == ""


def test_shares_divide_a_spanning_kernel_and_there_is_one_for_each_unit() -> None:
    kernel = Kernel("k", "Conv", 4.0, (0, 1), (0.75, 0.25))
    assert Profile("d", "pi", 2, Variant(), CONDITIONS, (kernel,), (measured(0, 2, 8.0),)).unit_s == (6.0, 2.0)
    with pytest.raises(UsageError, match="kernel k has 1 shares of 2 units; profile it again"):
        Profile("d", "pi", 2, Variant(), CONDITIONS, (Kernel("k", "Conv", 4.0, (0, 1), (1.0,)),), ())


def test_a_profile_that_an_earlier_edgekit_wrote_is_read(tmp_path: Path) -> None:
    today = Profile("d", "pi", 1, Variant(), CONDITIONS, (Kernel("k", "Conv", 1.0, (0,)),), (measured(0, 1, 1.0),))
    raw = json.loads(encode(today))
    raw["conditions"]["onnxruntime"] = raw["conditions"].pop("engines")[0].removeprefix("onnxruntime ")
    (tmp_path / "pi.profile.json").write_text(json.dumps(raw))
    assert raw["conditions"]["onnxruntime"] == "1.20"
    assert read(tmp_path / "pi.profile.json", Profile) == today
