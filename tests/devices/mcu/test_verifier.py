"""The verifier accepts what the planner makes, and rejects each fault that is planted into it."""

from collections.abc import Callable

import numpy as np
import pytest

from devices.mcu import program as p
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.packing import scratch_of
from devices.mcu.planner import plan_memory
from devices.mcu.verifier import verify_plan
from edgekit.errors import PromiseError
from tests.devices.mcu.planned_programs import addition, dense, end, planned

SEEDS = range(200)
Fault = Callable[[p.Program, MemoryPlan, np.random.Generator], MemoryPlan | None]


@pytest.mark.parametrize("block", range(4))
def test_the_plans_of_random_programs_are_accepted(block: int) -> None:
    for seed in SEEDS[block::4]:
        verify_plan(*planned(seed))


def by_hand(plan: MemoryPlan) -> MemoryPlan:
    """The same plan without claims: only the replay can find what is wrong."""
    return plan._replace(certificate=None)


def with_offset(plan: MemoryPlan, buffer: int, offset: int) -> MemoryPlan:
    return plan._replace(offsets=(*plan.offsets[:buffer], offset, *plan.offsets[buffer + 1 :]))


def clashing(program: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan | None:
    """One buffer over another that is alive with it and that is no input of its maker."""
    assert plan.certificate is not None
    pairs = [
        (one.buffer, other.begin)
        for one in plan.certificate.intervals
        for other in plan.certificate.intervals
        if one.first <= other.last and other.first < one.first and other.last > one.first
        if plan.arena_bytes - program.buffers[one.buffer].nbytes >= other.begin
    ]
    return with_offset(by_hand(plan), *pairs[draw.integers(len(pairs))]) if pairs else None


def too_near(program: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan | None:
    """An output nearer to the input that it lies over than its operator allows, in a larger arena so that nothing else is wrong."""
    assert plan.certificate is not None
    overlaps = plan.certificate.overlaps
    if not overlaps:
        return None
    chosen = overlaps[draw.integers(len(overlaps))]
    offset = plan.offsets[chosen.input] - (-(-chosen.distance // 4) * 4 - 4)
    moved = with_offset(by_hand(plan), chosen.output, offset)
    nbytes = max(plan.arena_bytes, offset + program.buffers[chosen.output].nbytes)
    return moved._replace(arena_bytes=nbytes) if offset >= 0 else None


def shrunk_distance(_: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan | None:
    assert plan.certificate is not None
    overlaps = list(plan.certificate.overlaps)
    if not overlaps:
        return None
    index = int(draw.integers(len(overlaps)))
    overlaps[index] = overlaps[index]._replace(distance=overlaps[index].distance - 1)
    return plan._replace(certificate=plan.certificate._replace(overlaps=tuple(overlaps)))


def swapped_order(program: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan | None:
    """Two operators of which the later reads what the earlier writes."""
    order = list(plan.order)
    reads = [{getattr(each, "input", -1), getattr(each, "other", -1) if isinstance(getattr(each, "other", -1), int) else -1}
             for each in program.operators]  # fmt: skip
    places = [(i, j) for j in range(len(order)) for i in range(j) if program.operators[order[i]].output in reads[order[j]]]
    if not places:
        return None
    i, j = places[draw.integers(len(places))]
    order[i], order[j] = order[j], order[i]
    return by_hand(plan)._replace(order=tuple(order))


def cut_lifetime(_: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan | None:
    assert plan.certificate is not None
    intervals = list(plan.certificate.intervals)
    index = int(draw.integers(len(intervals)))
    intervals[index] = intervals[index]._replace(last=intervals[index].last - 1)
    return plan._replace(certificate=plan.certificate._replace(intervals=tuple(intervals)))


def scratch_over_tensor(program: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan | None:
    users = [index for index, each in enumerate(program.operators) if scratch_of(each)]
    if not users:
        return None
    user = users[draw.integers(len(users))]
    offset = plan.offsets[program.operators[user].output]
    scratch = (*plan.scratch[:user], offset, *plan.scratch[user + 1 :])
    nbytes = max(plan.arena_bytes, offset + scratch_of(program.operators[user]))
    return by_hand(plan)._replace(scratch=scratch, arena_bytes=nbytes)


def small_arena(_: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan:
    return by_hand(plan)._replace(arena_bytes=plan.arena_bytes - int(draw.integers(1, 5)))


def large_arena(_: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan:
    return by_hand(plan)._replace(arena_bytes=plan.arena_bytes + int(draw.integers(1, 5)))


def odd_offset(_: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan:
    buffer = int(draw.integers(len(plan.offsets)))
    odd = with_offset(by_hand(plan), buffer, plan.offsets[buffer] + int(draw.integers(1, 4)))
    return odd._replace(arena_bytes=plan.arena_bytes + 4)


def bound_too_high(_: p.Program, plan: MemoryPlan, draw: np.random.Generator) -> MemoryPlan:
    assert plan.certificate is not None
    return plan._replace(certificate=plan.certificate._replace(least_bytes=plan.arena_bytes + int(draw.integers(1, 9))))


FAULTS: list[Fault] = [
    clashing, too_near, shrunk_distance, swapped_order, cut_lifetime, scratch_over_tensor, small_arena, large_arena, odd_offset,
    bound_too_high,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[each.__name__ for each in FAULTS])
def test_a_planted_fault_is_rejected(fault: Fault) -> None:
    planted = 0
    for seed in SEEDS[:80]:
        program, plan = planned(seed)
        wrong = fault(program, plan, np.random.default_rng(seed))
        if wrong is None:
            continue
        planted += 1
        with pytest.raises(PromiseError):
            verify_plan(program, wrong)
    assert planted >= 25


def product_program() -> p.Program:
    """Six rows of 4 numbers to six rows of 6, and the sum of the result with itself."""
    return p.Program(
        buffers=(p.Buffer("x", 24), p.Buffer("y", 36), p.Buffer("z", 36)),
        operators=(dense("up", 0, 1, rows=6, taken=4, made=6), addition("twice", 1, 1, 2, 36)),
        inputs=(end(0, p.Buffer("x", 24)),),
        outputs=(end(2, p.Buffer("z", 36)),),
    )


def test_a_refusal_names_operator_buffers_and_byte() -> None:
    # Row s is written up to 6 · (s + 1) and needs x from 4 · s on: x begins 16 bytes after y at least.
    plan = MemoryPlan((0, 1), (16, 0, 0), (0, 0), 40)
    verify_plan(product_program(), plan)
    with pytest.raises(PromiseError, match="up: its output y over x writes byte .* before it is read for the last time"):
        verify_plan(product_program(), plan._replace(offsets=(12, 0, 0), arena_bytes=36))


def test_a_lost_input_is_told_by_name() -> None:
    plan = MemoryPlan((1, 0), (36, 0, 0), (0, 0), 60)
    with pytest.raises(PromiseError, match="at twice: 36 bytes of y are lost; byte 0 of the arena holds nothing"):
        verify_plan(product_program(), plan)


def test_an_order_that_skips_an_operator_is_rejected() -> None:
    plan = plan_memory(product_program())
    with pytest.raises(PromiseError, match="does not run each of 2 operators once"):
        verify_plan(product_program(), plan._replace(order=(0, 0)))


def test_offsets_of_another_program_are_rejected() -> None:
    plan = plan_memory(product_program())
    with pytest.raises(PromiseError, match="offsets of"):
        verify_plan(product_program(), plan._replace(offsets=plan.offsets[:-1]))


def test_inputs_that_lie_over_each_other_are_rejected() -> None:
    buffers = (p.Buffer("a", 8), p.Buffer("b", 8), p.Buffer("c", 8))
    program = p.Program(
        buffers=buffers,
        operators=(addition("sum", 0, 1, 2, 8),),
        inputs=(end(0, buffers[0]), end(1, buffers[1])),
        outputs=(end(2, buffers[2]),),
    )
    verify_plan(program, MemoryPlan((0,), (0, 8, 0), (0,), 16))
    with pytest.raises(PromiseError, match="at the arrival of all inputs: 8 bytes of a are lost"):
        verify_plan(program, MemoryPlan((0,), (0, 0, 8), (0,), 16))
