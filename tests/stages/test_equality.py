"""When two runs count as equal."""

import numpy as np
import pytest

from edgekit.errors import PromiseError
from edgekit.stages.equality import TOLERANCE, Comparison, compare, require, tolerance_of

WANT = np.array([1.0, -4.0, np.inf], np.float32)


@pytest.mark.parametrize(
    ("got", "worst"),
    [
        ([1.0, -4.0, np.inf], 0.0),
        ([1.0, -4.4, np.inf], 0.1),
        ([1.0, -4.0, 5.0], np.inf),
        ([np.nan, -4.0, np.inf], np.inf),
        ([1.0, -4.0, -np.inf], np.inf),
    ],
)
def test_the_worst_difference_is_relative_to_the_largest_value(got: list[float], worst: float) -> None:
    outcome = compare({"y": np.array(got, np.float32)}, {"y": WANT})
    assert outcome.worst == pytest.approx(worst) and outcome.bit_equal == (worst == 0)


def test_another_shape_or_type_is_never_equal() -> None:
    assert compare({"y": WANT[:2]}, {"y": WANT}) == Comparison(False, float("inf"), "y")
    assert compare({"y": WANT.astype(np.float64)}, {"y": WANT}) == Comparison(False, float("inf"), "y")


def test_the_tensor_at_fault_is_named() -> None:
    close, far = WANT[:2], WANT[:2] * np.float32(1.5)
    words = r"the pipeline: expected the output of the unsplit run, z\[1\] is -6, not -4: it differs by 0.5 of its magnitude 4"
    with pytest.raises(PromiseError, match=words):
        require({"y": close, "z": far}, {"y": close, "z": close}, "the pipeline")
    assert require({"y": close}, {"y": close}, "the pipeline").bit_equal


def test_more_may_differ_where_fewer_bits_are_kept() -> None:
    assert tolerance_of("fp32") == TOLERANCE < tolerance_of("fp16") < tolerance_of("int8")
    require({"y": np.float32([1.001])}, {"y": np.float32([1.0])}, "half", tolerance=tolerance_of("fp16"))
    with pytest.raises(PromiseError):
        require({"y": np.float32([1.001])}, {"y": np.float32([1.0])}, "whole", tolerance=tolerance_of("fp32"))
