"""A graph that branches, cut at any down-set of its units: what crosses, how long and how large each difference of two is.

stem ─▶ left ─▶ join        {} {stem} {stem, left} {stem, right} {stem, left, right} …
   ╲─▶ right ──╱
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph, Held, Tensor
from edgekit.losses import Losses
from edgekit.memory_model import MemoryEquations, MemoryTable, SegmentBytes
from edgekit.profile import Profile
from partitioner.cuts.ideals import MOST, Lattice, lattice
from partitioner.cuts.places import Flags, Layout, rows_of
from partitioner.footprints import Footprints, copies_of, may_replace, peaks, process_bytes
from partitioner.tables import Floats

__all__ = ["LatticePlaces", "branches"]


@dataclass(frozen=True, eq=False)
class LatticePlaces:
    """Down-sets of units; see ``Places``.

    Attributes:
        every: all down-sets, of which ``kept`` numbers the places.
        tensors: those that may be sent; ``crosses`` tells which of them cross each of all down-sets [tensors, N].
    """

    graph: Graph
    footprints: Footprints
    every: Lattice
    kept: NDArray[np.intp]
    tensors: tuple[Tensor, ...]
    crosses: Flags
    _needs: dict[MemoryEquations, list[Floats]] = field(default_factory=dict)

    @cached_property
    def lattice(self) -> Lattice:
        """The places alone."""
        return Lattice(self.every.members[self.kept], self.every.nested[np.ix_(self.kept, self.kept)])

    @cached_property
    def inside(self) -> Flags:
        """[P, units], whether a unit lies before a place."""
        return self.lattice.members > 0

    @cached_property
    def _number(self) -> dict[bytes, int]:
        return {row.tobytes(): place for place, row in enumerate(self.inside)}

    @cached_property
    def _every_bytes(self) -> Floats:
        return np.array([tensor.nbytes for tensor in self.tensors], np.float64) @ self.crosses

    @cached_property
    def names(self) -> tuple[int, ...]:
        return tuple(range(len(self.kept)))

    @cached_property
    def cut_bytes(self) -> Floats:
        return self._every_bytes[self.kept]

    @cached_property
    def crossing(self) -> tuple[tuple[Tensor, ...], ...]:
        columns = self.crosses[:, self.kept].T
        return tuple(tuple(tensor for tensor, yes in zip(self.tensors, column, strict=True) if yes) for column in columns)

    @property
    def opset(self) -> int:
        return self.graph.opset

    def seconds(self, profile: Profile) -> Floats:
        table = self.lattice.sums(np.array(profile.unit_s))
        for segment in profile.segments:
            for ends in self._ends(segment.members):
                table[ends] = segment.p50_s
        for unit, _ in profile.cannot_run:
            table[self.between(range(unit, unit + 1))] = np.inf
        if profile.twin:  # its stages are cut in the units' own order; here it runs the whole or nothing
            whole = table[0, -1]
            table[:] = np.inf
            table[0, -1] = whole
        return table

    def nbytes(self, profile: Profile) -> Floats:
        table = self._unmeasured(profile)
        for segment in profile.segments:
            if segment.memory_bytes is not None:
                for ends in self._ends(segment.members):
                    if may_replace(profile, table[ends]):
                        table[ends] = segment.memory_bytes
        return table

    def planned(self, profile: Profile, value: Callable[[SegmentBytes], float]) -> Floats:
        table = np.zeros((len(self.kept), len(self.kept)))
        for each in rows_of(profile):
            for ends in self._ends(range(each.start, each.stop)):
                table[ends] = value(each)
        return table

    def loss(self, losses: Losses, precision: str) -> Floats:
        table = np.full((len(self.kept), len(self.kept)), np.inf)
        whole = losses.of_stage(0, len(self.graph.units), precision)
        table[0, -1] = np.inf if whole is None else whole
        return table

    def between(self, units: range) -> Flags:
        held = self.lattice.members[:, units.start : units.stop].sum(axis=1)
        differ: Flags = held[None, :] > held[:, None]
        return differ

    def held(self, precision: str) -> Sequence[Mapping[str, Held]]:
        return [{}] * len(self.kept)

    def layout(self, chain: Sequence[int]) -> Layout:
        steps = (self.inside[after] & ~self.inside[before] for before, after in pairwise(chain))
        order = tuple(unit for step in steps for unit in np.flatnonzero(step).tolist())
        return Layout(self.graph.in_order(order), tuple(int(self.inside[place].sum()) for place in chain))

    def _ends(self, units: Sequence[int]) -> list[tuple[int, int]]:
        """The pairs of places that have just these units between them."""
        added = np.isin(np.arange(self.inside.shape[1]), units)
        return [
            (start, stop)
            for start in np.flatnonzero(~self.inside[:, list(units)].any(axis=1)).tolist()
            if (stop := self._number.get((self.inside[start] | added).tobytes())) is not None
        ]

    def _unmeasured(self, profile: Profile) -> Floats:
        model, base = profile.memory_model, profile.base_bytes
        if profile.resident_bytes:
            return base + self.lattice.sums(np.array(profile.resident_bytes, np.float64))
        if isinstance(model, MemoryTable):
            table: Floats = np.where(self.lattice.nested, np.inf, base)
            for each in model.segments:
                for ends in self._ends(range(each.start, each.stop)):
                    table[ends] = process_bytes(profile, each)
            return table
        if model not in self._needs:
            needs = _needs(self.graph, model, self.every, self._every_bytes)
            self._needs[model] = [table[np.ix_(self.kept, self.kept)] for table in needs]
        corrections = self.footprints.corrections(profile)
        load, run = (each.applied(table) for each, table in zip(corrections, self._needs[model], strict=True))
        return peaks(model, base, load, run)


def branches(graph: Graph, footprints: Footprints, *, together: Sequence[Sequence[int]] = (), most: int = MOST) -> LatticePlaces:
    """Every place where the units of a graph can be cut in two, whatever the order in which they stand, and no group is parted.

    Raises:
        PlanError: there are more than ``most``.
    """
    every = lattice(len(graph.units), graph.unit_edges, most)
    names, crosses = _crossing(graph, every.members > 0)
    tensors = tuple(graph.tensor(name) for name in names)
    travels = np.array([tensor.travels for tensor in tensors], bool)
    parted = [np.ptp(every.members[:, list(group)], axis=1) > 0 for group in together if group]
    kept = np.flatnonzero(~np.logical_or.reduce([crosses[~travels].any(axis=0), *parted]))
    return LatticePlaces(graph, footprints, every, np.unique([0, *kept, len(every.members) - 1]), tensors, crosses)


def _crossing(graph: Graph, inside: Flags) -> tuple[list[str], Flags]:
    """Names of the tensors that may be sent, and which of them cross each down-set [tensors, N]."""
    live = [(unit, node) for unit in range(len(graph.units)) for node in graph.unit_nodes(unit) if not node.constant]
    makers = {name: unit for unit, node in live for name in node.outputs if name}
    readers: dict[str, set[int]] = {}
    for unit, node in live:
        for name in node.inputs:
            readers.setdefault(name, set()).add(unit)
    whole = inside.all(axis=1)
    names, rows = [], []
    for name in dict.fromkeys((*graph.inputs, *makers, *graph.outputs)):
        made = inside[:, makers[name]] if name in makers else np.ones(len(inside), bool) if name in graph.inputs else whole
        wanted = np.full(len(inside), name in graph.outputs)
        if name in readers:
            wanted |= ~inside[:, sorted(readers[name])].all(axis=1)
        if (made & wanted).any():
            names.append(name)
            rows.append(made & wanted)
    return names, np.array(rows).reshape(-1, len(inside))


def _needs(graph: Graph, model: MemoryEquations, found: Lattice, cut_bytes: Floats) -> tuple[Floats, Floats]:
    """[N, N]: what a stage adds to its process by the equations of an engine, while it loads and while it runs."""
    count, places = len(graph.units), len(found.members)
    weights = [graph.segment(unit, unit + 1).weights for unit in range(count)]
    copies = copies_of(graph, model)
    users: dict[str, list[int]] = {}
    for unit, used in enumerate(weights):
        for weight in used:
            users.setdefault(weight.name, []).append(unit)
    own = np.zeros(count)
    held = np.zeros((places, places))
    for name, units in users.items():
        nbytes = graph.tensor(name).nbytes * copies.get(name, model.weight_copies)
        if len(units) == 1:
            own[units[0]] += nbytes
        else:
            has = found.members[:, units].sum(axis=1)
            held += nbytes * (has[None, :] > has[:, None])
    held += np.where(found.nested, found.sums(own), 0.0)
    largest = np.array([max((w.nbytes for w in used if w.name in copies), default=0) for used in weights], np.float64)
    made = np.array(graph.step_bytes, np.float64) - np.array([cut.nbytes for cut in graph.cuts[:-1]], np.float64)
    big, step = _most(found, largest, made, cut_bytes)
    load = held + model.layout_copies * big
    return load, load + np.where(found.nested, cut_bytes[:, None] + cut_bytes[None, :], 0.0) + model.activation_copies * step


def _most(found: Lattice, largest: Floats, made: Floats, cut_bytes: Floats) -> tuple[Floats, Floats]:
    """[N, N]: of the units of a stage the largest value, and the most bytes alive while one of them runs.

    A stage runs its units in their own order, so what it has done before the last of them is a down-set as well.
    """
    inside = found.members > 0
    number = {row.tobytes(): place for place, row in enumerate(inside)}
    big, step = np.zeros(found.nested.shape), np.zeros(found.nested.shape)
    for stop, row in enumerate(inside):
        for unit in np.flatnonzero(row).tolist():
            row[unit] = False
            before = number.get(row.tobytes())
            row[unit] = True
            if before is None:
                continue
            later = np.flatnonzero(row[unit + 1 :]) + unit + 1
            starts = np.flatnonzero((found.nested[:, before] | (np.arange(len(inside)) == before)) & inside[:, later].all(axis=1))
            big[starts, stop] = np.maximum(big[starts, before], largest[unit])
            step[starts, stop] = np.maximum(step[starts, before], cut_bytes[before] + made[unit])
    return big, step
