"""What a tensor of the network stands for while it is compiled.

    Outside     a float input that no QuantizeLinear has read yet
    Placed      int8 numbers in a buffer
    Curve       real values that follow number by number from a Placed: its DequantizeLinear, and functions of that
    Pending     the real result of an operator that waits for the QuantizeLinear behind it
    Constant    numbers known now

``places`` of a Placed has the declared shape and tells where in the buffer each element lies, so that transposing, reshaping,
slicing and repeating a tensor is the same operation on ``places``, and moves no byte.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Constant",
    "Curve",
    "Entry",
    "Outside",
    "Pending",
    "Placed",
    "Places",
    "Reals",
    "Scaling",
    "View",
    "dequantized",
    "shape_of",
    "viewed",
]

Places = NDArray[np.int64]
Reals = NDArray[np.float64]
View = Callable[[NDArray[Any]], NDArray[Any]]
NUMBERS = np.arange(-128, 128)


class Scaling(NamedTuple):
    """value = (number - zero) · scale of int8 numbers, kept between ``low`` and ``high``."""

    scale: float
    zero: int
    low: int = -128
    high: int = 127


@dataclass(frozen=True, eq=False)
class Placed:
    """int8 numbers in a buffer."""

    buffer: int
    places: Places

    def lies_as(self, other: "Placed") -> bool:
        """Whether both are the same bytes in the same order."""
        return self.buffer == other.buffer and np.array_equal(self.places, other.places)


@dataclass(frozen=True, eq=False)
class Outside:
    """A float input; its scale is that of the first QuantizeLinear."""

    name: str
    placed: Placed


@dataclass(frozen=True, eq=False)
class Curve:
    """Real values, one for each of the 256 numbers of a Placed; ``scaling`` where they are its dequantized numbers as they are.

    ``exact`` makes the numbers of an output where the operator has arithmetic of integers.
    """

    placed: Placed
    reals: Reals
    scaling: Scaling | None = None
    exact: Callable[[Scaling], NDArray[np.int8]] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Pending:
    """The result of an operator, value = ``gain`` · result + ``offset`` for each output channel, then kept in [low, high].

    ``emit`` adds the operator for an output with a scaling and the channels' gains and offsets. ``gain`` is None where the operator
    takes none into itself. ``views`` come after it.
    """

    node: str
    shape: tuple[int, ...]
    emit: Callable[[Scaling, Reals, Reals], Placed]
    gain: Reals | None = None
    offset: Reals | None = None
    channels: int = 1
    low: float = -np.inf
    high: float = np.inf
    views: tuple[View, ...] = ()


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers; value = number · scale, where ``scale`` has the shape of ``numbers``, or is None where the numbers are the values."""

    numbers: NDArray[Any]
    scale: Reals | None = None

    @property
    def values(self) -> NDArray[Any]:
        return self.numbers if self.scale is None else self.numbers * self.scale


Entry = Outside | Placed | Curve | Pending | Constant


def dequantized(placed: Placed, scale: float, zero: int) -> Curve:
    """The real values of int8 numbers."""
    reals = np.asarray((NUMBERS - zero) * float(scale), np.float64)
    return Curve(placed, reals, Scaling(float(scale), zero))


def shape_of(entry: Entry) -> tuple[int, ...]:
    """The declared shape of a tensor."""
    match entry:
        case Constant():
            return entry.numbers.shape
        case Pending():
            return entry.shape
        case Placed():
            return entry.places.shape
        case _:
            return entry.placed.places.shape


def viewed(entry: Entry, view: View) -> Entry:
    """The same elements in another arrangement."""
    match entry:
        case Constant():
            scale = None if entry.scale is None else view(entry.scale)
            return Constant(view(entry.numbers), scale)
        case Pending():
            shape = view(np.empty(entry.shape, np.bool_)).shape
            return replace(entry, shape=shape, views=(*entry.views, view))
        case Placed():
            return replace(entry, places=view(entry.places))
        case _:
            return replace(entry, placed=replace(entry.placed, places=view(entry.placed.places)))
