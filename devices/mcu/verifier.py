"""Replays a memory plan byte by byte, without any code of the planner: what each byte of the arena holds, step by step.

The arena is an array of owners: which buffer each byte belongs to. Inputs arrive, operators run in the order of the plan by the steps
of firmware/SPEC.md, section 5, and outputs leave. A step takes bytes for its output as early as it may, and reads its input as late as
it may. What is read must belong to the buffer that is meant.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu.memory_plan import Certificate, Interval, MemoryPlan, Overlap
from devices.mcu.packing import scratch_of
from devices.mcu.program import Add, Average, Conv, Dense, Depthwise, Fill, Map, Maximum, Move, Mul, Operator, Program, Softmax
from edgekit.errors import PromiseError

__all__ = ["verify_plan"]

NOBODY = -1

Owners = NDArray[np.int32]
Steps = NDArray[np.int64]


class _Work(NamedTuple):
    """How an operator works on one input.

    Attributes:
        writes: the step that writes each byte of the output; a negative number where none does.
        begins: the lowest input byte that each step or a later one reads, and last where the input ends.
        first: whether a step reads all before it writes.
        apart: whether output and input may share no byte.
    """

    writes: Steps
    begins: Steps
    first: bool
    apart: bool


def verify_plan(program: Program, plan: MemoryPlan) -> None:
    """Check every claim of a plan.

    Raises:
        PromiseError: the plan would lose a byte, or says something that is not so: which operator, which buffers, which byte.
    """
    _check_form(program, plan)
    intervals = _intervals(program, plan)
    arena = np.full(plan.arena_bytes, NOBODY, np.int32)
    touched = max((_arrive(program, plan, arena, end.buffer) for end in program.inputs), default=0)
    for end in program.inputs:
        _check_whole(program, plan, arena, end.buffer, "the arrival of all inputs")
    overlaps: list[Overlap] = []
    for index in plan.order:
        touched = max(touched, _run(program, plan, arena, index, overlaps))
    for end in program.outputs:
        _check_whole(program, plan, arena, end.buffer, "the end")
    if plan.certificate is not None:
        _check_claims(plan, plan.certificate, intervals, overlaps)
    if touched != plan.arena_bytes:
        raise PromiseError(f"the plan claims an arena of {plan.arena_bytes} bytes; {touched} are touched")


def _check_form(program: Program, plan: MemoryPlan) -> None:
    if sorted(plan.order) != list(range(len(program.operators))):
        raise PromiseError(f"the order {plan.order} does not run each of {len(program.operators)} operators once")
    counts = (len(plan.offsets), len(plan.scratch))
    if counts != (len(program.buffers), len(program.operators)):
        raise PromiseError(f"the plan has offsets of {counts} buffers and operators; the program has other numbers")
    sizes = [*(buffer.nbytes for buffer in program.buffers), *map(scratch_of, program.operators)]
    for offset, nbytes in zip((*plan.offsets, *plan.scratch), sizes, strict=True):
        if offset % 4 or not 0 <= offset <= plan.arena_bytes - nbytes:
            raise PromiseError(f"{nbytes} bytes at {offset} do not lie in {plan.arena_bytes} at a multiple of 4")


def _intervals(program: Program, plan: MemoryPlan) -> list[Interval]:
    """When each buffer holds something in this order, and where."""
    first = {end.buffer: -1 for end in program.inputs}
    last = dict(first)
    for position, index in enumerate(plan.order):
        operator = program.operators[index]
        for buffer in (*_reads(operator), operator.output):
            first.setdefault(buffer, position)
            last[buffer] = position
    last |= {end.buffer: len(plan.order) for end in program.outputs}
    spans = {each: _span(program, plan, each) for each in sorted(first)}
    return [Interval(each, first[each], last[each], span.start, span.stop) for each, span in spans.items()]


def _check_claims(plan: MemoryPlan, claims: Certificate, intervals: list[Interval], overlaps: list[Overlap]) -> None:
    """The intervals and overlaps must be those of the order and the offsets, and the bounds must not contradict the arena."""
    if intervals != sorted(claims.intervals):
        wrong = sorted(set(intervals) ^ set(claims.intervals))
        raise PromiseError(f"the order and the offsets make other intervals than the plan claims: {wrong}")
    if sorted(overlaps) != sorted(claims.overlaps):
        raise PromiseError(f"the plan claims overlaps {sorted(claims.overlaps)}; its offsets make {sorted(overlaps)}")
    bounds = (claims.least_bytes, claims.overlap_bytes)
    if max(bounds) > plan.arena_bytes:
        raise PromiseError(f"the plan claims that less than {max(bounds)} bytes is impossible; its arena has {plan.arena_bytes}")


def _reads(operator: Operator) -> list[int]:
    if isinstance(operator, Fill):
        return []
    other = operator.other if isinstance(operator, Add | Mul) else operator.input
    return [operator.input, *([other] if isinstance(other, int) and other != operator.input else [])]


def _span(program: Program, plan: MemoryPlan, buffer: int) -> slice:
    return slice(plan.offsets[buffer], plan.offsets[buffer] + program.buffers[buffer].nbytes)


def _arrive(program: Program, plan: MemoryPlan, arena: Owners, buffer: int) -> int:
    arena[_span(program, plan, buffer)] = buffer
    return plan.offsets[buffer] + program.buffers[buffer].nbytes


def _check_whole(program: Program, plan: MemoryPlan, arena: Owners, buffer: int, when: str) -> None:
    """Every byte of a buffer must still be its own."""
    lost = np.flatnonzero(arena[_span(program, plan, buffer)] != buffer)
    if len(lost):
        at = plan.offsets[buffer] + int(lost[0])
        owner = int(arena[at])
        holder = "nothing" if owner == NOBODY else f"buffer {program.buffers[owner].name}"
        name = program.buffers[buffer].name
        raise PromiseError(f"at {when}: {len(lost)} bytes of {name} are lost; byte {at} of the arena holds {holder}")


def _run(program: Program, plan: MemoryPlan, arena: Owners, index: int, overlaps: list[Overlap]) -> int:
    """Run one operator; the end of what it touches."""
    operator = program.operators[index]
    for buffer in _reads(operator):
        _check_whole(program, plan, arena, buffer, operator.name)
    nbytes = program.buffers[operator.output].nbytes
    out = plan.offsets[operator.output]
    scratch = slice(plan.scratch[index], plan.scratch[index] + scratch_of(operator))
    for buffer in {*_reads(operator), operator.output}:
        if _common(scratch, _span(program, plan, buffer)):
            raise PromiseError(f"{operator.name}: its scratch lies over {program.buffers[buffer].name}")
    arena[scratch] = NOBODY
    writes = np.zeros(nbytes, np.int64) if isinstance(operator, Fill) else _writes(operator, nbytes)
    for buffer in _reads(operator):
        if _common(_span(program, plan, buffer), _span(program, plan, operator.output)):
            overlaps.append(_overlap(program, plan, index, buffer, _work(operator, buffer, writes)))
    done = np.flatnonzero(writes >= 0)
    arena[out + done] = operator.output
    end: int = out + int(done.max()) + 1
    return max(end, scratch.stop) if scratch_of(operator) else end


def _common(one: slice, other: slice) -> bool:
    return bool(max(one.start, other.start) < min(one.stop, other.stop))


def _overlap(program: Program, plan: MemoryPlan, index: int, buffer: int, work: _Work) -> Overlap:
    """Compare, for each byte that an output shares with an input, the step that writes it with the last one that may read it."""
    operator = program.operators[index]
    names = f"{operator.name}: its output {program.buffers[operator.output].name} over {program.buffers[buffer].name}"
    if work.apart:
        raise PromiseError(f"{names} shares bytes that it must not share")
    one, other = _span(program, plan, buffer), _span(program, plan, operator.output)
    shared = np.arange(max(one.start, other.start), min(one.stop, other.stop))
    written = work.writes[shared - other.start]
    read = np.searchsorted(work.begins[:-1], shared - one.start, side="right") - 1
    harmed = shared[(written >= 0) & (written < read if work.first else written <= read)]
    if len(harmed):
        raise PromiseError(f"{names} writes byte {int(harmed[0])} of the arena before it is read for the last time")
    ends = np.zeros(len(work.begins) - 1, np.int64)
    np.maximum.at(ends, work.writes[work.writes >= 0], np.flatnonzero(work.writes >= 0) + 1)
    least = int((ends - (work.begins[1:] if work.first else work.begins[:-1])).max())
    if one.start - other.start < least:
        raise PromiseError(f"{names} begins {one.start - other.start} bytes before it; it needs {least}")
    return Overlap(index, buffer, operator.output, least)


def _writes(operator: Operator, nbytes: int) -> Steps:
    """The step that writes each byte of an output; -1 where none does."""
    match operator:
        case Conv() | Average() | Maximum():
            return np.repeat(_pixel_steps(operator).ravel(), operator.out_shape[2])
        case Dense():
            return np.repeat(np.arange(operator.rows), operator.weights.shape[0])
        case Move():
            steps = np.full(nbytes, -1)
            for step, (_, to) in enumerate(_runs(operator)):
                steps[to : to + operator.run] = step
            return steps
    return np.arange(nbytes)


def _work(operator: Operator, buffer: int, writes: Steps) -> _Work:
    match operator:
        case Conv() | Average() | Maximum():
            end = operator.in_shape[0] * operator.in_shape[1] * operator.in_shape[2]
            return _Work(writes, _from(_first_reads(operator), end), False, False)
        case Dense():
            taken = operator.weights.shape[1]
            return _Work(writes, np.arange(operator.rows + 1) * taken, False, False)
        case Move():
            runs = list(_runs(operator))
            begins = np.array([begin for begin, _ in runs])
            ascending = all(later >= earlier + operator.run for (_, earlier), (_, later) in zip(runs, runs[1:], strict=False))
            return _Work(writes, _from(begins, int(begins.max()) + operator.run), True, not ascending)
        case Add() | Mul():
            again = isinstance(operator.other, int) and operator.other == buffer and operator.other_count != operator.count
            return _Work(writes, np.arange(operator.count + 1), True, again)
        case Map() | Softmax():
            return _Work(writes, np.arange(len(writes) + 1), True, False)
        case Fill():
            raise AssertionError("it reads nothing")


def _from(firsts: Steps, end: int) -> Steps:
    """From the lowest byte of each step, to that of each step and all later ones."""
    found, least = [end], end
    for first in firsts[::-1].tolist():
        least = min(least, first)
        found.append(least)
    return np.array(found[::-1])


def _runs(move: Move) -> Iterator[tuple[int, int]]:
    """Begin of each run in the input and in the output, as the loops go."""
    for i, j, k, n in np.ndindex(*move.counts):
        begin, to = (
            at + i * steps[0] + j * steps[1] + k * steps[2] + n * steps[3]
            for at, steps in ((move.at_in, move.steps_in), (move.at_out, move.steps_out))
        )
        yield begin, to


def _pixel_steps(operator: Conv | Average | Maximum) -> Steps:
    """The step of each output pixel."""
    height, width, _ = operator.out_shape
    pixels = 4 if isinstance(operator, Conv) else 1
    if isinstance(operator, Conv) and _single(operator):
        return (np.arange(height * width) // pixels).reshape(height, width)
    in_row = np.arange(width) // pixels
    return np.arange(height)[:, None] * (-(-width // pixels)) + in_row


def _single(conv: Conv) -> bool:
    """Whether each output pixel reads the one input pixel at its place, in a convolution that is not depthwise."""
    plain = (not isinstance(conv, Depthwise), conv.stride == (1, 1), conv.pads == (0, 0))
    return all(plain) and conv.weights.shape[1:3] == (1, 1) and conv.in_shape[:2] == conv.out_shape[:2]


def _first_reads(operator: Conv | Average | Maximum) -> Steps:
    """The lowest input byte that each step reads, tap by tap; the end of the input where it reads none."""
    (height, width, _), (in_height, in_width, channels) = operator.out_shape, operator.in_shape
    kernel = operator.weights.shape[1:3] if isinstance(operator, Conv) else operator.kernel
    dilation = operator.dilation if isinstance(operator, Conv) else (1, 1)
    steps = _pixel_steps(operator)
    first = np.full(int(steps.max()) + 1, in_height * in_width * channels)
    for i, j in np.ndindex(kernel[0], kernel[1]):
        rows = np.arange(height) * operator.stride[0] + i * dilation[0] - operator.pads[0]
        columns = np.arange(width) * operator.stride[1] + j * dilation[1] - operator.pads[1]
        inside = ((rows >= 0) & (rows < in_height))[:, None] & ((columns >= 0) & (columns < in_width))
        np.minimum.at(first, steps[inside], ((rows[:, None] * in_width + columns) * channels)[inside])
    return first
