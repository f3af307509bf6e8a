"""The plan that needs no planner: a place of its own for every buffer and every scratch."""

from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.packing import scratch_of
from devices.mcu.program import Program

__all__ = ["plan_apart"]


def plan_apart(program: Program) -> MemoryPlan:
    """Buffers one behind the other, scratch behind them."""
    offsets, at = [], 0
    for buffer in program.buffers:
        offsets.append(at)
        at += -(-buffer.nbytes // 4) * 4
    scratch = [scratch_of(operator) for operator in program.operators]
    ends = [offset + buffer.nbytes for offset, buffer in zip(offsets, program.buffers, strict=True)]
    most = max([*ends, *(at + each for each in scratch if each)])
    return MemoryPlan(tuple(range(len(program.operators))), tuple(offsets), tuple(at if each else 0 for each in scratch), most)
