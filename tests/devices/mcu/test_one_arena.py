"""A plan loses nothing: in one arena the reference makes the same bytes as with a buffer for each tensor.

The operators work as the specification allows at worst: each step spoils its output bytes as early as it may, and each input byte is
read as late as it may be.
"""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.mcu import program as p
from devices.mcu.contract import needed, read_buffers, reads_first, run_begins, written
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.packing import scratch_of
from devices.mcu.reference import run_buffers
from tests.devices.mcu.planned_programs import planned
from tests.devices.mcu.random_programs import random_inputs

Arena = NDArray[np.int8]
FILLS = (0x5A, -0x5B)
GUARD = 64


def output_steps(operator: p.Operator, nbytes: int) -> list[slice]:
    """The output bytes of each step."""
    if isinstance(operator, p.Fill):
        return [slice(0, nbytes)]
    if isinstance(operator, p.Move):
        begins = run_begins(operator.at_out, operator.counts, operator.steps_out).tolist()
        return [slice(begin, begin + operator.run) for begin in begins]
    ends = [0, *written(operator).tolist()]
    return [slice(begin, stop) for begin, stop in zip(ends, ends[1:], strict=False)]


def seen(program: p.Program, plan: MemoryPlan, arena: Arena, operator: p.Operator) -> dict[int, Arena]:
    """What an operator reads at worst while its steps spoil its output."""
    out = arena[plan.offsets[operator.output] :]
    steps = output_steps(operator, program.buffers[operator.output].nbytes)
    reads = {}
    for buffer in read_buffers(operator):
        needs = needed(operator, buffer)
        late = [program.buffers[buffer].nbytes] + [0] * len(steps)  # read when all is written
        reads[buffer] = late[::-1] if needs is None else needs.tolist()
    found = {buffer: np.zeros(program.buffers[buffer].nbytes, np.int8) for buffer in reads}
    for step, written_now in enumerate(steps):
        if not reads_first(operator):
            out[written_now] ^= 0x33
        for buffer, begins in reads.items():
            last = slice(begins[step], begins[step + 1])
            found[buffer][last] = arena[plan.offsets[buffer] :][last]
        if reads_first(operator):
            out[written_now] ^= 0x33
    return found


def run_in_one_arena(program: p.Program, plan: MemoryPlan, inputs: list[Arena], fill: int) -> Arena:
    arena = np.full(plan.arena_bytes + GUARD, fill, np.int8)
    for entry, values in zip(program.inputs, inputs, strict=True):
        arena[plan.offsets[entry.buffer] :][: len(values)] = values
    for index in plan.order:
        operator = program.operators[index]
        arena[plan.scratch[index] :][: scratch_of(operator)] = 77
        buffers = [np.zeros(buffer.nbytes, np.int8) for buffer in program.buffers]
        for buffer, values in seen(program, plan, arena, operator).items():
            buffers[buffer] = values
        run_buffers(dataclasses.replace(program, operators=(operator,)), buffers)
        for part in output_steps(operator, program.buffers[operator.output].nbytes):
            arena[plan.offsets[operator.output] :][part] = buffers[operator.output][part]
    return arena


@pytest.mark.parametrize("block", range(8))
def test_one_arena_makes_the_same_bytes_as_many_buffers(block: int) -> None:
    for seed in range(block, 200, 8):
        program, plan = planned(seed)
        inputs = random_inputs(program, seed)
        buffers = [np.zeros(buffer.nbytes, np.int8) for buffer in program.buffers]
        for entry, values in zip(program.inputs, inputs, strict=True):
            buffers[entry.buffer] = values.copy()
        run_buffers(program, buffers)
        arenas = [run_in_one_arena(program, plan, inputs, fill) for fill in FILLS]
        for arena in arenas:
            for exit in program.outputs:
                held = arena[plan.offsets[exit.buffer] :][: program.buffers[exit.buffer].nbytes]
                assert held.tobytes() == buffers[exit.buffer].tobytes(), (seed, exit.name)
        touched = (arenas[0] != np.int8(FILLS[0])) | (arenas[1] != np.int8(FILLS[1]))
        assert int(np.flatnonzero(touched)[-1]) + 1 == plan.arena_bytes, seed


def test_a_plan_that_overlaps_too_far_is_seen() -> None:
    """The interpreter is as strict as it says: most outputs that come one unit nearer to their input come out wrong."""
    wrong, tried = 0, 0
    for seed in range(60):
        program, plan = planned(seed)
        assert plan.certificate is not None
        for overlap in plan.certificate.overlaps:
            offset = plan.offsets[overlap.input] - (-(-overlap.distance // 4) * 4 - 4)
            if offset < 0:
                continue
            tried += 1
            offsets = (*plan.offsets[: overlap.output], offset, *plan.offsets[overlap.output + 1 :])
            arena = np.arange(plan.arena_bytes + GUARD + 4, dtype=np.int64).astype(np.int8)
            before = arena[plan.offsets[overlap.input] :][: program.buffers[overlap.input].nbytes].copy()
            read = seen(program, plan._replace(offsets=offsets), arena, program.operators[overlap.operator])[overlap.input]
            needs = needed(program.operators[overlap.operator], overlap.input)
            assert needs is not None
            wrong += not np.array_equal(read[needs[0] : needs[-1]], before[needs[0] : needs[-1]])
    assert wrong >= 0.8 * tried > 20
