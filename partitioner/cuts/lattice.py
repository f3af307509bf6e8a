"""A graph that branches, cut at any down-set of its units: what crosses, how long and how large each difference of two is.

stem ─▶ left ─▶ join        {} {stem} {stem, left} {stem, right} {stem, left, right} …
   ╲─▶ right ──╱
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.memory_model import MemoryEquations, MemoryTable
from edgekit.profile import Profile
from partitioner.cuts.chain import Layout, Places
from partitioner.cuts.ideals import MOST, Lattice, lattice
from partitioner.footprints import Footprints, copies_of, peaks
from partitioner.tables import Floats

__all__ = ["branches"]

Flags = NDArray[np.bool_]


def branches(graph: Graph, footprints: Footprints, together: Sequence[Sequence[int]] = (), most: int = MOST) -> Places:
    """Every place where the units of a graph can be cut in two, whatever the order in which they stand, and no group is parted.

    Raises:
        PlanError: there are more than ``most``.
    """
    full = lattice(len(graph.units), graph.unit_edges, most)
    names, crosses = _crossing(graph, full.members > 0)
    sizes = np.array([graph.tensor(name).nbytes for name in names], np.float64)
    every = sizes @ crosses
    travels = np.array([graph.tensor(name).travels for name in names], bool)
    parted = [np.ptp(full.members[:, list(group)], axis=1) > 0 for group in together if group]
    kept = np.flatnonzero(~np.logical_or.reduce([crosses[~travels].any(axis=0), *parted]))
    kept = np.unique([0, *kept, len(full.members) - 1])
    found = Lattice(full.members[kept], full.nested[np.ix_(kept, kept)])
    inside, crosses = found.members > 0, crosses[:, kept]
    number = {row.tobytes(): place for place, row in enumerate(inside)}

    @cache
    def needs(model: MemoryEquations) -> list[Floats]:
        return [table[np.ix_(kept, kept)] for table in _needs(graph, model, full, every)]

    def between_which(units: Sequence[int]) -> list[tuple[int, int]]:
        """The pairs of places that have just these units between them."""
        return [
            (start, stop)
            for start in np.flatnonzero(~inside[:, list(units)].any(axis=1)).tolist()
            if (stop := number.get((inside[start] | np.isin(np.arange(inside.shape[1]), units)).tobytes())) is not None
        ]

    def ranges(profile: Profile) -> list[tuple[int, int, int]]:
        """Each measured segment between two places, as (place, place, number of the segment)."""
        return [(*places, which) for which, segment in enumerate(profile.segments) for places in between_which(segment.members)]

    def seconds(profile: Profile) -> Floats:
        table = found.sums(np.array(profile.unit_s))
        for start, stop, which in ranges(profile):
            table[start, stop] = profile.segments[which].p50_s
        if profile.twin:  # its stages are cut in the units' own order; here it runs the whole or nothing
            whole = table[0, -1]
            table[:] = np.inf
            table[0, -1] = whole
        return table

    def nbytes(profile: Profile) -> Floats:
        model = profile.memory_model
        if profile.resident_bytes:
            table = profile.base_bytes + found.sums(np.array(profile.resident_bytes, np.float64))
        elif isinstance(model, MemoryTable):
            table = np.where(found.nested, np.inf, profile.base_bytes)
            for each in model.segments:
                for ends in between_which(range(each.start, each.stop)):
                    table[ends] = profile.base_bytes + max(each.load_bytes, each.run_bytes)
        else:
            corrected = [each.applied(need) for each, need in zip(footprints.corrections(profile), needs(model), strict=True)]
            table = peaks(model, profile.base_bytes, *corrected)
        for start, stop, which in ranges(profile):
            if (held := profile.segments[which].memory_bytes) is not None:
                table[start, stop] = held
        return table

    def between(units: range) -> Flags:
        held = found.members[:, units.start : units.stop].sum(axis=1)
        differ: Flags = held[None, :] > held[:, None]
        return differ

    def layout(chain: Sequence[int]) -> Layout:
        order = [unit for before, after in pairwise(chain) for unit in np.flatnonzero(inside[after] & ~inside[before]).tolist()]
        return Layout(graph.in_order(tuple(order)), tuple(int(inside[place].sum()) for place in chain))

    def loss(losses: Losses, precision: str) -> Floats:
        table = np.full((len(kept), len(kept)), np.inf)
        whole = losses.of_stage(0, len(graph.units), precision)
        table[0, -1] = np.inf if whole is None else whole
        return table

    crossing = tuple(tuple(graph.tensor(name) for name, yes in zip(names, column, strict=True) if yes) for column in crosses.T)
    return Places(
        tuple(range(len(kept))),
        sizes @ crosses,
        crossing,
        seconds,
        nbytes,
        loss,
        between,
        lambda precision: [{}] * len(kept),
        layout,
        graph.opset,
    )


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
