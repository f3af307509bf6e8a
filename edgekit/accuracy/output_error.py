"""What a network in another precision loses, as far as outputs tell: how they differ from those of the network it was made of."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from edgekit.errors import GraphError
from edgekit.quantity import Badge, Count, Name

__all__ = ["Accuracy", "OutputDifference", "difference"]

Arrays = Mapping[str, NDArray[np.generic]]
Ratio = Annotated[float, Meta(ge=0)]

STEADY = 1e-6
"""An output that varies by no more of its magnitude is constant, but for rounding."""


class OutputDifference(Struct, frozen=True, forbid_unknown_fields=True):
    """How one output differs over all samples.

    Attributes:
        largest: the largest difference of an element.
        relative: the same, over the largest magnitude of the output in fp32.
        rms: root of the mean square of the differences, over the standard deviation of the output in fp32; of an output
            that never varies, over its magnitude.
        agreement: share of samples with the same largest element; None where the output does not look like class scores.
    """

    name: Name
    largest: Ratio
    relative: Ratio
    rms: Ratio
    agreement: Annotated[float, Meta(ge=0, le=1)] | None = None


class Accuracy(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.accuracy"):
    """A network in another precision beside the one that it was made of (``source``), both by digest.

    ``badge`` is measured where the samples were kept out of the calibration, else estimated: on what it was calibrated with,
    a network errs less than on what it will see. Estimated too where the machine that compared has no kernels of the
    precision: ``widened`` of them computed in fp32, so that of fp16 only the rounding of the weights shows.
    """

    graph: Name
    source: Name
    precision: Name
    calibrated: Count
    samples: Count
    outputs: tuple[OutputDifference, ...]
    badge: Badge
    widened: Count = 0
    version: int = 1


def difference(name: str, got: Sequence[NDArray[np.generic]], want: Sequence[NDArray[np.generic]]) -> OutputDifference:
    """Compare one output, sample by sample.

    Raises:
        GraphError: values that are finite in fp32 no longer are.

    >>> found = difference("y", [np.array([[1.0, 3.5]])], [np.array([[1.0, 4.0]])])
    >>> found.largest, found.relative, found.agreement
    (0.5, 0.125, 1.0)
    """
    left, right = (np.stack(arrays).astype(np.float64) for arrays in (got, want))
    finite = np.isfinite(right)
    if not np.isfinite(left[finite]).all():
        raise GraphError(f"output {name} is no longer finite: a value is too large for this precision; keep the network in fp32")
    apart = np.abs(left[finite] - right[finite])
    scale = float(np.abs(right[finite]).max(initial=0.0)) or 1.0
    largest = float(apart.max(initial=0.0))
    rms = float(np.sqrt(np.mean(apart**2))) / _usual(right[finite]) if finite.any() else 0.0
    return OutputDifference(name, largest, largest / scale, rms, _agreement(left, right) if want[0].dtype.kind == "f" else None)


def _usual(values: NDArray[np.float64]) -> float:
    """By how much values usually differ from their mean: what an offset adds to all of them says nothing."""
    deviation, power = float(values.std()), float(np.sqrt(np.mean(values**2)))
    return deviation if deviation > STEADY * power else power or 1.0


def _agreement(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    """Scores are a row of at least two numbers for each sample of the batch: (samples, batch, classes), with axes of one in between."""
    shape = [
        right.shape[0],
        right.shape[1] if right.ndim > 2 else 1,
        *(size for size in right.shape[2 if right.ndim > 2 else 1 :] if size > 1),
    ]
    if len(shape) != 3:
        return None
    same = left.reshape(shape).argmax(-1) == right.reshape(shape).argmax(-1)
    return float(same.mean())
