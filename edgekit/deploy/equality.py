"""Whether two runs of the same network agree: bit for bit, or within a stated tolerance."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import PromiseError

__all__ = ["TOLERANCE", "Comparison", "compare", "require", "tolerance_of"]

TOLERANCE = 1e-4
"""For fp32 on a CPU: other fusions at a boundary reorder sums, which moves the last bits of a float."""

_TOLERANCES = {
    "fp16": 1e-2,  # a cut rounds to 11 bits what a processor without fp16 kernels would have handed on in fp32
    "int8": 2e-2,  # other processors round to the next of 256 steps, and a few such steps add up
    "u8": 2e-2,  # the same of what is sent in eight bits
    "u8c": 2e-2,
}

Arrays = Mapping[str, NDArray[np.generic]]


def tolerance_of(*precisions: str) -> float:
    """What is allowed for a network of a precision, and for codecs that it is sent in; that of fp32 where nothing else is stated.

    >>> tolerance_of("fp32"), tolerance_of("fp32", "raw", "fp16"), tolerance_of("int8")
    (0.0001, 0.01, 0.02)
    """
    return max(_TOLERANCES.get(precision, TOLERANCE) for precision in precisions)


class Comparison(NamedTuple):
    """The worst difference over all tensors, relative to the largest magnitude of the tensor; inf where NaNs differ."""

    bit_equal: bool
    worst: float
    tensor: str


def compare(got: Arrays, want: Arrays) -> Comparison:
    """Compare tensors by name.

    >>> compare({"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 2.0])})
    Comparison(bit_equal=True, worst=0.0, tensor='')
    """
    result = Comparison(True, 0.0, "")
    for name, expected in want.items():
        actual = got[name]
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            return Comparison(False, float("inf"), name)
        if actual.tobytes() == expected.tobytes():
            continue
        worst = _difference(actual, expected)
        result = Comparison(False, max(worst, result.worst), name if worst >= result.worst else result.tensor)
    return result


def _difference(got: NDArray[np.generic], want: NDArray[np.generic]) -> float:
    left, right = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(right)
    if not np.array_equal(left[~finite], right[~finite], equal_nan=True) or not np.isfinite(left[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    scale = float(np.abs(right[finite]).max()) or 1.0
    return float(np.abs(left[finite] - right[finite]).max()) / scale


def require(got: Arrays, want: Arrays, what: str, tolerance: float = TOLERANCE) -> Comparison:
    """Compare, and refuse a difference above the tolerance.

    Raises:
        PromiseError: ``what`` differs; the message says by how much and where.
    """
    result = compare(got, want)
    if not result.worst <= tolerance:
        raise PromiseError(
            f"{what}: expected the output of the unsplit run, {result.tensor} differs by {result.worst:.2g} of its "
            f"largest value (at most {tolerance:g} is allowed); the device or its onnxruntime computes something else"
        )
    return result
