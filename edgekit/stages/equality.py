"""Whether two runs of the same network agree: bit for bit, or within a stated tolerance.

A value may differ by ``tolerance · magnitude + floor``, where both belong to the tensor (``magnitudes``):

    magnitude   the largest value that the tensor has in any of the frames, or the size of what is summed to make it
                where that is more: 1000.1 - 1000.0 is as exact as 1000, a Relu that gives zeros as exact as what it reads
    floor       a few rounding steps at 1 where a function with values up to 1 (Sigmoid, Softmax) makes it:
                1e-7 out of a Sigmoid has no more than one digit

So an output near zero makes no right device wrong. A device that computes something else is off by more than the
rounding of what went into the sums; where an output is too near zero to show it, frames are added on which it is not.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from edgekit.errors import PromiseError

__all__ = ["TOLERANCE", "Comparison", "Scale", "compare", "require", "tolerance_of"]

TOLERANCE = 1e-4
"""For fp32 on a CPU: other fusions at a boundary reorder sums, which moves the last bits of a float."""

_TOLERANCES = {
    "fp16": 1e-2,  # a cut rounds to 11 bits what a processor without fp16 kernels would have handed on in fp32
    "int8": 2e-2,  # other processors round to the next of 256 steps, and a few such steps add up
    "u8": 2e-2,  # the same of what is sent in eight bits
    "u8c": 2e-2,
}

Arrays = Mapping[str, NDArray[np.generic]]


class Scale(Struct, frozen=True, forbid_unknown_fields=True):
    """What differences of a tensor are measured by."""

    tensor: str
    magnitude: float
    floor: float = 0.0

    def allowed(self, tolerance: float) -> float:
        """By how much a value may differ."""
        return tolerance * self.magnitude + self.floor


def tolerance_of(*precisions: str) -> float:
    """What is allowed for a network of a precision, and for codecs that it is sent in; that of fp32 where nothing else is stated.

    >>> tolerance_of("fp32"), tolerance_of("fp32", "raw", "fp16"), tolerance_of("int8")
    (0.0001, 0.01, 0.02)
    """
    return max(_TOLERANCES.get(precision, TOLERANCE) for precision in precisions)


class Comparison(NamedTuple):
    """The worst difference over all tensors, relative to the magnitude of the tensor; inf where NaNs differ.

    ``tensor``, ``place``, ``got``, ``want`` and ``magnitude`` say where it is; of equal runs they say nothing.
    """

    bit_equal: bool
    worst: float
    tensor: str = ""
    place: tuple[int, ...] = ()
    got: float = 0.0
    want: float = 0.0
    magnitude: float = 0.0


def compare(got: Arrays, want: Arrays, *, scales: Iterable[Scale] = (), tolerance: float = TOLERANCE) -> Comparison:
    """Compare tensors by name; one without a scale is measured by its own largest value.

    >>> compare({"y": np.array([1.0, 2.0])}, {"y": np.array([1.0, 2.0])})[:2]
    (True, 0.0)
    """
    known = {scale.tensor: scale for scale in scales}
    result = Comparison(True, 0.0)
    for name, expected in want.items():
        actual = got[name]
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            return Comparison(False, float("inf"), name)
        if actual.tobytes() != expected.tobytes():
            found = _difference(actual, expected, known.get(name, Scale(name, 0.0)), tolerance)
            result = (found if found.worst >= result.worst else result)._replace(bit_equal=False)
    return result


def _difference(got: NDArray[np.generic], want: NDArray[np.generic], scale: Scale, tolerance: float) -> Comparison:
    """The worst element of a tensor; what the floor allows counts as so much more magnitude."""
    left, right = np.atleast_1d(got.astype(np.float64)), np.atleast_1d(want.astype(np.float64))
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(left - right))
    apart[np.isnan(apart)] = np.inf
    index = np.unravel_index(int(apart.argmax()), apart.shape)
    finite = np.abs(right[np.isfinite(right)])
    magnitude = (max(scale.magnitude, float(finite.max(initial=0.0))) or 1.0) + (scale.floor / tolerance if tolerance else 0.0)
    place = tuple(int(each) for each in index) if want.shape else ()
    worst = float(apart[index]) / magnitude
    return Comparison(False, worst, scale.tensor, place, float(left[index]), float(right[index]), magnitude)


def require(got: Arrays, want: Arrays, what: str, *, tolerance: float = TOLERANCE, scales: Iterable[Scale] = ()) -> Comparison:
    """Compare, and refuse a difference above the tolerance.

    Raises:
        PromiseError: ``what`` differs; the message says by how much and where.
    """
    found = compare(got, want, scales=scales, tolerance=tolerance)
    if found.worst <= tolerance:
        return found
    if not found.magnitude:
        raise PromiseError(f"{what}: expected the output of the unsplit run, {found.tensor} has another shape or type")
    raise PromiseError(
        f"{what}: expected the output of the unsplit run, {found.tensor}[{', '.join(map(str, found.place))}] is "
        f"{found.got:.6g}, not {found.want:.6g}: it differs by {found.worst:.2g} of its magnitude {found.magnitude:.3g} "
        f"({f'at most {tolerance:g} is allowed' if tolerance else 'it has to be equal'}); the device or its engine computes something else"
    )
