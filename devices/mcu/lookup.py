"""Tables of 256 numbers for operators whose reference kernel in LiteRT is arithmetic of integers.

A table of any other function comes from its real values, rounded once. How the operators of a board round, beside others:

    operator                                board           LiteRT, BUILTIN_REF     onnxruntime
    convolutions, add, mul, other scale     twice           the same                once, float32
    fully connected                         twice           once: 1 off in 0.2 %    once, float32
    mean                                    twice           the same                once, float32
    average pool, softmax                   as LiteRT       the same                once, float32
    leaky ReLU                              twice           the same                once, float32
    hard-swish                              three times     the same                once, float32
    sigmoid, tanh, GELU                     once            the same                once, float32

The multiplier of a mean has the count in it, and what the division leaves is cut off. Where two of them differ, it is by 1 on the
same input. TFLite Micro rounds fully connected operators twice, too.
"""

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import halved, multiplier_of, scaled
from edgekit.errors import GraphError

__all__ = ["Scales", "hard_swish", "leaky"]

Bytes = NDArray[np.int8]
Integers = NDArray[np.int64]
NUMBERS = np.arange(-128, 128)
# scale and zero of the input, scale and zero of the output
Scales = tuple[float, int, float, int]


def leaky(scales: Scales, alpha: float) -> Bytes:
    """x where x >= 0, else alpha · x, for alpha > 0."""
    scale_in, zero_in, scale_out, zero_out = np.float32(scales[0]), scales[1], np.float32(scales[2]), scales[3]
    x = NUMBERS - zero_in
    above = scaled(x, *multiplier_of(float(scale_in / scale_out)))
    below = scaled(x, *multiplier_of(float(scale_in * np.float32(alpha) / scale_out)))
    numbers = np.where(x >= 0, above, below) + zero_out
    table: Bytes = np.clip(numbers, -128, 127).astype(np.int8)
    return table


def hard_swish(scales: Scales) -> Bytes:
    """x · min(max(x + 3, 0), 6) / 6 in integers of 16 bits, x as 128 · (number - zero)."""
    scale_in, zero_in, scale_out, zero_out = scales
    fine = np.float32(scale_in) * np.float32(1 / 128)
    multiplier, shift = _multiplier_of_16_bits(float(fine / np.float32(scale_out)))
    if shift > 0:
        raise GraphError(f"expected a hard-swish whose output scale is at least {fine:g}, got {scale_out:g}")
    x = (NUMBERS.astype(np.int64) - zero_in) * 128
    product = _doubled_16(_gate(x, fine), _rounded_16(x, multiplier))
    return np.clip(halved(product, -shift) + zero_out, -128, 127).astype(np.int8)


def _gate(x: Integers, scale: np.float32) -> Integers:
    """min(max(x / 3, -1), 1) / 2 + 1 / 2 with 15 fraction bits."""
    multiplier, shift = _multiplier_of_16_bits(float(scale / np.float32(3 / 32768)))
    if shift > 0:
        x = _rounded_16(_saturated_16(x << (shift - 1)), multiplier)
        x = _saturated_16(x << 1)
    else:
        x = halved(_rounded_16(x, multiplier), -shift)
    return (x + 2**15) >> 1


def _multiplier_of_16_bits(real: float) -> tuple[int, int]:
    multiplier, shift = multiplier_of(real)
    return min((multiplier + 2**15) >> 16, 2**15 - 1), shift


def _saturated_16(x: Integers) -> Integers:
    return np.clip(x, -(2**15), 2**15 - 1)


def _rounded_16(a: Integers, b: int) -> Integers:
    """The upper half of 2 · a · b for int16 numbers, rounded to nearest."""
    total = a * b
    total = total + np.where(total >= 0, 2**14, 1 - 2**14)
    return _saturated_16(np.sign(total) * (np.abs(total) >> 15))


def _doubled_16(a: Integers, b: Integers) -> Integers:
    """The upper half of 2 · a · b for int16 numbers, rounded towards zero."""
    return _saturated_16(np.sign(a * b) * (np.abs(a * b) >> 15))
