"""Tables of element-wise operators against their formulas."""

import numpy as np
import pytest

from devices.mcu import lookup
from edgekit.errors import GraphError

SCALES = [(0.05, 3, 1 / 256, -128), (0.031, -90, 0.02, 17), (0.0041, 120, 0.03, -4)]


def hard_swish(x: float) -> float:
    return x * min(max(x + 3, 0), 6) / 6


@pytest.mark.parametrize("scales", SCALES)
def test_a_leaky_table_is_its_function_rounded_twice(scales: lookup.Scales) -> None:
    scale_in, zero_in, scale_out, zero_out = scales
    values = [scale_in * (number - zero_in) for number in range(-128, 128)]
    exact = [(x if x >= 0 else 0.1 * x) / scale_out + zero_out for x in values]
    assert np.abs(lookup.leaky(scales, 0.1) - np.clip(exact, -128, 127)).max() <= 0.76


@pytest.mark.parametrize("scales", [(0.05, 3, 0.04, -20), (0.031, -90, 0.02, 17), (0.0041, 120, 0.03, -4)])
def test_hard_swish_is_within_one(scales: lookup.Scales) -> None:
    scale_in, zero_in, scale_out, zero_out = scales
    exact = [hard_swish(scale_in * (number - zero_in)) / scale_out + zero_out for number in range(-128, 128)]
    assert np.abs(lookup.hard_swish(scales) - np.clip(exact, -128, 127)).max() <= 1.01


def test_a_hard_swish_with_too_fine_an_output_is_refused() -> None:
    with pytest.raises(GraphError, match="output scale is at least 0.0078125"):
        lookup.hard_swish((1.0, 0, 0.001, 0))
