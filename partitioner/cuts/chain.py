"""A graph cut between its units as they stand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgekit.graph import Graph, Held, Tensor
from edgekit.losses import Losses
from edgekit.memory_model import SegmentBytes
from edgekit.profile import Profile
from partitioner.cuts.places import Flags, Layout, rows_of
from partitioner.footprints import Footprints
from partitioner.tables import Floats

__all__ = ["ChainPlaces", "cuts"]


@dataclass(frozen=True, eq=False)
class ChainPlaces:
    """Cuts between units; see ``Places``.

    Attributes:
        names: the position of each.
        rank: of each unit, as the graph has it of its own, the position.
    """

    graph: Graph
    footprints: Footprints
    names: tuple[int, ...]
    rank: Mapping[int, int]

    @cached_property
    def cut_bytes(self) -> Floats:
        return np.array([self.graph.cuts[position].nbytes for position in self.names], np.float64)

    @cached_property
    def crossing(self) -> tuple[tuple[Tensor, ...], ...]:
        return tuple(self.graph.cuts[position].tensors for position in self.names)

    @property
    def opset(self) -> int:
        return self.graph.opset

    def seconds(self, profile: Profile) -> Floats:
        profile = profile.in_order(self.graph.order)
        sums = np.concatenate([[0.0], np.cumsum(profile.unit_s)])[np.array(self.names)]
        table: Floats = sums[None, :] - sums[:, None]
        row = {position: number for number, position in enumerate(self.names)}
        for segment in profile.ranges:
            if segment.start in row and segment.stop in row:
                table[row[segment.start], row[segment.stop]] = segment.p50_s
        table[np.tril_indices(len(self.names))] = np.inf
        at = np.array(self.names)
        for unit, _ in profile.cannot_run:
            table[np.ix_(at <= unit, at > unit)] = np.inf
        if profile.twin:
            meet = np.array([self.graph.runs_in(profile.variant.precision, 0, position) for position in self.names])
            table[~np.logical_and.outer(meet, meet)] = np.inf
        return table

    def nbytes(self, profile: Profile) -> Floats:
        return self.footprints.table(profile)[np.ix_(self.names, self.names)]

    def planned(self, profile: Profile, value: Callable[[SegmentBytes], float]) -> Floats:
        table = np.zeros((len(self.names), len(self.names)))
        row = {position: number for number, position in enumerate(self.names)}
        for each in rows_of(profile.in_order(self.graph.order)):
            if each.start in row and each.stop in row:
                table[row[each.start], row[each.stop]] = value(each)
        return table

    def loss(self, losses: Losses, precision: str) -> Floats:
        found = [[losses.of_stage(start, stop, precision) if start < stop else None for stop in self.names] for start in self.names]
        return np.array([[np.inf if each is None else each for each in row] for row in found])

    def between(self, units: range) -> Flags:
        held = np.array([sum(self.rank[unit] < position for unit in units) for position in self.names])
        differ: Flags = held[None, :] > held[:, None]
        return differ

    def held(self, precision: str) -> Sequence[Mapping[str, Held]]:
        return [self.graph.held(precision, position) for position in self.names]

    def layout(self, chain: Sequence[int]) -> Layout:
        return Layout(self.graph, tuple(self.names[place] for place in chain))


def cuts(graph: Graph, footprints: Footprints, together: Sequence[Sequence[int]] = ()) -> ChainPlaces:
    """The cuts between units in the order of the graph that part none of the groups, which hold units as the graph has them of its own."""
    rank = {unit: position for position, unit in enumerate(graph.order or range(len(graph.units)))}
    spans = [(min(rank[unit] for unit in group), max(rank[unit] for unit in group)) for group in together if group]
    whole = [position for position in graph.candidates if not any(first < position <= last for first, last in spans)]
    return ChainPlaces(graph, footprints, (0, *whole, len(graph.units)), rank)
