"""Integer arithmetic of scales (firmware/SPEC.md, section 1), exact and over whole arrays.

    real multiplier = m · 2^(s - 31)        m in [2^30, 2^31) or 0, s in [-31, 30]

It rounds twice, as the reference kernels of TensorFlow Lite do (Jacob et al. 2018, arXiv 1712.05877).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekit.errors import GraphError

__all__ = ["clamp_range", "doubled", "halved", "mean_multiplier", "multiplier_of", "scaled"]

Integers = NDArray[np.int64]
LEAST, MOST = -(2**31), 2**31 - 1


def doubled(a: ArrayLike, b: ArrayLike) -> Integers:
    """The upper half of 2 · a · b for int32 numbers, rounded to nearest; saturated.

    >>> int(doubled(3, 2**30))
    2
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    total = product + np.where(product >= 0, 2**30, 1 - 2**30)
    rounded: Integers = np.minimum(np.sign(total) * (np.abs(total) >> 31), MOST)
    return rounded


def halved(x: ArrayLike, n: ArrayLike) -> Integers:
    """x / 2^n, rounded to nearest, halves away from zero.

    >>> [int(halved(x, 1)) for x in (-3, -1, 1, 3)]
    [-2, -1, 1, 2]
    """
    x, n = np.asarray(x, np.int64), np.asarray(n, np.int64)
    half = (np.int64(1) << n) >> 1
    rounded: Integers = np.sign(x) * ((np.abs(x) + half) >> n)
    return rounded


def scaled(x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """int32 numbers times multiplier · 2^(shift - 31); what a shift to the left pushes out saturates."""
    shift = np.asarray(shift, np.int64)
    left = np.clip(np.asarray(x, np.int64) << np.maximum(shift, 0), LEAST, MOST)
    return halved(doubled(left, multiplier), np.maximum(-shift, 0))


def multiplier_of(real: float) -> tuple[int, int]:
    """Multiplier and shift nearest to ``real``; below 2^-33 both are 0, so that everything becomes 0.

    >>> multiplier_of(0.75)
    (1610612736, 0)
    """
    if not (math.isfinite(real) and real > 0):
        raise GraphError(f"expected scales whose ratio is a positive number, got {real:g}; quantize the network again")
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift > 30:
        raise GraphError(f"expected scales whose ratio is below 2^30, got {real:g}; quantize the network again")
    return (multiplier, shift) if shift >= -31 else (0, 0)


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """The multiplier and shift that turn a sum of ``count`` numbers into their mean times ``real``; the division truncates.

    The multiplier is in [2^29, 2^31): TensorFlow Lite's reference kernel of MEAN does not bring it back to 2^30, and rounds by it.

    >>> mean_multiplier(1.0, 3)
    (715827882, 0)
    """
    multiplier, shift = multiplier_of(real)
    fraction = min(count.bit_length() - 1, 31 + shift)
    return (multiplier << fraction) // count, shift - fraction


def clamp_range(least: float, most: float, scale: float, zero: int) -> tuple[int, int]:
    """The int8 numbers between which an output is kept, for an activation between two values (infinite: no bound).

    >>> clamp_range(0.0, 6.0, 0.1, -128)
    (-128, -68)
    """
    return _number(least, scale, zero), _number(most, scale, zero)


def _number(value: float, scale: float, zero: int) -> int:
    """The int8 number nearest to a value, halves away from zero, as float32 divides."""
    ratio = float(np.float32(value) / np.float32(scale))
    if abs(ratio) > 2**20:
        return 127 if ratio > 0 else -128
    return min(max(int(math.copysign(math.floor(abs(ratio) + 0.5), ratio)) + zero, -128), 127)
