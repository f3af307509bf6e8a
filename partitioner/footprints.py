"""What a stage takes of its host's memory where nobody has measured that segment.

The memory model of its profile says how (see ``edgekit/memory_model.py``): by equations, whose coefficients are those of the
engine, or by a table of segments. Measured segments, of which the whole graph is one, correct equations: by what a segment took
beyond them, which may be a fixed cost such as that of a GPU's context, or by the share that it took of them. A segment that a
table lacks takes infinite bytes: its device cannot run it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import PlanError
from edgekit.graph import Graph
from edgekit.memory_model import MemoryEquations, MemoryTable, SegmentBytes
from edgekit.profile import Profile, SegmentTime

__all__ = ["Correction", "Footprints", "Needs", "copies_of", "may_replace", "peaks", "process_bytes"]

Sizes = NDArray[np.int64]
Floats = NDArray[np.float64]


class Needs(NamedTuple):
    """[units + 1, units + 1] each: what a segment adds to its process by the equations, while it loads and while it runs; 0 where i ≥ j."""

    load: Sizes
    run: Sizes


class Footprints:
    """Bytes of the stage of every segment of a graph, by the profile of its device.

    The graph may have its units in another order; profiles are always given in its own, as are the corrections.
    """

    def __init__(self, graph: Graph, own: "Footprints | None" = None):
        """``own``: those of the graph in its own order, where they are known already."""
        self._graph = graph
        self._own = (own or Footprints(graph.in_order(()))) if graph.order else self
        self._needs: dict[MemoryEquations, Needs] = {}
        self._tables: dict[int, tuple[Profile, Floats]] = {}

    def needs(self, model: MemoryEquations) -> Needs:
        """What every segment adds to its process by the equations of an engine."""
        if model not in self._needs:
            self._needs[model] = _needs(self._graph, model)
        return self._needs[model]

    def stage_bytes(self, profile: Profile, start: int, stop: int) -> int:
        """Resident bytes of the process that runs units ``[start, stop)``, without message buffers; measured where it was.

        Raises:
            PlanError: the device cannot run them.
        """
        nbytes = self.table(profile)[start, stop]
        if np.isinf(nbytes):
            raise PlanError(
                f"{profile.device} as {profile.variant} cannot run units [{start}, {stop}): its memory table lacks them; cut elsewhere"
            )
        return int(nbytes)

    def table(self, profile: Profile) -> Floats:
        """[units + 1, units + 1] of them."""
        known = self._tables.get(id(profile))
        if known is None:
            ordered = profile.in_order(self._graph.order)
            table = self._unmeasured(profile, ordered)
            for segment in ordered.ranges:
                ends = segment.start, segment.stop
                if segment.memory_bytes is not None and may_replace(profile, table[ends]):
                    table[ends] = segment.memory_bytes
            known = self._tables[id(profile)] = (profile, table)  # the profile is kept, so that its id stays its own
        return known[1]

    def _unmeasured(self, profile: Profile, ordered: Profile) -> Floats:
        if profile.resident_bytes:
            return _given(ordered)
        if isinstance(ordered.memory_model, MemoryTable):
            return _exact(ordered, ordered.memory_model, len(self._graph.units))
        return peaks(ordered.memory_model, profile.base_bytes, *self.predicted(profile))

    def predicted(self, profile: Profile) -> tuple[Floats, Floats]:
        """The load peak and the run peak of every segment by equations, without margin, corrected by measured segments."""
        model = _equations(profile)
        load, run = self.corrections(profile)
        needs = self.needs(model)
        return load.applied(needs.load), run.applied(needs.run)

    def corrections(self, profile: Profile) -> tuple["Correction", "Correction"]:
        """What the measured segments of a profile say of the equations, for the load peak and for the run peak."""
        model, ranges = _equations(profile), profile.ranges
        needs, fixed = self._own.needs(model), profile.base_bytes + profile.library_bytes
        load = _correction(needs.load, fixed, model.least_share, ((s, s.load_peak_bytes or s.memory_bytes) for s in ranges))
        run = _correction(needs.run, fixed, model.least_share, ((s, s.run_peak_bytes or s.memory_bytes) for s in ranges))
        return load, run


def _equations(profile: Profile) -> MemoryEquations:
    assert isinstance(profile.memory_model, MemoryEquations), f"the memory of {profile.device} is given, not predicted"
    return profile.memory_model


def peaks(model: MemoryEquations, base_bytes: int, load: Floats, run: Floats) -> Floats:
    """The larger of two predicted peaks, with the margin on all but the base."""
    table: Floats = np.ceil(base_bytes + (1 + model.margin) * (np.maximum(load, run) - base_bytes))
    return table


class Correction(NamedTuple):
    """Bytes that a process takes whatever runs in it, and the share of the equations that it took."""

    fixed: float
    share: float

    def applied(self, needs: Sizes | Floats) -> Floats:
        """The bytes of segments that need so much by the equations."""
        table: Floats = self.fixed + self.share * needs.astype(np.float64)
        return table


def _given(profile: Profile) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(profile.resident_bytes, dtype=np.float64)])
    table: Floats = np.maximum(sums[None, :] - sums[:, None], 0.0) + profile.base_bytes
    return table


def _exact(profile: Profile, model: MemoryTable, units: int) -> Floats:
    table: Floats = np.full((units + 1, units + 1), np.inf)
    table[np.tril_indices(units + 1)] = profile.base_bytes
    for each in model.segments:
        table[each.start, each.stop] = process_bytes(profile, each)
    return table


def may_replace(profile: Profile, planned: float) -> bool:
    """Whether a measured process counts instead: on a microcontroller only where its planner has placed the segment."""
    return bool(np.isfinite(planned)) or not profile.on_board


def process_bytes(profile: Profile, row: SegmentBytes) -> int:
    """Bytes of the process of a segment in a memory table; of a microcontroller's, which lies elsewhere, the base alone."""
    return profile.base_bytes + (0 if profile.on_board else max(row.load_bytes, row.run_bytes))


