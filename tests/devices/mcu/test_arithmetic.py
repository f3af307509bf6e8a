"""Multiplication by scales in integers: rounding, saturation, multipliers at their bounds."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from devices.mcu.arithmetic import clamp_range, doubled, halved, multiplier_of, scaled
from edgekit.errors import GraphError

WORDS = some.integers(-(2**31), 2**31 - 1)
MULTIPLIERS = some.integers(2**30, 2**31 - 1)
SHIFTS = some.integers(-31, 30)


def nearest(exact: Fraction) -> int:
    """Rounded to nearest, halves away from zero."""
    return int(math.copysign(1, exact)) * math.floor(abs(exact) + Fraction(1, 2))


@given(WORDS, WORDS)
def test_doubled_is_the_upper_half_of_a_product(a: int, b: int) -> None:
    exact = Fraction(a * b, 2**31)
    wanted = math.floor(exact + Fraction(1, 2)) if exact >= 0 else math.ceil(exact - Fraction(1, 2) + Fraction(1, 2**31))
    assert int(doubled(a, b)) == min(wanted, 2**31 - 1)


@given(WORDS, some.integers(0, 31))
def test_halved_rounds_halves_away_from_zero(x: int, n: int) -> None:
    assert int(halved(x, n)) == nearest(Fraction(x, 2**n))


def test_the_least_number_squared_saturates() -> None:
    assert int(doubled(-(2**31), -(2**31))) == 2**31 - 1


def test_scaling_rounds_twice() -> None:
    # 5 · 0.29999… = 1.4999…: once it becomes 1; twice, over 2.9999… → 3 → 1.5, it becomes 2
    multiplier, shift = multiplier_of(0.29999999993)
    assert (int(doubled(5, multiplier)), shift) == (3, -1)
    assert int(scaled(5, multiplier, shift)) == 2


@given(WORDS, MULTIPLIERS, SHIFTS)
def test_a_scaled_number_is_within_one_of_the_exact_one(x: int, multiplier: int, shift: int) -> None:
    exact = Fraction(x) * multiplier * Fraction(2) ** (shift - 31)
    got = int(scaled(x, multiplier, shift))
    if abs(exact) < 2**30:
        assert abs(got - exact) <= 1
    assert got * x >= 0


def test_a_left_shift_that_is_too_wide_keeps_the_sign() -> None:
    assert scaled([2**20, -(2**20)], 2**30, 30).tolist() == [2**30, -(2**30)]


def test_arrays_have_a_multiplier_for_each_channel() -> None:
    pairs = [multiplier_of(real) for real in (0.5, 1.0, 3.0)]
    multipliers, shifts = np.array(pairs).T
    assert scaled([[10, 10, 10], [-3, -3, -3]], multipliers, shifts).tolist() == [[5, 10, 30], [-1, -3, -9]]


@given(some.floats(2**-31, 2**29))
def test_a_multiplier_is_the_nearest_of_31_bits(real: float) -> None:
    multiplier, shift = multiplier_of(real)
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real)) <= Fraction(2) ** (shift - 32)


def test_a_fraction_that_rounds_up_to_one_takes_the_next_shift() -> None:
    assert multiplier_of(math.nextafter(1.0, 0.0)) == (2**30, 1)
    assert multiplier_of(1.0) == (2**30, 1)


def test_a_multiplier_too_small_for_any_number_is_zero() -> None:
    assert multiplier_of(2.0**-33) == (0, 0)
    assert multiplier_of(2.0**-32) == (2**30, -31)


@pytest.mark.parametrize("real", [0.0, -0.5, math.nan, math.inf])
def test_scales_without_a_positive_ratio_are_refused(real: float) -> None:
    with pytest.raises(GraphError, match="expected scales whose ratio is a positive number"):
        multiplier_of(real)


def test_scales_with_too_large_a_ratio_are_refused() -> None:
    assert multiplier_of(2.0**29) == (2**30, 30)
    with pytest.raises(GraphError, match="below 2\\^30, got 1.07374e\\+09"):
        multiplier_of(2.0**30)


def test_an_activation_becomes_a_range_of_numbers() -> None:
    assert clamp_range(-math.inf, math.inf, 0.1, 3) == (-128, 127)
    assert clamp_range(0.0, math.inf, 0.1, 3) == (3, 127)
    assert clamp_range(0.0, 6.0, 0.5, -10) == (-10, 2)
    assert clamp_range(-1.0, 1.0, 0.001, 5) == (-128, 127)
    assert clamp_range(-0.25, 0.25, 0.5, 0) == (-1, 1)
