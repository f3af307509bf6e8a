"""A Profile as the tables that people know from benchmark_model: run order, top by time, summary by type; and as CSV and a trace.

The profiler slows kernels down, so their times are told as measured with it on, and reconciled with the whole without it.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from edgekit.graph import Graph
from edgekit.profile import Kernel, Profile

__all__ = ["Reconciliation", "Row", "by_type", "in_order", "kernels_csv", "perfetto", "reconcile", "top"]


class Row(NamedTuple):
    """One kernel, or all of one type: its time, its share of all, and that of all rows up to it."""

    name: str
    op: str
    kernels: int
    seconds: float
    share: float
    cumulative: float
    units: tuple[int, ...] = ()


class Reconciliation(NamedTuple):
    """Seconds of one run: the sum of the kernels, the run that they are of, and a run without the profiler."""

    kernels_s: float
    profiled_s: float | None
    real_s: float

    @property
    def distortion(self) -> float | None:
        """How much longer a run takes with the profiler on."""
        return None if self.profiled_s is None else self.profiled_s / self.real_s


def reconcile(profile: Profile) -> Reconciliation:
    """Whether the parts tell of the whole."""
    return Reconciliation(sum(kernel.seconds for kernel in profile.kernels), profile.profiled_s, profile.longest.p50_s)


def in_order(profile: Profile) -> list[Row]:
    """Every kernel, in the order of the optimised graph."""
    return list(_rows((kernel.name, kernel.op, 1, kernel.seconds, kernel.units) for kernel in profile.kernels))


def top(profile: Profile, count: int) -> list[Row]:
    """The kernels that take longest."""
    ordered = sorted(profile.kernels, key=lambda kernel: -kernel.seconds)
    return list(_rows((kernel.name, kernel.op, 1, kernel.seconds, kernel.units) for kernel in ordered))[:count]


def by_type(profile: Profile) -> list[Row]:
    """Kernels of one type together, those that take longest first."""
    found: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in profile.kernels:
        found[kernel.op].append(kernel)
    sums = [(op, op, len(kernels), sum(kernel.seconds for kernel in kernels), ()) for op, kernels in found.items()]
    return list(_rows(sorted(sums, key=lambda row: -row[3])))


def _rows(parts: Iterable[tuple[str, str, int, float, tuple[int, ...]]]) -> Iterator[Row]:
    listed = list(parts)
    total = sum(part[3] for part in listed) or 1.0
    done = 0.0
    for name, op, count, seconds, units in listed:
        done += seconds
        yield Row(name, op, count, seconds, seconds / total, done / total, units)


def kernels_csv(profile: Profile, graph: Graph | None = None) -> str:
    """Every kernel as a line: name, type, seconds, share, cumulative share, units; with the graph also the nodes of those units."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["kernel", "type", "seconds", "share", "cumulative", "units", *(["nodes"] if graph else [])])
    for row in in_order(profile):
        nodes = [" ".join(node.name for unit in row.units for node in graph.unit_nodes(unit))] if graph else []
        units = " ".join(map(str, row.units))
        lines.writerow([row.name, row.op, f"{row.seconds:.9f}", f"{row.share:.6f}", f"{row.cumulative:.6f}", units, *nodes])
    return text.getvalue()


def perfetto(profiles: Sequence[Profile]) -> str:
    """Kernels one after the other, a track for each device, in the Trace Event format that ui.perfetto.dev opens."""
    events: list[dict[str, object]] = []
    for track, profile in enumerate(profiles):
        events.append({"ph": "M", "name": "process_name", "pid": track, "args": {"name": profile.device}})
        begin = 0.0
        for kernel in profile.kernels:
            span = {"ph": "X", "name": kernel.name, "cat": kernel.op, "pid": track, "tid": 0, "args": {"units": kernel.units}}
            events.append({**span, "ts": round(begin * 1e6, 3), "dur": round(kernel.seconds * 1e6, 3)})
            begin += kernel.seconds
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"})
