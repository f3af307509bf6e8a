"""Where a graph may be cut, in numbers: between the units as they stand, or wherever one of its branches can be split."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph, Held, Tensor
from edgekit.losses import Losses
from edgekit.profile import Profile
from partitioner.footprints import Footprints
from partitioner.tables import Floats

__all__ = ["Layout", "Places", "cuts"]

Flags = NDArray[np.bool_]


class Layout(NamedTuple):
    """A graph with its units in an order in which the stages of a chain are ranges, and where these begin and end."""

    graph: Graph
    bounds: tuple[int, ...]


class Places(NamedTuple):
    """P places, the first before all units and the last behind them; nested ones in ascending order.

    Attributes:
        names: what each place is called.
        cut_bytes: [P], of all that crosses.
        crossing: for each place the tensors that cross.
        seconds, nbytes: [P, P] of a profile, of the stage between two places; infinite seconds where they are not nested.
        loss: [P, P], of the stage in another precision; infinite where it is not known.
        between: [P, P], whether one of some units, as the graph has them of its own, lies between two places.
        held: for each place, what goes straight through between two stages in a precision, by name.
        layout: of a chain of places.
        opset: of the graph.
    """

    names: tuple[int, ...]
    cut_bytes: Floats
    crossing: tuple[tuple[Tensor, ...], ...]
    seconds: Callable[[Profile], Floats]
    nbytes: Callable[[Profile], Floats]
    loss: Callable[[Losses, str], Floats]
    between: Callable[[range], Flags]
    held: Callable[[str], Sequence[Mapping[str, Held]]]
    layout: Callable[[Sequence[int]], Layout]
    opset: int


def cuts(graph: Graph, footprints: Footprints, together: Sequence[Sequence[int]] = ()) -> Places:
    """The cuts between units in the order of the graph that part none of the groups, which hold units as the graph has them of its own."""
    rank = {unit: position for position, unit in enumerate(graph.order or range(len(graph.units)))}
    spans = [(min(rank[unit] for unit in group), max(rank[unit] for unit in group)) for group in together if group]
    whole = [position for position in graph.candidates if not any(first < position <= last for first, last in spans)]
    positions = (0, *whole, len(graph.units))
    grid, at = np.ix_(positions, positions), np.array(positions)

    def seconds(profile: Profile) -> Floats:
        profile = profile.in_order(graph.order)
        sums = np.concatenate([[0.0], np.cumsum(profile.unit_s)])[at]
        table: Floats = sums[None, :] - sums[:, None]
        row = {position: number for number, position in enumerate(positions)}
        for segment in profile.ranges:
            if segment.start in row and segment.stop in row:
                table[row[segment.start], row[segment.stop]] = segment.p50_s
        table[np.tril_indices(len(positions))] = np.inf
        if profile.twin:
            meet = np.array([graph.runs_in(profile.variant.precision, 0, position) for position in positions])
            table[~np.logical_and.outer(meet, meet)] = np.inf
        return table

    def between(units: range) -> Flags:
        held = np.array([sum(rank[unit] < position for unit in units) for position in positions])
        differ: Flags = held[None, :] > held[:, None]
        return differ

    def loss(losses: Losses, precision: str) -> Floats:
        found = [[losses.of_stage(start, stop, precision) if start < stop else None for stop in positions] for start in positions]
        return np.array([[np.inf if each is None else each for each in row] for row in found])

    return Places(
        positions,
        np.array([graph.cuts[p].nbytes for p in positions], np.float64),
        tuple(graph.cuts[p].tensors for p in positions),
        seconds,
        lambda profile: footprints.table(profile)[grid],
        loss,
        between,
        lambda precision: [graph.held(precision, position) for position in positions],
        lambda chain: Layout(graph, tuple(positions[place] for place in chain)),
        graph.opset,
    )
