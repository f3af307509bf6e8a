"""Segments of a network as programs of a microcontroller: the same as each compiled alone, and none over a unit that is refused."""

from typing import Any

import numpy as np
import pytest

from devices.mcu import reference
from devices.mcu.compiler import compile_segment
from devices.mcu.program import Program
from edgekit.onnxio import Model, cut, load, normalise, read
from edgekit.stages.mcu_segments import places_of, programs, refusals
from tests.devices.mcu.onnx_networks import Nodes, drawn, network_bytes


def written(program: Program) -> list[Any]:
    """A program as plain values."""
    fields = [value for operator in program.operators for value in vars(operator).values()]
    plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in fields]
    return [program.buffers, program.inputs, program.outputs, [type(each) for each in program.operators], plain]


def branched() -> Model:
    """A network whose branches skip over units, with an operator that no microcontroller runs in the middle."""
    net = Nodes()
    x = net.dq(net.q(net.node("Transpose", "x", perm=[0, 3, 1, 2]), 0.05, 7), 0.05, 7)
    first = net.q(net.node("Conv", x, net.kernels(4, 3, 3, 3), pads=[1, 1, 1, 1]), 0.06, -3)
    second = net.q(net.node("Relu", net.node("Conv", net.dq(first, 0.06, -3), net.kernels(4, 4, 1, 1))), 0.05, -128)
    made = net.q(net.node("Add", net.dq(first, 0.06, -3), net.dq(second, 0.05, -128)), 0.08, 0)
    pads = net.weight(np.array([0, 0, 1, 0, 0, 0, 0, 1]))
    made = net.node("Pad", made, pads, net.weight(np.int8(0)))
    made = net.q(net.node("Conv", net.dq(made, 0.08, 0), net.kernels(2, 4, 3, 2)), 0.1, 0)
    strange = net.q(net.node("CumSum", net.dq(made, 0.1, 0), net.weight(np.int64(1))), 0.1, 0)
    y = net.dq(net.q(net.node("MaxPool", net.dq(strange, 0.1, 0), kernel_shape=[2, 2]), 0.1, 0), 0.1, 0)
    return load(normalise(net.model({"x": ("float32", (1, 5, 6, 3))}, [(y, "float32")])))


def test_each_program_is_that_of_its_segment_alone() -> None:
    for model in (branched(), load(network_bytes("resnet8_quant"))):
        graph = read(model)
        found = list(programs(model, graph, graph.precision))
        assert len(found) > 10
        for start, stop, program in found:
            segment = graph.segment(start, stop)
            alone = compile_segment(cut(model, graph, start, stop), segment.inputs, segment.outputs)
            assert written(program) == written(alone), (start, stop)


def test_a_unit_without_a_kernel_is_in_no_segment() -> None:
    model = branched()
    graph = read(model)
    reasons = refusals(model, graph, graph.precision)
    (refused,) = [unit for unit, reason in enumerate(reasons) if reason]
    assert reasons[refused].startswith("node CumSum_") and "has no kernel for this operator" in reasons[refused]
    spans = {(start, stop) for start, stop, _ in programs(model, graph, graph.precision)}
    assert not any(start <= refused < stop for start, stop in spans)
    places = places_of(graph, graph.precision)
    assert spans == {(a, b) for a in places for b in places if a < b and not a <= refused < b}


def test_a_float_network_is_refused_unit_by_unit() -> None:
    net = Nodes()
    made = net.node("Conv", "x", net.weight(np.ones((2, 3, 3, 3), np.float32)))
    y = net.node("MaxPool", net.node("Relu", made), kernel_shape=[2, 2])
    model = load(normalise(net.model({"x": ("float32", (1, 3, 5, 6))}, [(y, "float32")])))
    graph = read(model)
    assert all("quantize the network" in reason for reason in refusals(model, graph, graph.precision))
    assert not list(programs(model, graph, graph.precision))


def test_numbers_that_a_table_cannot_hold_refuse_the_unit() -> None:
    net = Nodes()
    y = net.q(net.node("Gemm", net.dq("x", 0.05, 7), net.kernels(70000, 2, axis=1)), 0.09, -11)
    model = load(normalise(net.model({"x": ("int8", (1, 70000))}, [(y, "int8")])))
    (reason,) = refusals(model, read(model), "int8")
    assert "Gemm" in reason and "70000" in reason


@pytest.mark.parametrize("name", ["resnet8_quant"])
def test_segments_one_after_the_other_give_the_bytes_of_the_whole(name: str) -> None:
    model = load(network_bytes(name))
    graph = read(model)
    found = {(start, stop): program for start, stop, program in programs(model, graph, graph.precision)}
    count = len(graph.units)
    inputs = drawn(found[0, count])
    wanted = reference.run(found[0, count], inputs)
    for position in (1, 5, 9, 13):
        tensors = inputs | reference.run(found[0, position], inputs)
        rest = found[position, count]
        made = reference.run(rest, {end.name: tensors[end.name] for end in rest.inputs})
        assert all(np.array_equal(made[key], values) for key, values in wanted.items())