def _correction(needs: Sizes, fixed: int, least: float, measured: Iterable[tuple[SegmentTime, int | None]]) -> Correction:
    beyond, share = 0.0, 0.0
    for segment, nbytes in measured:
        need = float(needs[segment.start, segment.stop])
        if nbytes is not None and need:
            beyond = max(beyond, nbytes - fixed - need)
            share = max(share, (nbytes - fixed) / need)
    return Correction(fixed + beyond, min(max(share, least), 1.0) if share else 1.0)


def _needs(graph: Graph, model: MemoryEquations) -> Needs:
    count = len(graph.units)
    needs = Needs(np.zeros((count + 1, count + 1), np.int64), np.zeros((count + 1, count + 1), np.int64))
    used = [graph.segment(unit, unit + 1).weights for unit in range(count)]
    copies = copies_of(graph, model)
    held = _held_table(graph, model, copies, [[weight.name for weight in weights] for weights in used])
    laid_out = [[weight.nbytes for weight in weights if weight.name in copies] for weights in used]
    largest = np.array([max(sizes, default=0) for sizes in laid_out], np.int64)
    steps = np.array(graph.step_bytes, np.int64)
    ends = np.array([cut.nbytes for cut in graph.cuts], np.int64)
    for start in range(count):
        behind = np.s_[start, start + 1 :]
        needs.load[behind] = held[behind] + model.layout_copies * np.maximum.accumulate(largest[start:])
        most = np.maximum.accumulate(steps[start:])
        needs.run[behind] = needs.load[behind] + ends[start] + ends[start + 1 :] + model.activation_copies * most
    return needs


def _held_table(graph: Graph, model: MemoryEquations, copies: dict[str, int], used: list[list[str]]) -> Sizes:
    """[units + 1, units + 1]: bytes of all copies of the distinct weights that units ``[i, j)`` use.

    A weight used by several units counts once a segment: for each i it counts from its next use onwards.
    """
    count = len(used)
    uses: dict[str, list[int]] = {}
    for unit, names in enumerate(used):
        for name in names:
            uses.setdefault(name, []).append(unit)
    table = np.zeros((count + 1, count + 1), np.int64)
    for name, units in uses.items():
        nbytes = graph.tensor(name).nbytes * copies.get(name, model.weight_copies)
        for before, unit in zip([-1, *units], units, strict=False):
            table[before + 1 : unit + 1, unit + 1] += nbytes
    sums: Sizes = table.cumsum(axis=1)
    return sums


def copies_of(graph: Graph, model: MemoryEquations) -> dict[str, int]:
    """The copies of each weight that an engine puts into another layout, also of one that constant nodes reshape first."""
    of_op = dict(model.layouts)
    made_of = {name: node.inputs for node in graph.nodes if node.constant for name in node.outputs}
    found: dict[str, int] = {}
    for node in graph.nodes:
        names = list(node.inputs) if node.op in of_op else []
        while names:
            name = names.pop()
            if found.get(name, 0) < of_op[node.op]:
                found[name] = of_op[node.op]
                names += made_of.get(name, ())
    return found
