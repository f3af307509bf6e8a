"""Runs a program in NumPy: what a board has to compute, bit for bit (firmware/SPEC.md, sections 1 and 4).

It is the judge of the C kernels and gives the golden answers of a board. A buffer of its own for each tensor, no plan,
no packing: each operator is written as its definition reads. Sums are exact: int64, or float64 below 2^53.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.mcu.arithmetic import scaled
from devices.mcu.program import (
    Add,
    Average,
    Conv,
    Dense,
    Depthwise,
    Fill,
    Map,
    Maximum,
    Move,
    Mul,
    Program,
    Softmax,
)
from devices.mcu.softmax import softmax
from edgekit.errors import FrameError
from edgekit.mcu_numbers import to_board, to_declared

__all__ = ["run", "run_buffers", "to_board", "to_declared"]

Bytes = NDArray[np.int8]
Integers = NDArray[np.int64]


def run(program: Program, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The outputs of a frame by name; both in their declared layout and type."""
    names = [end.name for end in program.inputs]
    if sorted(inputs) != sorted(names):
        raise FrameError(f"expected the inputs {', '.join(names)}, got {', '.join(inputs) or 'none'}")
    buffers = [np.zeros(buffer.nbytes, np.int8) for buffer in program.buffers]
    for end in program.inputs:
        buffers[end.buffer] = to_board(end, inputs[end.name])
    run_buffers(program, buffers)
    return {end.name: to_declared(end, buffers[end.buffer]) for end in program.outputs}


def run_buffers(program: Program, buffers: Sequence[Bytes]) -> None:
    """Run the operators in order on a flat int8 buffer for each tensor; those of the inputs are filled before."""
    for operator in program.operators:
        OPERATORS[type(operator)](operator, buffers)


def _clamped(numbers: Integers, low: int, high: int) -> Bytes:
    """Numbers as int8 in a row, between two."""
    return np.clip(numbers, low, high).astype(np.int8).reshape(-1)


def _windows(image: NDArray[Any], operator: Conv | Average | Maximum, kernel: tuple[int, int], fill: int) -> NDArray[Any]:
    """[out height, out width, kernel height, kernel width, channels]; what lies outside the image is ``fill``."""
    dilation = operator.dilation if isinstance(operator, Conv) else (1, 1)
    rows, columns = (
        np.arange(operator.out_shape[axis])[:, None] * operator.stride[axis] + np.arange(kernel[axis]) * dilation[axis] for axis in (0, 1)
    )
    (top, left), (height, width, channels) = operator.pads, image.shape
    bottom, right = max(rows.max() + 1 - top - height, 0), max(columns.max() + 1 - left - width, 0)
    padded = np.full((top + height + bottom, left + width + right, channels), fill, image.dtype)
    padded[top : top + height, left : left + width] = image
    found: NDArray[Any] = padded[rows[:, None, :, None], columns[None, :, None, :]]
    return found


