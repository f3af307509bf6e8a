"""Softmax of int8 rows in fixed point, as TensorFlow Lite's reference kernel computes it.

A fixed-point number with k integer bits is an int32 raw = value · 2^(31 - k). The exponential takes a quarter's
remainder by a polynomial of degree 4 and the rest by a product for each bit (gemmlowp, Jacob et al. 2018,
arXiv 1712.05877); the reciprocal is three steps of Newton and Raphson. All arrays are int64 and hold int32 raws.
"""

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import doubled, halved, scaled

__all__ = ["exponential", "reciprocal", "softmax"]

Integers = NDArray[np.int64]
LEAST, MOST = -(2**31), 2**31 - 1
ONE = MOST  # with 0 integer bits
DIFFERENCE_BITS, SUM_BITS = 5, 12
QUARTER = 1 << 24  # with 5 integer bits
EIGHTH, AN_EIGHTH_LESS, A_THIRD = 1 << 28, 1895147668, 715827883  # 1/8, exp(-1/8), 1/3
# exp(-2^k) with 0 integer bits, for k = -2 to 4
POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
START, SLOPE = 1515870810, -1010580540  # 48/17 and -32/17 with 2 integer bits


def softmax(numbers: NDArray[np.int8], multiplier: int, shift: int, least: int) -> NDArray[np.int8]:
    """The softmax of each row of [rows, elements], with output scale 1/256 and zero -128.

    An element whose difference to the row's maximum is below ``least`` gets the probability 0."""
    differences = numbers.astype(np.int64) - numbers.max(axis=1, keepdims=True)
    counted = differences >= least
    powers = exponential(scaled(np.where(counted, differences, 0), multiplier, shift))
    total = np.where(counted, halved(powers, SUM_BITS), 0).sum(axis=1, keepdims=True)
    factor, bits = reciprocal(total)
    shares = halved(doubled(factor, powers), bits + 31 - 8) - 128
    return np.where(counted, np.clip(shares, -128, 127), -128).astype(np.int8)


def exponential(a: Integers) -> Integers:
    """exp(a) with 0 integer bits, for a <= 0 with 5.

    >>> [int(each) for each in exponential(np.array([0, -(1 << 26)]))]
    [2147483647, 790015308]
    """
    below = (a & (QUARTER - 1)) - QUARTER
    remainder = below - a
    result = _of_a_quarter(np.clip(below << DIFFERENCE_BITS, LEAST, MOST))
    for power, factor in enumerate(POWERS, 24):
        result = np.where(remainder & (1 << power), doubled(result, factor), result)
    return np.where(a == 0, ONE, result)


def _of_a_quarter(a: Integers) -> Integers:
    """exp(a) for -1/4 <= a < 0 by its Taylor series around -1/8."""
    x = a + EIGHTH
    x2 = doubled(x, x)
    x3, x4 = doubled(x2, x), doubled(x2, x2)
    series = halved(doubled(halved(x4, 2) + x3, A_THIRD) + x2, 1)
    return AN_EIGHTH_LESS + doubled(AN_EIGHTH_LESS, x + series)


def reciprocal(total: Integers) -> tuple[Integers, Integers]:
    """1 / total, for a sum >= 1 with 12 integer bits: a factor with 0 integer bits, and by how many bits it is too large."""
    headroom = 32 - np.array([int(each).bit_length() for each in total.ravel()], np.int64).reshape(total.shape)
    fraction = (total << headroom) - 2**31
    half = fraction + ONE
    half = np.sign(half) * ((np.abs(half) + 1) >> 1)
    x = START + doubled(half, SLOPE)
    for _ in range(3):
        error = (1 << 29) - doubled(half, x)
        x = x + np.clip(doubled(x, error) << 2, LEAST, MOST)
    return np.clip(x << 1, LEAST, MOST), SUM_BITS - headroom
