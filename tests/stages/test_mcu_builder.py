"""The artifact of a microcontroller's segment, and what each segment takes of a board."""

import pytest

from devices.mcu import table
from devices.mcu.blob import chunks_in
from devices.mcu.compiler import compile_segment
from devices.mcu.planner import plan_memory
from edgekit.device import MCU, Variant
from edgekit.errors import GraphError
from edgekit.mcu_artifact import decode
from edgekit.memory_model import MemoryTable
from edgekit.onnxio import load, read
from edgekit.stages.artifact import build, runnable
from edgekit.stages.builders import builder_of
from tests.devices.mcu.onnx_networks import network_bytes
from tests.stages.test_mcu_segments import branched

BOARD = Variant("int8", engine=MCU)


def test_an_artifact_holds_the_planned_table_and_its_weights() -> None:
    model = load(network_bytes("resnet8_quant"))
    graph = read(model)
    made = build(model, graph, 3, 9, BOARD)
    found = decode(made.data)
    program = compile_segment(made.onnx, made.inputs, made.outputs)
    plan = plan_memory(program)
    assert found.table == table.encode(program, plan)
    assert found.arena_bytes == plan.arena_bytes
    assert sorted(chunks_in(found.blob)) == sorted(name for name, _ in table.decode(found.table).chunks)
    assert [end.name for end in found.inputs] == [tensor.name for tensor in made.inputs]
    assert [end.name for end in found.outputs] == [tensor.name for tensor in made.outputs]
    assert [each.name for each in found.operators] == [program.operators[index].name for index in plan.order]


def test_the_rows_of_memory_are_those_of_the_artifacts() -> None:
    model = load(network_bytes("resnet8_quant"))
    graph = read(model)
    rows = builder_of(MCU).memory(graph, BOARD, model)
    assert isinstance(rows, MemoryTable)
    count = len(graph.units)
    assert len(rows.segments) == count * (count + 1) // 2
    for row in rows.segments[::17]:
        found = decode(build(model, graph, row.start, row.stop, BOARD).data)
        assert row.run_bytes == found.arena_bytes + len(found.table)
        assert (row.load_bytes, row.flash_bytes) == (len(found.table), len(found.blob))
        assert (row.in_bytes, row.out_bytes) == tuple(sum(end.nbytes for end in ends) for ends in (found.inputs, found.outputs))
        assert row.peak in {"", *(each.name for each in found.operators)}  # empty: while the inputs arrive


def test_a_unit_that_a_board_lacks_is_told_before_anything_runs() -> None:
    model = branched()
    graph = read(model)
    spans, refused = runnable(model, graph, BOARD)
    ((unit, reason),) = refused
    assert spans == ((0, unit), (unit + 1, len(graph.units)))
    assert "(CumSum): a microcontroller has no kernel for this operator" in reason
    rows = builder_of(MCU).memory(graph, BOARD, model)
    assert isinstance(rows, MemoryTable) and not any(row.start <= unit < row.stop for row in rows.segments)
    with pytest.raises(GraphError, match=rf"cannot run in mcu: unit {unit}, node CumSum_"):
        build(model, graph, unit, len(graph.units), BOARD)
