"""The measurements of a microcontroller: what it counts in each operator, and what its serial line takes.

A board counts the same in each run, so two runs are enough, and no other work is compared. The line
is measured with the tensors of two segments of unlike size: what takes longest on a line is to fill it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from devices.connection import Connection, Measured
from edgekit.device import Variant
from edgekit.graph import Graph
from edgekit.memory_model import MemoryModel, MemoryTable, SegmentBytes
from edgekit.onnxio import Model
from edgekit.profile import Kernel
from edgekit.serial_line import LineTime, SerialLine, fitted_line
from edgekit.stages.artifact import build, upload
from profilers.measure.segments import data_for, request_for

__all__ = ["BoardPass", "board_pass", "measured_line"]

RUNS = 2
"""Runs of a segment: each counts the same."""

LINE_RUNS = 3
"""Frames of each segment by which the line is measured."""

LINE_BYTES = 8 * 1024
"""What a frame of such a segment carries at most, in and out: seconds on a line of 115,200 baud."""

Range = tuple[int, int]


class BoardPass(NamedTuple):
    """A segment on a board: all that was measured, and its kernels."""

    measured: Measured
    kernels: tuple[Kernel, ...]


def board_pass(graph: Graph, model: Model, connection: Connection, variant: Variant, span: Range, *, runs: int = RUNS) -> BoardPass:
    """What a board counts in each operator of units ``[start, stop)``."""
    segment, digest = graph.segment(*span), upload(build(model, graph, *span, variant), connection)
    data = data_for(model, graph, segment, connection)
    request = request_for(graph, segment, digest, connection, variant, 0.0, data=data)
    measured, _ = connection.measure(msgspec.structs.replace(request, mode="kernels", least=runs))
    return BoardPass(measured, _kernels(graph, range(*span), measured))


def _kernels(graph: Graph, units: range, measured: Measured) -> tuple[Kernel, ...]:
    """Each operator with the unit of its node; what has no node of the graph goes with the operator before it."""
    homes = {node.name: unit for unit in units for node in graph.unit_nodes(unit)}
    found, home = [], units.start
    for each in measured.kernels:
        home = homes.get(each.name, home)
        found.append(Kernel(each.name or each.op, each.op, each.seconds, (home,), provider=each.provider, ticks=each.ticks))
    return tuple(found)


def measured_line(
    graph: Graph, model: Model, connection: Connection, variant: Variant, within: Range, table: MemoryModel, known: Iterable[LineTime]
) -> SerialLine | None:
    """The line of a board, by what is known of it already and by a segment that moves little and one that moves much both ways.

    ``within``: the segment whose weights the board has, so that none are sent again.
    """
    times = list(known)
    for span in _unlike(table, within):
        times += board_pass(graph, model, connection, variant, span, runs=LINE_RUNS).measured.line
    return fitted_line(times)


def _unlike(table: MemoryModel, within: Range) -> list[Range]:
    """Of the segments in a range the one that moves least, and of those that move at most ``LINE_BYTES`` the one that moves most
    in its lesser way."""
    rows = table.segments if isinstance(table, MemoryTable) else ()
    inside = [row for row in rows if within[0] <= row.start and row.stop <= within[1] and (row.start, row.stop) != within]
    if not inside:
        return []

    def moved(row: SegmentBytes) -> int:
        return row.in_bytes + row.out_bytes

    least = min(inside, key=moved)
    short = [row for row in inside if moved(row) <= LINE_BYTES] or [least]
    most = max(short, key=lambda row: (min(row.in_bytes, row.out_bytes), moved(row)))
    return list(dict.fromkeys((row.start, row.stop) for row in (least, most)))
