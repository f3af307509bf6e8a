"""What differs between two profiles is named, and where it shows comes first."""

import msgspec
import pytest

from edgekit.conditions import Conditions
from edgekit.device import Variant
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.report import differences, shifts

CONDITIONS = Conditions(
    "aarch64", "Cortex-A76", ("onnxruntime 1.23.2",), 99, False, 1.0, kernel="6.6.31", governors=("ondemand",), temperature_c=(48.0, 61.0)
)


def profile(whole_s: float, conditions: Conditions = CONDITIONS, graph: str = "digest", **seconds: float) -> Profile:
    kernels = tuple(Kernel(f"k{unit}", op, each, (unit,)) for unit, (op, each) in enumerate(seconds.items()))
    return Profile(graph, "pi", 3, Variant(), conditions, kernels, (SegmentTime(0, 3, whole_s, whole_s, whole_s, 0.0, 9),))


BEFORE = profile(1.0, Conv=0.5, Gemm=0.4, Add=0.1)


def test_two_alike_do_not_differ() -> None:
    assert differences(BEFORE, BEFORE) == ()
    assert all(shift.ratio == 1.0 for shift in shifts(BEFORE, BEFORE))


def test_each_condition_that_changed_is_named_and_heat_alone_is_none() -> None:
    after = msgspec.structs.replace(
        CONDITIONS, engines=("onnxruntime 1.31.1",), kernel="6.12.2", governors=("performance",), temperature_c=(70.0, 71.0)
    )
    assert [str(change) for change in differences(BEFORE, profile(1.0, after))] == [
        "engines was onnxruntime 1.23.2, and is onnxruntime 1.31.1",
        "kernel was 6.6.31, and is 6.12.2",
        "governors was ondemand, and is performance",
    ]


def test_what_changed_most_comes_first() -> None:
    found = shifts(BEFORE, profile(1.6, Conv=1.0, Gemm=0.5, Add=0.1))
    assert [shift.name for shift in found] == ["whole network", "Conv", "Gemm", "Add", "unit 0", "unit 1", "unit 2"]
    assert found[0].ratio == pytest.approx(1.6)
    assert (found[1].before_s, found[1].after_s) == (pytest.approx(0.5), pytest.approx(1.0))


def test_of_two_graphs_types_are_compared_and_units_are_not() -> None:
    found = shifts(BEFORE, profile(0.5, graph="another", Conv=0.4, Mul=0.1))
    assert [shift.name for shift in found[:2]] == ["whole network", "Gemm"]
    assert {shift.name: shift.ratio for shift in found[2:]} == {"Conv": pytest.approx(0.8), "Add": 0.0, "Mul": None}
