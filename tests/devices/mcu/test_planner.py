"""Plans against brute force over every order and every placement, and on the shapes of a real network."""

import dataclasses
from collections.abc import Iterator
from itertools import permutations

import pytest

from devices.mcu import program as p
from devices.mcu.contract import distance, read_buffers
from devices.mcu.memory_peak import arena_need
from devices.mcu.packing import scratch_of
from devices.mcu.planner import plan_memory
from devices.mcu.verifier import verify_plan
from tests.devices.mcu.planned_programs import addition, chain, conv, dense, end, planned, tiny_program


def orders(program: p.Program) -> Iterator[tuple[int, ...]]:
    """Every order in which no operator reads what is not yet written; each buffer has one writer."""
    maker = {operator.output: index for index, operator in enumerate(program.operators)}
    for order in permutations(range(len(program.operators))):
        at = {operator: position for position, operator in enumerate(order)}
        if all(at[maker[each]] < at[index] for index in order for each in read_buffers(program.operators[index]) if each in maker):
            yield order


def fits(program: p.Program, order: tuple[int, ...], height: int) -> bool:
    """Whether some placement keeps all below ``height``: every offset of every buffer is tried, step by step.

    A state is where everything lies that is alive: pairs of buffer and offset.
    """
    leaving = {end.buffer for end in program.outputs}
    last = {
        index: max([-1, *(at for at, each in enumerate(order) if index in read_buffers(program.operators[each]))])
        for index in range(len(program.buffers))
    }
    born = [sorted(end.buffer for end in program.inputs), *([program.operators[each].output] for each in order)]
    states = {frozenset[tuple[int, int]]()}
    for position, news in enumerate(born, -1):
        operator = program.operators[order[position]] if position >= 0 else None
        dying = {index for index in last if last[index] <= position and index not in leaving} - set(news)
        for new in news:
            states = {
                state | {(new, x)}
                for state in states
                for x in range(0, height - program.buffers[new].nbytes + 1, 4)
                if not any(clash(program, operator, dying, new, x, other, y) for other, y in state)
            }
        kept = {index for index in last if last[index] > position or index in leaving}
        states = {frozenset(each for each in state if each[0] in kept) for state in states}
    return bool(states)


def clash(program: p.Program, operator: p.Operator | None, dying: set[int], new: int, x: int, old: int, y: int) -> bool:
    """Whether an output at ``x`` harms what lies at ``y``."""
    if x >= y + program.buffers[old].nbytes or y >= x + program.buffers[new].nbytes:
        return False
    if operator is None or old not in dying or old not in read_buffers(operator):
        return True
    apart = distance(operator, old)
    return apart is None or y - x < apart


