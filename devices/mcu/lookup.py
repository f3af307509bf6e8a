"""Tables of 256 numbers, from int8 to int8, through which an element-wise operator works.

A table's rounding is that of LiteRT's reference kernel of the operator, from whatever file the network comes:

    requantized, ReLU family   Q31 multiplier, rounds twice
    leaky ReLU                 the same, with a multiplier for each side of zero
    hard-swish                 its own integers of 16 bits, which round three times
    sigmoid, tanh, GELU        float32, halves away from zero

onnxruntime computes them all in float32 and rounds halves to even: it differs by at most 1.
"""

from collections.abc import Callable
from math import erf

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import halved, multiplier_of, scaled
from edgekit.errors import GraphError

__all__ = ["Scales", "gelu", "hard_swish", "leaky", "of_values", "requantized", "sigmoid", "tanh"]

Bytes = NDArray[np.int8]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
NUMBERS = np.arange(-128, 128)
# scale and zero of the input, scale and zero of the output
Scales = tuple[float, int, float, int]


def requantized(scales: Scales, low: int = -128, high: int = 127) -> Bytes:
    """The same values with another scale and zero, clamped."""
    scale_in, zero_in, scale_out, zero_out = scales
    numbers = scaled(NUMBERS - zero_in, *multiplier_of(float(np.float32(scale_in)) / float(np.float32(scale_out))))
    table: Bytes = np.clip(numbers + zero_out, low, high).astype(np.int8)
    return table


def leaky(scales: Scales, alpha: float) -> Bytes:
    """x where x >= 0, else alpha · x, for alpha > 0."""
    scale_in, zero_in, scale_out, zero_out = np.float32(scales[0]), scales[1], np.float32(scales[2]), scales[3]
    x = NUMBERS - zero_in
    above = scaled(x, *multiplier_of(float(scale_in / scale_out)))
    below = scaled(x, *multiplier_of(float(scale_in * np.float32(alpha) / scale_out)))
    numbers = np.where(x >= 0, above, below) + zero_out
    table: Bytes = np.clip(numbers, -128, 127).astype(np.int8)
    return table


def of_values(scales: Scales, function: Callable[[Floats], Floats]) -> Bytes:
    """Any function of values, in float32; halves away from zero."""
    scale_in, zero_in, scale_out, zero_out = scales
    values = function((NUMBERS - zero_in).astype(np.float32) * np.float32(scale_in))
    ratios = np.asarray(values, np.float32) * (np.float32(1) / np.float32(scale_out))
    rounded = np.copysign(np.floor(np.abs(ratios.astype(np.float64)) + 0.5), ratios)
    table: Bytes = np.clip(rounded + zero_out, -128, 127).astype(np.int8)
    return table


def sigmoid(scales: Scales) -> Bytes:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return of_values(scales, lambda x: np.float32(1) / (np.float32(1) + np.exp(-x)))


def tanh(scales: Scales) -> Bytes:
    """The hyperbolic tangent."""
    return of_values(scales, np.tanh)


def gelu(scales: Scales, approximate: bool = False) -> Bytes:
    """x · Φ(x) by the error function, or by its approximation through tanh (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""
    return of_values(scales, _gelu_by_tanh if approximate else _gelu_by_erf)


def _gelu_by_erf(x: Floats) -> Floats:
    share = np.array([erf(float(each) / 2**0.5) for each in x])
    return np.asarray(x * 0.5 * (1 + share), np.float32)


def _gelu_by_tanh(x: Floats) -> Floats:
    x = x.astype(np.float64)
    return np.asarray(0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))), np.float32)


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
