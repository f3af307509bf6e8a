"""What a stage process takes of its host's memory where nobody has measured that segment: while it loads, and while it runs.

    load  =  base + libraries + Σ copies · weights + 3 · largest weight of a convolution
    run   =  load + what crosses both ends + 2 · activations

    copies        3 of a convolution's weights: onnxruntime keeps what it parsed, the tensor made of it, and that tensor in blocks
                  of channels; 2 of any other: pre-packing frees each tensor, but the heap keeps the pages
    3 · largest   while one weight is put into blocks, its source, its result and the description of the result exist besides;
                  the heap keeps their pages too, and tensors are large enough to get pages of their own
    2 · activ.    the first run allocates each tensor apart, those after it all in one arena, and the pages of the first stay

The equations hold for onnxruntime 1.31 on a processor, with one thread and all optimisations. Segments of the profile that were
measured, of which the whole graph is one, correct them: by what a segment took beyond them, which may be a fixed cost such as that of a
GPU's context, or by the share that it took of them, of which a tenth is credited at most. A margin on all but the base covers what
the heap does on top.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph
from edgekit.profile import Profile, SegmentTime

__all__ = ["ACTIVATIONS", "MARGIN", "OTHER_COPIES", "TRANSIENT", "Correction", "Footprints", "copies_of"]

COPIES = {"Conv": 3}
OTHER_COPIES = 2
TRANSIENT = 3
ACTIVATIONS = 2

CREDIT = 0.9
"""Share of the equations that counts at least, also where measured segments took less: another segment may not."""

MARGIN = 0.25
"""By how much more than predicted counts, of what a process takes beyond its base. See benchmarks/segment_memory.py."""

Sizes = NDArray[np.int64]
Floats = NDArray[np.float64]


class Footprints:
    """Bytes of the stage of every segment of a graph, by the profile of its device.

    The graph may have its units in another order; profiles are always given in its own, as are the corrections.

    Attributes:
        load, run: [units + 1, units + 1], what a device adds to its process by the equations; 0 where i ≥ j.
    """

    def __init__(self, graph: Graph, own: "Footprints | None" = None):
        """``own``: those of the graph in its own order, where they are known already."""
        self._order = graph.order
        self._own = (own or Footprints(graph.in_order(()))) if graph.order else self
        count = len(graph.units)
        self.load: Sizes = np.zeros((count + 1, count + 1), np.int64)
        self.run: Sizes = np.zeros((count + 1, count + 1), np.int64)
        used = [graph.segment(unit, unit + 1).weights for unit in range(count)]
        copies = copies_of(graph)
        held = _held_table(graph, copies, [[weight.name for weight in weights] for weights in used])
        blocked = [[weight.nbytes for weight in weights if weight.name in copies] for weights in used]
        largest = np.array([max(sizes, default=0) for sizes in blocked], np.int64)
        steps = np.array(graph.step_bytes, np.int64)
        ends = np.array([cut.nbytes for cut in graph.cuts], np.int64)
        for start in range(count):
            behind = np.s_[start, start + 1 :]
            self.load[behind] = held[behind] + TRANSIENT * np.maximum.accumulate(largest[start:])
            most = np.maximum.accumulate(steps[start:])
            self.run[behind] = self.load[behind] + ends[start] + ends[start + 1 :] + ACTIVATIONS * most
        self._tables: dict[int, tuple[Profile, Floats]] = {}

    def stage_bytes(self, profile: Profile, start: int, stop: int) -> int:
        """Resident bytes of the process that runs units ``[start, stop)``, without message buffers; measured where it was."""
        return int(self.table(profile)[start, stop])

    def table(self, profile: Profile) -> Floats:
        """[units + 1, units + 1] of them."""
        known = self._tables.get(id(profile))
        if known is None:
            ordered = profile.in_order(self._order)
            table = _given(ordered) if profile.resident_bytes else self._with_margin(profile)
            for segment in ordered.ranges:
                if segment.memory_bytes is not None:
                    table[segment.start, segment.stop] = segment.memory_bytes
            known = self._tables[id(profile)] = (profile, table)  # the profile is kept, so that its id stays its own
        return known[1]

    def _with_margin(self, profile: Profile) -> Floats:
        load, run = self.predicted(profile)
        return np.ceil(profile.base_bytes + (1 + MARGIN) * (np.maximum(load, run) - profile.base_bytes))

    def predicted(self, profile: Profile) -> tuple[Floats, Floats]:
        """The load peak and the run peak of every segment on a device, without margin, as if none but the corrections were measured."""
        load, run = self._own.corrections(profile)
        return load.applied(self.load), run.applied(self.run)

    def corrections(self, profile: Profile) -> tuple["Correction", "Correction"]:
        """What the measured segments of a profile say of the equations, for the load peak and for the run peak."""
        fixed = profile.base_bytes + profile.library_bytes
        load = _correction(self.load, fixed, ((s, s.load_peak_bytes or s.memory_bytes) for s in profile.ranges))
        run = _correction(self.run, fixed, ((s, s.run_peak_bytes or s.memory_bytes) for s in profile.ranges))
        return load, run


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


def _correction(needs: Sizes, fixed: int, measured: Iterable[tuple[SegmentTime, int | None]]) -> Correction:
    beyond, share = 0.0, 0.0
    for segment, nbytes in measured:
        need = float(needs[segment.start, segment.stop])
        if nbytes is not None and need:
            beyond = max(beyond, nbytes - fixed - need)
            share = max(share, (nbytes - fixed) / need)
    return Correction(fixed + beyond, min(max(share, CREDIT), 1.0) if share else 1.0)


def _held_table(graph: Graph, copies: dict[str, int], used: list[list[str]]) -> Sizes:
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
        nbytes = graph.tensor(name).nbytes * copies.get(name, OTHER_COPIES)
        for before, unit in zip([-1, *units], units, strict=False):
            table[before + 1 : unit + 1, unit + 1] += nbytes
    sums: Sizes = table.cumsum(axis=1)
    return sums


def copies_of(graph: Graph) -> dict[str, int]:
    """Of each weight that takes more than the usual ones, also of one that constant nodes reshape first."""
    made_of = {name: node.inputs for node in graph.nodes if node.constant for name in node.outputs}
    found: dict[str, int] = {}
    for node in graph.nodes:
        names = list(node.inputs) if node.op in COPIES else []
        while names:
            name = names.pop()
            if found.get(name, 0) < COPIES[node.op]:
                found[name] = COPIES[node.op]
                names += made_of.get(name, ())
    return found