@pytest.mark.parametrize("block", range(6))
def test_no_order_and_placement_of_a_small_program_is_lower(block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        program = tiny_program(seed)
        assert not any(map(scratch_of, program.operators))
        plan = plan_memory(program)
        verify_plan(program, plan)
        assert plan.exact
        assert not any(fits(program, order, plan.arena_bytes - 1) for order in orders(program)), seed


def test_brute_force_finds_a_plan_where_there_is_one() -> None:
    for seed in range(30):
        program = tiny_program(seed)
        plan = plan_memory(program)
        assert fits(program, plan.order, plan.arena_bytes)


def test_random_programs_are_planned_with_proof() -> None:
    plans = [planned(seed)[1] for seed in range(200)]
    assert sum(plan.exact for plan in plans) >= 198
    assert sum(plan.certificate is not None and plan.arena_bytes == plan.certificate.overlap_bytes for plan in plans) >= 190


def test_one_program_has_one_plan() -> None:
    program, plan = planned(219)
    assert plan_memory(program) == plan
    assert arena_need(program).nbytes == plan.arena_bytes


SHAPES: list[p.Shape] = [(96, 96, 1), (48, 48, 8), (48, 48, 8), (48, 48, 16), (24, 24, 16), (24, 24, 32), (24, 24, 32)]


def test_overlaps_that_drift_downwards_meet_the_bound() -> None:
    kinds = [(3, 2, 0, False), (3, 1, 1, True), (1, 1, 0, False), (3, 2, 0, True), (1, 1, 0, False), (3, 1, 1, True)]
    operators: list[p.Operator] = [
        conv(index, SHAPES[index], SHAPES[index + 1], kernel=kernel, stride=stride, before=before, depthwise=depthwise)
        for index, (kernel, stride, before, depthwise) in enumerate(kinds)
    ]
    program = chain(SHAPES, operators)
    plan = plan_memory(program)
    verify_plan(program, plan)
    assert plan.exact
    assert plan.certificate is not None and plan.certificate.liveness_bytes == 18432 + 36864
    # The largest pair needs 36,928 alone; its lower neighbour lifts it where they meet.
    assert plan.arena_bytes <= 37_248


def wide(width: int) -> p.Program:
    """One tensor, ``width`` branches of two products of unlike sizes, and their sum two by two."""
    buffers, operators = [p.Buffer("t0", 64)], list[p.Operator]()
    tips = []
    for branch in range(width):
        middle, tip = len(buffers), len(buffers) + 1
        inner = 8 * (1 + branch % 5)
        buffers += [p.Buffer(f"m{branch}", inner), p.Buffer(f"p{branch}", 16)]
        operators.append(dense(f"up{branch}", 0, middle, rows=1, taken=64, made=inner))
        operators.append(dense(f"down{branch}", middle, tip, rows=1, taken=inner, made=16))
        tips.append(tip)
    while len(tips) > 1:
        buffers.append(p.Buffer(f"s{len(buffers)}", 16))
        operators.append(addition(f"add{len(buffers)}", tips.pop(0), tips.pop(0), len(buffers) - 1, 16))
        tips.append(len(buffers) - 1)
    return p.Program(
        buffers=tuple(buffers), operators=tuple(operators), inputs=(end(0, buffers[0]),), outputs=(end(tips[0], buffers[tips[0]]),)
    )


def test_branches_are_interleaved_with_what_joins_them() -> None:
    program = wide(6)
    plan = plan_memory(program)
    verify_plan(program, plan)
    assert plan.exact
    in_turn = 64 + 6 * 16
    assert plan.arena_bytes < in_turn


def test_twenty_branches_have_a_plan_with_a_stated_gap() -> None:
    program = wide(20)
    plan = plan_memory(program)
    verify_plan(program, plan)
    in_turn = 64 + 20 * 16
    assert plan.certificate is not None
    assert plan.certificate.least_bytes <= plan.arena_bytes < in_turn / 2


def test_an_input_that_is_an_output_stays() -> None:
    program = p.Program(
        buffers=(p.Buffer("x", 8), p.Buffer("y", 8)),
        operators=(addition("add", 0, 0, 1, 8),),
        inputs=(p.End("x", 0, (8,), "int8", (0,)),),
        outputs=(p.End("x", 0, (8,), "int8", (0,)), p.End("y", 1, (8,), "int8", (0,))),
    )
    plan = plan_memory(program)
    verify_plan(program, plan)
    assert plan.arena_bytes == 16
    alone = dataclasses.replace(program, outputs=program.outputs[1:])
    assert plan_memory(alone).arena_bytes == 8


def test_a_program_without_operators_holds_its_inputs() -> None:
    ends = tuple(p.End(f"x{each}", each, (5,), "int8", (0,)) for each in range(2))
    program = p.Program(buffers=(p.Buffer("x0", 5), p.Buffer("x1", 5)), operators=(), inputs=ends, outputs=ends[:1] * 2)
    plan = plan_memory(program)
    verify_plan(program, plan)
    assert plan.arena_bytes == 13


def test_an_input_that_nobody_reads_has_its_place_at_the_begin_only() -> None:
    program = p.Program(
        buffers=(p.Buffer("x", 8), p.Buffer("unread", 40), p.Buffer("y", 48)),
        operators=(dense("up", 0, 2, rows=1, taken=8, made=48),),
        inputs=(p.End("x", 0, (8,), "int8", (0,)), p.End("unread", 1, (40,), "int8", (0,))),
        outputs=(p.End("y", 2, (48,), "int8", (0,)),),
    )
    plan = plan_memory(program)
    verify_plan(program, plan)
    assert plan.arena_bytes == 56


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operators": ()}, "nothing writes"),
        ({"inputs": tuple(p.End(name, index, (8,), "int8", (0,)) for index, name in enumerate("xy"))}, "input y is written by"),
    ],
)
def test_a_program_that_cannot_run_is_refused(changes: dict[str, object], message: str) -> None:
    program = p.Program(
        buffers=(p.Buffer("x", 8), p.Buffer("y", 8)),
        operators=(addition("add", 0, 0, 1, 8),),
        inputs=(p.End("x", 0, (8,), "int8", (0,)),),
        outputs=(p.End("y", 1, (8,), "int8", (0,)),),
    )
    with pytest.raises(ValueError, match=message):
        plan_memory(dataclasses.replace(program, **changes))  # type: ignore[arg-type]
