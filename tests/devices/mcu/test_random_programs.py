"""Random programs are whole, repeatable, and have in them what a memory plan may get wrong."""

import math
from collections import Counter

import pytest

from devices.mcu import program as p
from tests.devices.mcu.random_programs import random_program, reads

PROGRAMS = [random_program(seed) for seed in range(300)]


def test_one_seed_makes_one_program() -> None:
    assert [str(each) for each in random_program(7).operators] == [str(each) for each in random_program(7).operators]


def test_every_buffer_is_whole_before_it_is_read() -> None:
    for program in PROGRAMS:
        held = {end.buffer for end in program.inputs}
        writers = Counter(operator.output for operator in program.operators)
        for operator in program.operators:
            assert set(reads(operator)) <= held
            writers[operator.output] -= 1
            if not writers[operator.output]:
                held.add(operator.output)
        assert {end.buffer for end in program.outputs} <= held


def test_shapes_are_those_of_the_buffers() -> None:
    for program in PROGRAMS:
        for operator in program.operators:
            if isinstance(operator, p.Conv | p.Average | p.Maximum):
                assert math.prod(operator.in_shape) == program.buffers[operator.input].nbytes
                assert math.prod(operator.out_shape) == program.buffers[operator.output].nbytes


TRAPS = {
    "every operator": lambda all_: {type(each) for program in all_ for each in program.operators} == set(p.Operator.__args__),
    "Add(x, x)": lambda all_: any(isinstance(each, p.Add) and each.other == each.input for x in all_ for each in x.operators),
    "a broadcast buffer": lambda all_: any(
        isinstance(each, p.Add) and isinstance(each.other, int) and each.other_count < each.count for x in all_ for each in x.operators
    ),
    "several inputs": lambda all_: any(len(x.inputs) > 1 for x in all_),
    "several outputs": lambda all_: any(len(x.outputs) > 1 for x in all_),
    "an input that is an output": lambda all_: any({e.buffer for e in x.inputs} & {e.buffer for e in x.outputs} for x in all_),
    "a tensor that nobody reads": lambda all_: any(
        {each.output for each in x.operators} - {i for each in x.operators for i in reads(each)} - {e.buffer for e in x.outputs}
        for x in all_
    ),
    "several writers": lambda all_: any(len({e.output for e in x.operators}) < len(x.operators) for x in all_),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_the_trap_turns_up(trap: str) -> None:
    assert TRAPS[trap](PROGRAMS)
