"""Where a graph may be cut, in numbers: what a chain of cuts and a lattice of them both answer."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph, Held, Tensor
from edgekit.losses import Losses
from edgekit.profile import Profile
from partitioner.tables import Floats

__all__ = ["Flags", "Layout", "Places"]

Flags = NDArray[np.bool_]


class Layout(NamedTuple):
    """A graph with its units in an order in which the stages of a chain are ranges, and where these begin and end."""

    graph: Graph
    bounds: tuple[int, ...]


class Places(Protocol):
    """P places, the first before all units and the last behind them; nested ones in ascending order."""

    @property
    def names(self) -> tuple[int, ...]:
        """What each place is called."""

    @property
    def cut_bytes(self) -> Floats:
        """[P], of all that crosses."""

    @property
    def crossing(self) -> tuple[tuple[Tensor, ...], ...]:
        """For each place the tensors that cross."""

    @property
    def opset(self) -> int:
        """Of the graph."""

    def seconds(self, profile: Profile) -> Floats:
        """[P, P] of a profile, of the stage between two places; infinite where they are not nested."""

    def nbytes(self, profile: Profile) -> Floats:
        """[P, P] of a profile, of the stage between two places; infinite where the device cannot run it."""

    def loss(self, losses: Losses, precision: str) -> Floats:
        """[P, P], of the stage in another precision; infinite where it is not known."""

    def between(self, units: range) -> Flags:
        """[P, P], whether one of some units, as the graph has them of its own, lies between two places."""

    def held(self, precision: str) -> Sequence[Mapping[str, Held]]:
        """For each place, what goes straight through between two stages in a precision, by name."""

    def layout(self, chain: Sequence[int]) -> Layout:
        """Of a chain of places."""
