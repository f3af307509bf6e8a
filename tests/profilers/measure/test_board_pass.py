"""A board is profiled by what it counts: operators in ticks, segments as their sums, and its line by segments of unlike size."""

from collections.abc import Iterator

import msgspec
import pytest

from devices import connect
from devices.connection import Connection, KernelTime, Measure, Measured
from edgekit.cluster import Cluster, Link
from edgekit.device import Device, Roofline, Variant
from edgekit.graph import Graph
from edgekit.memory_model import MemoryTable, SegmentBytes
from edgekit.plan import Stage, chain
from edgekit.profiles import Profiles
from edgekit.runtime.engine.engine import Engine
from edgekit.runtime.engine.engines import ENGINES
from edgekit.serial_line import LineTime, SerialLine
from edgekit.stages import builder, builders
from edgekit.ticks import Ticks
from partitioner.cost import price
from profilers.measure.board_pass import BoardPass, measured_line
from profilers.measure.profiler import profile_graph
from profilers.measure.segments import measure_segments
from tests.models import skipping

NET = skipping()
COUNT = len(NET.graph.units)
MCU = Variant("fp32", engine="mcu")
INSN_PER_S = 1e6
INSN = (1000, 20_000, 300, 4000, 50)
LINE = SerialLine(latency_s=0.5, in_s_per_byte=0.25, out_s_per_byte=0.125)


def rows(graph: Graph) -> MemoryTable:
    """A row for every segment: as many bytes on the line as numbers cross its ends."""
    sizes = [cut.nbytes // 4 for cut in graph.cuts]
    places = (0, *graph.candidates, COUNT)
    spans = [(start, stop) for start in places for stop in places if start < stop]
    return MemoryTable(tuple(SegmentBytes(start, stop, 0, 100, 10, sizes[start], sizes[stop]) for start, stop in spans))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A described device that counts like a board, and takes its time on the line."""
    monkeypatch.setitem(ENGINES, "mcu", Engine(lambda *_, **__: None, lambda _: "mcu"))  # type: ignore[arg-type, return-value]
    monkeypatch.setitem(builders.BUILDERS, "mcu", builder.Builder(memory=lambda graph, *_: rows(graph)))
    monkeypatch.setattr("profilers.measure.profiler.require_engine", lambda *_: None)
    device = Device("mcu", "sim:", variant=MCU, roofline=Roofline(1e6, 1e6), insn_per_s=INSN_PER_S)
    with connect(device) as connection:
        ask = connection.measure

        def measure(request: Measure) -> tuple[Measured, bytes]:
            measured, _ = ask(request)
            assert request.emulation is not None and request.mode in ("kernels", "segment")
            first = COUNT - len(request.emulation.works) if request.outputs == NET.graph.segment(0, COUNT).outputs else 0
            nodes = [(unit, node) for unit in range(first, first + len(request.emulation.works)) for node in NET.graph.unit_nodes(unit)[:1]]
            kernels = tuple(
                KernelTime(name=node.name, op=node.op, seconds=INSN[unit] / INSN_PER_S, ticks=Ticks(INSN[unit], "insn"))
                for unit, node in nodes
            )
            sizes = [sum(tensor.nbytes for tensor in ends) // 4 for ends in (request.inputs, request.outputs)]
            line = (
                LineTime(way="in", nbytes=sizes[0], seconds=sizes[0] * 0.25),
                LineTime(way="out", nbytes=sizes[1], seconds=sizes[1] * 0.125),
                LineTime(way="run", seconds=0.5),
            )
            seconds = sum(kernel.seconds for kernel in kernels)
            told = msgspec.structs.replace(measured, samples_s=(seconds,) * 2, kernels=kernels, line=line, runs_on="mcu", cpu_s=())
            return told, b""

        connection.measure = measure  # type: ignore[method-assign]
        yield connection


def test_operators_are_counted_and_belong_to_the_units_of_their_nodes(board: Connection) -> None:
    profile = profile_graph(NET.graph, NET.model, board)
    assert [(kernel.units, kernel.ticks) for kernel in profile.kernels] == [((i,), Ticks(n, "insn")) for i, n in enumerate(INSN)]
    assert (profile.runs_on, profile.badge, profile.emulated, profile.whole.samples) == ("mcu", "spec", True, 2)
    assert profile.coverage == 1 and profile.memory_model == rows(NET.graph)


def test_a_segment_takes_the_sum_of_its_operators(board: Connection) -> None:
    profile = profile_graph(NET.graph, NET.model, board)
    for start, stop in ((0, 3), (3, COUNT), (0, COUNT)):
        assert profile.compute_s(start, stop)[0] == pytest.approx(sum(INSN[start:stop]) / INSN_PER_S)
    more = measure_segments(NET.graph, NET.model, board, profile, [(0, 3), (3, COUNT)])
    for start, stop in ((0, 3), (3, COUNT)):
        segment = more.segment(start, stop)
        assert segment is not None and segment.p50_s == pytest.approx(profile.compute_s(start, stop)[0], rel=0.005)


def test_the_line_is_measured_by_segments_of_unlike_size(board: Connection) -> None:
    line = profile_graph(NET.graph, NET.model, board).line
    assert line is not None
    assert line.latency_s == pytest.approx(LINE.latency_s, abs=1e-6)
    assert line.in_s_per_byte == pytest.approx(LINE.in_s_per_byte)
    assert line.out_s_per_byte == pytest.approx(LINE.out_s_per_byte)


def test_line_and_compute_of_a_profile_are_the_latency_of_its_stage(board: Connection) -> None:
    profile = profile_graph(NET.graph, NET.model, board)
    plan = chain(NET.graph, (Stage(0, COUNT, ("mcu",), MCU),))
    cost = price(plan, NET.graph, Cluster((board.device,), (Link("*", "*", 0.0, 1e9),)), Profiles((profile,)))
    sizes = [NET.graph.cuts[at].nbytes // 4 for at in (0, COUNT)]
    seconds = {term.name: term.seconds for term in cost.terms}
    assert seconds["line 0@mcu"] == pytest.approx(LINE.seconds(*sizes))
    assert seconds["compute 0@mcu"] == pytest.approx(sum(INSN) / INSN_PER_S)


def test_no_long_frames_are_sent_to_measure_a_line(monkeypatch: pytest.MonkeyPatch, board: Connection) -> None:
    ends = {(0, 4): (3000, 10), (0, 1): (3000, 30_000), (1, 2): (30_000, 4000), (2, 3): (4000, 4000), (3, 4): (4000, 10)}
    table = MemoryTable(tuple(SegmentBytes(*span, 0, 100, 10, *sizes) for span, sizes in ends.items()))
    asked = []

    def measured(*given: object, runs: int) -> BoardPass:
        span = given[-1]
        assert isinstance(span, tuple)
        asked.append(span)
        came, went = ends[span]
        line = (LineTime(way="in", nbytes=came, seconds=came / 1000), LineTime(way="out", nbytes=went, seconds=went / 1000))
        return BoardPass(Measured(samples_s=(), cpu_s=(), base_bytes=0, peak_bytes=0, load_s=0.0, line=line), ())

    monkeypatch.setattr("profilers.measure.board_pass.board_pass", measured)
    line = measured_line(NET.graph, NET.model, board, MCU, (0, 4), table, ())
    assert asked == [(3, 4), (2, 3)]
    assert line is not None and line.out_s_per_byte == pytest.approx(1e-3)
