"""The moment that needs most is told with what is alive then; public networks are planned to their bounds."""

import pytest

from devices.mcu import program as p
from devices.mcu.compiler import compile_segment
from devices.mcu.memory_peak import memory_peak
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.planner import plan_memory
from devices.mcu.verifier import verify_plan
from tests.devices.mcu.onnx_networks import network_bytes
from tests.devices.mcu.planned_programs import addition, dense, end, planned


def test_the_operator_that_peaks_is_told_with_what_is_alive() -> None:
    program = p.Program(
        buffers=(p.Buffer("x", 24), p.Buffer("kept", 8), p.Buffer("y", 36), p.Buffer("z", 36)),
        operators=(dense("up", 0, 2, rows=6, taken=4, made=6), addition("twice", 2, 2, 3, 36)),
        inputs=(end(0, p.Buffer("x", 24)), end(1, p.Buffer("kept", 8))),
        outputs=(end(1, p.Buffer("kept", 8)), end(3, p.Buffer("z", 36))),
    )
    peak = memory_peak(program, plan_memory(program))
    # The first of six rows is written up to 6, the last up to 36 and needs x from 20 on: x begins 16 after y.
    assert peak == ("up", 40 + 8, (p.Buffer("y", 36), p.Buffer("x", 24), p.Buffer("kept", 8)), 0, 68 - 48)


def test_inputs_alone_may_be_the_peak() -> None:
    ends = tuple(p.End(name, index, (40,), "int8", (0,)) for index, name in enumerate("ab"))
    program = p.Program(
        buffers=(p.Buffer("a", 40), p.Buffer("b", 40), p.Buffer("c", 2)),
        operators=(dense("down", 0, 2, rows=1, taken=40, made=2),),
        inputs=ends,
        outputs=(end(2, p.Buffer("c", 2)),),
    )
    peak = memory_peak(program, MemoryPlan((0,), (0, 40, 40), (0,), 80))
    assert (peak.operator, peak.nbytes, peak.scratch_bytes, peak.shared_bytes) == (None, 80, 0, 0)


def test_a_peak_is_never_above_the_arena() -> None:
    for seed in range(60):
        program, plan = planned(seed)
        peak = memory_peak(program, plan)
        assert plan.certificate is not None
        assert peak.nbytes == plan.certificate.overlap_bytes <= plan.arena_bytes


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        # 48 × 48 × 16 numbers over which the depthwise convolution to 24 × 24 × 16 lies, 64 bytes apart, and 9 taps of scratch
        ("person_detect", 37_248),
        # two tensors of 32 × 32 × 16 of which one moves by a row and a step, and the columns of four pixels as scratch
        ("resnet8_quant", 33_792),
    ],
)
def test_public_networks_are_planned_to_the_bound_of_their_operators(name: str, bound: int) -> None:
    program = compile_segment(network_bytes(name))
    plan = plan_memory(program)
    verify_plan(program, plan)
    assert plan.exact
    assert plan.certificate is not None and plan.arena_bytes == plan.certificate.overlap_bytes
    assert plan.arena_bytes <= 1.05 * bound
    assert memory_peak(program, plan).nbytes == plan.arena_bytes
