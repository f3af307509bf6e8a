"""Tables of element-wise operators against their formulas."""

from math import erf, exp, tanh

import numpy as np
import pytest

from devices.mcu import lookup
from edgekit.errors import GraphError

SCALES = [(0.05, 3, 1 / 256, -128), (0.031, -90, 0.02, 17), (0.0041, 120, 0.03, -4)]


def hard_swish(x: float) -> float:
    return x * min(max(x + 3, 0), 6) / 6


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize(
    ("table", "function", "off"),
    [
        (lookup.requantized, lambda x: x, 0.76),
        (lookup.sigmoid, lambda x: 1 / (1 + exp(-x)), 0.51),
        (lookup.tanh, tanh, 0.51),
        (lookup.gelu, lambda x: x * 0.5 * (1 + erf(x / 2**0.5)), 0.51),
        (lambda scales: lookup.gelu(scales, approximate=True), lambda x: x * 0.5 * (1 + erf(x / 2**0.5)), 0.7),
        (lambda scales: lookup.leaky(scales, 0.1), lambda x: x if x >= 0 else 0.1 * x, 0.76),
    ],
    ids=["requantized", "sigmoid", "tanh", "gelu", "gelu by tanh", "leaky"],
)
def test_a_table_is_its_function_rounded(table, function, off, scales) -> None:  # type: ignore[no-untyped-def]
    scale_in, zero_in, scale_out, zero_out = scales
    exact = [function(scale_in * (number - zero_in)) / scale_out + zero_out for number in range(-128, 128)]
    assert np.abs(table(scales) - np.clip(exact, -128, 127)).max() <= off


@pytest.mark.parametrize("scales", [(0.05, 3, 0.04, -20), (0.031, -90, 0.02, 17), (0.0041, 120, 0.03, -4)])
def test_hard_swish_is_within_one(scales: lookup.Scales) -> None:
    scale_in, zero_in, scale_out, zero_out = scales
    exact = [hard_swish(scale_in * (number - zero_in)) / scale_out + zero_out for number in range(-128, 128)]
    assert np.abs(lookup.hard_swish(scales) - np.clip(exact, -128, 127)).max() <= 1.01


def test_requantized_numbers_are_clamped() -> None:
    assert set(lookup.requantized((1.0, 0, 1.0, 5), 5, 11).tolist()) == set(range(5, 12))


def test_a_hard_swish_with_too_fine_an_output_is_refused() -> None:
    with pytest.raises(GraphError, match="output scale is at least 0.0078125"):
        lookup.hard_swish((1.0, 0, 0.001, 0))
