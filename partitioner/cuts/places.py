"""Where a graph may be cut, in numbers: what a chain of cuts and a lattice of them both answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph, Held, Tensor
from edgekit.losses import Losses
from edgekit.memory_model import MemoryTable, SegmentBytes
from edgekit.profile import Profile
from partitioner.tables import Floats

__all__ = ["Flags", "Layout", "Places", "rows_of"]

Flags = NDArray[np.bool_]


class Layout(NamedTuple):
    """A graph with its units in an order in which the stages of a chain are ranges, and where these begin and end."""

    graph: Graph
    bounds: tuple[int, ...]


class Places(Protocol):
    """P places, the first before all units and the last behind them; nested ones in ascending order."""

    @property
    def names(self) -> tuple[int, ...]:
        """The name of each place."""

    @property
    def cut_bytes(self) -> Floats:
        """[P], the bytes of all tensors that cross each place."""

    @property
    def crossing(self) -> tuple[tuple[Tensor, ...], ...]:
        """The tensors that cross each place."""

    @property
    def opset(self) -> int:
        """The ONNX opset of the graph."""

    def seconds(self, profile: Profile) -> Floats:
        """[P, P], the seconds of the stage between two places, by a profile; infinite where the places are not nested."""

    def nbytes(self, profile: Profile) -> Floats:
        """[P, P], the memory of the stage between two places, by a profile; infinite where the device cannot run the stage."""

    def planned(self, profile: Profile, value: Callable[[SegmentBytes], float]) -> Floats:
        """[P, P], a value of the stage between two places by its row in the memory table of a profile; 0 where it has none."""

    def loss(self, losses: Losses, precision: str) -> Floats:
        """[P, P], the loss of the stage between two places in another precision; infinite where the loss is not known."""

    def between(self, units: range) -> Flags:
        """[P, P], whether one of these units lies between two places; units are counted in the graph's own order."""

    def held(self, precision: str) -> Sequence[Mapping[str, Held]]:
        """The tensors that two neighbouring stages in a precision exchange in whole numbers: for each place, by name."""

    def layout(self, chain: Sequence[int]) -> Layout:
        """The ordered graph and the stage bounds that belong to a chain of places."""


def rows_of(profile: Profile) -> tuple[SegmentBytes, ...]:
    """The rows of its memory table; none where its memory is predicted otherwise."""
    return profile.memory_model.segments if isinstance(profile.memory_model, MemoryTable) else ()
