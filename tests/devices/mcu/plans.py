"""The plan that needs no planner: a place of its own for every buffer, behind one for scratch."""

from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.packing import scratch_of
from devices.mcu.program import Program

__all__ = ["plan_apart"]


def plan_apart(program: Program) -> MemoryPlan:
    """Scratch at the begin of the arena, then buffers one behind the other."""
    at = max((_aligned(scratch_of(operator)) for operator in program.operators), default=0)
    offsets = []
    for buffer in program.buffers:
        offsets.append(at)
        at += _aligned(buffer.nbytes)
    count = len(program.operators)
    return MemoryPlan(tuple(range(count)), tuple(offsets), (0,) * count, offsets[-1] + program.buffers[-1].nbytes)


def _aligned(nbytes: int) -> int:
    return -(-nbytes // 4) * 4
