"""What holds for a program in whatever order its operators run: who writes and reads each buffer, and what must come before what."""

from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu.contract import distance, read_buffers, run_begins
from devices.mcu.packing import scratch_of
from devices.mcu.program import Move, Operator, Program

__all__ = ["ALIGNMENT", "Dataflow", "aligned", "dataflow", "operators_in"]

ALIGNMENT = 4
"""Every buffer and every scratch begins at a multiple of it."""


class Dataflow(NamedTuple):
    """Sets of operators are numbers with a bit for each.

    Attributes:
        sizes: bytes of each buffer.
        entries: the buffers that are there from the begin.
        exits: the buffers that are there at the end.
        output: of each operator.
        inputs: of each operator, each once.
        distances: of each operator, for each input: how far the output may lie over it (``contract.distance``).
        scratch: of each operator, in bytes.
        before: of each operator, those that run before it.
        writers: of each buffer.
        readers: of each buffer.
    """

    sizes: tuple[int, ...]
    entries: frozenset[int]
    exits: frozenset[int]
    output: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]
    distances: tuple[dict[int, int | None], ...]
    scratch: tuple[int, ...]
    before: tuple[int, ...]
    writers: tuple[int, ...]
    readers: tuple[int, ...]


def aligned(nbytes: int) -> int:
    """The least multiple of the alignment that is not smaller."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def operators_in(members: int) -> list[int]:
    """The operators of a set, in order."""
    return [index for index in range(members.bit_length()) if members >> index & 1]


def dataflow(program: Program) -> Dataflow:
    """Read a program.

    Raises:
        ValueError: it cannot run in its own order, or a buffer is written where it is read.
    """
    inputs = tuple(read_buffers(operator) for operator in program.operators)
    writers, readers = [0] * len(program.buffers), [0] * len(program.buffers)
    for index, operator in enumerate(program.operators):
        writers[operator.output] |= 1 << index
        for buffer in inputs[index]:
            readers[buffer] |= 1 << index
    entries = frozenset(end.buffer for end in program.inputs)
    _check(program, entries, writers, readers)
    ancestors: list[int] = []
    for index, read in enumerate(inputs):
        direct = reduce(int.__or__, (writers[buffer] for buffer in read), _earlier_writers(program, index, writers))
        ancestors.append(reduce(int.__or__, (ancestors[each] for each in operators_in(direct)), direct))
    return Dataflow(
        tuple(buffer.nbytes for buffer in program.buffers),
        entries,
        frozenset(end.buffer for end in program.outputs),
        tuple(operator.output for operator in program.operators),
        inputs,
        tuple({each: distance(program.operators[i], each) for each in read} for i, read in enumerate(inputs)),
        tuple(scratch_of(operator) for operator in program.operators),
        tuple(ancestors),
        tuple(writers),
        tuple(readers),
    )


def _check(program: Program, entries: frozenset[int], writers: list[int], readers: list[int]) -> None:
    for index, buffer in enumerate(program.buffers):
        if index in entries and writers[index]:
            raise ValueError(f"input {buffer.name} is written by {program.operators[operators_in(writers[index])[0]].name}")
        if index not in entries and not writers[index]:
            raise ValueError(f"nothing writes buffer {buffer.name}")
        if readers[index] and writers[index].bit_length() > operators_in(readers[index])[0]:
            reader = program.operators[operators_in(readers[index])[0]]
            raise ValueError(f"{reader.name} reads buffer {buffer.name} before all of it is written")


def _earlier_writers(program: Program, index: int, writers: list[int]) -> int:
    """Operators before this one that write some of the same bytes: a Fill below the Moves of a pad."""
    operator = program.operators[index]
    rivals = operators_in(writers[operator.output] & ((1 << index) - 1))
    if not rivals:
        return 0
    nbytes = program.buffers[operator.output].nbytes
    own = _written_bytes(operator, nbytes)
    return sum(1 << each for each in rivals if (_written_bytes(program.operators[each], nbytes) & own).any())


def _written_bytes(operator: Operator, nbytes: int) -> NDArray[np.bool_]:
    """Which bytes of its output an operator writes."""
    mask = np.full(nbytes, not isinstance(operator, Move))
    if isinstance(operator, Move):
        begins = run_begins(operator.at_out, operator.counts, operator.steps_out)
        mask[(begins[:, None] + np.arange(operator.run)).ravel()] = True
    return mask
