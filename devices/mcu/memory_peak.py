"""Where a plan needs most memory, so that a person can see what would have to change."""

from typing import NamedTuple

from devices.mcu.dataflow import dataflow
from devices.mcu.lifetimes import alive_at, lifetimes, overlap_bytes
from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.operator_chain import chain_bytes, chain_needs, chain_of
from devices.mcu.planner import plan_memory
from devices.mcu.program import Buffer, Program

__all__ = ["ArenaNeed", "MemoryPeak", "arena_need", "memory_peak"]


class MemoryPeak(NamedTuple):
    """The moment of a run that needs most.

    Attributes:
        operator: the name of the operator that runs; None: the arrival of the inputs, or the leaving of the outputs.
        nbytes: what must lie in the arena then, with the best overlap of this operator.
        alive: the buffers that hold something then, the largest first.
        scratch_bytes: what the operator needs besides.
        shared_bytes: by how much less that is than all of them, because the output lies over an input.
    """

    operator: str | None
    nbytes: int
    alive: tuple[Buffer, ...]
    scratch_bytes: int
    shared_bytes: int


class ArenaNeed(NamedTuple):
    """Bytes of the arena, and the name of the operator that needs most; empty where none does."""

    nbytes: int
    operator: str


def arena_need(program: Program) -> ArenaNeed:
    """What ``plan_memory`` and ``memory_peak`` tell of a program; where its operators follow one another, without a plan."""
    chain = chain_of(dataflow(program))
    if chain is None:
        plan = plan_memory(program)
        return ArenaNeed(plan.arena_bytes, memory_peak(program, plan).operator or "")
    needs = ("", *(each.name for each in program.operators), "")
    return ArenaNeed(chain_bytes(chain), max(zip(chain_needs(chain), needs, strict=True), key=lambda each: each[0])[1])


def memory_peak(program: Program, plan: MemoryPlan) -> MemoryPeak:
    """The first of the moments at which the order of a plan needs most."""
    flow = dataflow(program)
    needs = overlap_bytes(flow, plan.order)
    position = needs.index(max(needs)) - 1
    alive = [program.buffers[each] for each in alive_at(lifetimes(flow, plan.order), position)]
    runs = 0 <= position < len(plan.order)
    scratch = flow.scratch[plan.order[position]] if runs else 0
    total = sum(buffer.nbytes for buffer in alive) + scratch
    return MemoryPeak(
        program.operators[plan.order[position]].name if runs else None,
        max(needs),
        tuple(sorted(alive, key=lambda buffer: -buffer.nbytes)),
        scratch,
        max(0, total - max(needs)),
    )