def _conv(operator: Conv, buffers: Sequence[Bytes]) -> None:
    image = buffers[operator.input].reshape(operator.in_shape).astype(np.float64) - operator.zero_in
    outputs, height, width, channels = operator.weights.shape
    windows = _windows(image, operator, (height, width), 0)
    apart = windows.reshape(-1, height * width, operator.groups, channels).transpose(2, 0, 1, 3)
    columns = apart.reshape(operator.groups, -1, height * width * channels)
    weights = operator.weights.astype(np.float64).reshape(operator.groups, outputs // operator.groups, -1)
    sums = (columns @ weights.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(-1, outputs)
    buffers[operator.output][:] = _rescaled(operator, sums)


def _dense(operator: Dense, buffers: Sequence[Bytes]) -> None:
    rows = buffers[operator.input].reshape(operator.rows, -1).astype(np.float64) - operator.zero_in
    buffers[operator.output][:] = _rescaled(operator, rows @ operator.weights.astype(np.float64).T)


def _rescaled(operator: Conv | Dense, sums: NDArray[np.float64]) -> Bytes:
    """Sums [positions, outputs] with bias and multiplier of each output."""
    numbers = scaled(sums.astype(np.int64) + operator.bias, operator.multiplier, operator.shift)
    return _clamped(numbers + operator.zero_out, operator.low, operator.high)


def _operands(operator: Add | Mul, buffers: Sequence[Bytes]) -> tuple[Integers, Integers]:
    """Both operands without their zeros; the second one is repeated to the length of the first."""
    other = buffers[operator.other] if isinstance(operator.other, int) else operator.other
    zero, zero_other, _ = operator.zeros
    repeated = np.resize(other.reshape(-1)[: operator.other_count], operator.count)
    return buffers[operator.input].astype(np.int64) - zero, repeated.astype(np.int64) - zero_other


def _add(operator: Add, buffers: Sequence[Bytes]) -> None:
    first, second, out = zip(operator.multipliers, operator.shifts, strict=True)
    a, b = _operands(operator, buffers)
    total = scaled(a << 20, *first) + scaled(b << 20, *second)
    numbers = scaled(total, *out) + operator.zeros[2]
    buffers[operator.output][:] = _clamped(numbers, operator.low, operator.high)


def _mul(operator: Mul, buffers: Sequence[Bytes]) -> None:
    a, b = _operands(operator, buffers)
    numbers = scaled(a * b, operator.multiplier, operator.shift) + operator.zeros[2]
    buffers[operator.output][:] = _clamped(numbers, operator.low, operator.high)


def _average(operator: Average, buffers: Sequence[Bytes]) -> None:
    image = buffers[operator.input].reshape(operator.in_shape).astype(np.int64)
    sums = _windows(image - operator.zero_in, operator, operator.kernel, 0).sum(axis=(2, 3))
    counts = _counts(operator, image.shape)
    if operator.scales is None:
        sums += operator.zero_in * counts
        numbers = np.sign(sums) * ((2 * np.abs(sums) + counts) // (2 * counts))
    else:
        multipliers, shifts = np.array(operator.scales).T
        numbers = scaled(sums, multipliers[counts - 1], shifts[counts - 1]) + operator.zero_out
    buffers[operator.output][:] = _clamped(numbers, operator.low, operator.high)


def _counts(operator: Average, shape: tuple[int, ...]) -> Integers:
    """How many numbers each window has: [out height, out width, 1]."""
    inside = np.ones((*shape[:2], 1), np.int64)
    counts: Integers = _windows(inside, operator, operator.kernel, int(operator.whole)).sum(axis=(2, 3))
    return counts


def _maximum(operator: Maximum, buffers: Sequence[Bytes]) -> None:
    image = buffers[operator.input].reshape(operator.in_shape)
    numbers = _windows(image, operator, operator.kernel, -128).max(axis=(2, 3))
    buffers[operator.output][:] = _clamped(numbers, operator.low, operator.high)


def _map(operator: Map, buffers: Sequence[Bytes]) -> None:
    buffers[operator.output][:] = _looked_up(buffers[operator.input], operator.table)


def _looked_up(numbers: Bytes, table: Bytes) -> Bytes:
    """table[number + 128] of each number."""
    found: Bytes = table[numbers.astype(np.int16) + 128]
    return found


def _softmax(operator: Softmax, buffers: Sequence[Bytes]) -> None:
    rows = buffers[operator.input].reshape(operator.rows, operator.count)
    numbers = softmax(rows, operator.multiplier, operator.shift, operator.least)
    buffers[operator.output][:] = numbers.reshape(-1)


def _move(operator: Move, buffers: Sequence[Bytes]) -> None:
    loops = np.indices(operator.counts).reshape(4, -1)
    run = np.arange(operator.run)
    source = operator.at_in + (np.array(operator.steps_in) @ loops)[:, None] + run
    target = operator.at_out + (np.array(operator.steps_out) @ loops)[:, None] + run
    numbers = buffers[operator.input][source]
    table = operator.table
    buffers[operator.output][target] = numbers if table is None else _looked_up(numbers, table)


def _fill(operator: Fill, buffers: Sequence[Bytes]) -> None:
    buffers[operator.output][:] = operator.value


OPERATORS: dict[type, Callable[[Any, Sequence[Bytes]], None]] = {
    Conv: _conv,
    Depthwise: _conv,
    Dense: _dense,
    Add: _add,
    Mul: _mul,
    Average: _average,
    Maximum: _maximum,
    Map: _map,
    Softmax: _softmax,
    Move: _move,
    Fill: _fill,
}
