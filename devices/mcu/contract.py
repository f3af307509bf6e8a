"""In which order an operator reads and writes, and so how far its output may lie over an input (firmware/SPEC.md, section 5).

An operator works in steps s = 0, 1, …, n - 1:

    W(s)   step s writes output bytes below W(s) only
    R(s)   step s and all later ones read input bytes from R(s) on only; R(n) is the end of the input

    reads late    in - out >= max over s of W(s) - R(s)          a step may write before it has read all
    reads first   in - out >= max over s of W(s) - R(s + 1)      a step reads all before it writes
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu.program import Add, Average, Conv, Dense, Depthwise, Fill, Map, Maximum, Move, Mul, Operator, Pair, Shape, Softmax

__all__ = ["distance", "needed", "read_buffers", "reads_first", "run_begins", "written"]

PIXELS = 4
"""Output pixels of a step of a convolution."""

Offsets = NDArray[np.int64]


class _Windows(NamedTuple):
    """How windows move over an image, ``pixels`` of the output at a step."""

    pixels: int
    in_shape: Shape
    out_shape: Shape
    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: Pair


def read_buffers(operator: Operator) -> tuple[int, ...]:
    """The buffers that an operator reads, each once."""
    match operator:
        case Fill():
            return ()
        case Add(input=first, other=int(second)) | Mul(input=first, other=int(second)) if second != first:
            return (first, second)
    return (operator.input,)


def distance(operator: Operator, buffer: int) -> int | None:
    """The least offset of the input ``buffer`` minus that of the output at which the output may lie over the input.

    Zero: both may begin at one byte. Negative: the output may begin that many bytes after the input does, as it does not need what
    lies before. None: they may share no byte.
    """
    if isinstance(operator, Conv | Average | Maximum) and buffer == operator.input:
        return _window_distance(_windows(operator))
    needs = needed(operator, buffer)
    if needs is None:
        return None
    after = needs[1:] if reads_first(operator) else needs[:-1]
    return int((written(operator) - after).max())


def reads_first(operator: Operator) -> bool:
    """Whether each step reads all that it needs before it writes."""
    return isinstance(operator, Add | Mul | Map | Softmax | Move)


def written(operator: Operator) -> Offsets:
    """W(s) of each step."""
    match operator:
        case Conv() | Average() | Maximum():
            return _window_ends(_windows(operator))
        case Dense():
            made = operator.weights.shape[0]
            return np.arange(made, operator.rows * made + 1, made)
        case Add() | Mul() | Map():
            return np.arange(1, operator.count + 1)
        case Softmax():
            return np.arange(1, operator.rows * operator.count + 1)
        case Move():
            return run_begins(operator.at_out, operator.counts, operator.steps_out) + operator.run
        case Fill():
            raise ValueError(f"{operator.name} fills all of its output at once: it has no steps")


def needed(operator: Operator, buffer: int) -> Offsets | None:
    """R(s) of each step in the input ``buffer``, with R(n) behind it; None where the output may share no byte with it."""
    if buffer not in read_buffers(operator):
        raise ValueError(f"{operator.name} reads buffers {read_buffers(operator)}, not {buffer}")
    match operator:
        case Conv() | Average() | Maximum():
            return _window_needs(_windows(operator))
        case Dense():
            taken = operator.weights.shape[1]
            return np.arange(0, operator.rows * taken + 1, taken)
        case Add() | Mul():
            short = isinstance(operator.other, int) and operator.other == buffer and operator.other_count < operator.count
            return None if short else np.arange(operator.count + 1)
        case Map():
            return np.arange(operator.count + 1)
        case Softmax():
            return np.arange(operator.rows * operator.count + 1)
        case Move():
            return _needed_by_move(operator)
        case Fill():
            raise AssertionError("it reads nothing")


def run_begins(at: int, counts: tuple[int, ...], steps: tuple[int, ...]) -> Offsets:
    """Where each run of a Move begins in one of its buffers, in the order of its loops."""
    begins = np.array([at])
    for count, step in zip(counts, steps, strict=True):
        begins = (begins[:, None] + np.arange(count) * step).ravel()
    return begins


def _needed_by_move(move: Move) -> Offsets | None:
    begins_in = run_begins(move.at_in, move.counts, move.steps_in)
    begins_out = run_begins(move.at_out, move.counts, move.steps_out)
    upwards = bool((np.diff(begins_out) >= move.run).all())
    return _lowest_from(begins_in, int(begins_in.max()) + move.run) if upwards else None


def _lowest_from(begins: Offsets, end: int) -> Offsets:
    """From where each step reads, to from where it and all later ones do."""
    return np.minimum.accumulate(np.append(begins, end)[::-1])[::-1]


@lru_cache(maxsize=1024)
def _window_distance(windows: _Windows) -> int:
    return int((_window_ends(windows) - _window_needs(windows)[:-1]).max())


def _window_ends(windows: _Windows) -> Offsets:
    height, width, channels = windows.out_shape
    ends = np.minimum((np.arange(_steps_in_row(windows)) + 1) * windows.pixels, width)
    return ((np.arange(height)[:, None] * width + ends) * channels).reshape(-1)


def _window_needs(windows: _Windows) -> Offsets:
    return _lowest_from(_window_begins(windows), math.prod(windows.in_shape))


def _window_begins(windows: _Windows) -> Offsets:
    """The lowest byte that each step reads alone; the end of the input where it reads only padding."""
    height, width, _ = windows.out_shape
    in_height, in_width, channels = windows.in_shape
    rows, columns = _lowest_taps(windows, 0, height, in_height), _lowest_taps(windows, 1, width, in_width)
    end, steps = in_height * in_width * channels, _steps_in_row(windows)
    begins = np.full((height, steps * windows.pixels), end)
    inside = (rows < in_height)[:, None] & (columns < in_width)
    begins[:, :width] = np.where(inside, (rows[:, None] * in_width + columns) * channels, end)
    lowest: Offsets = begins.reshape(-1, windows.pixels).min(axis=1)
    return lowest


def _lowest_taps(windows: _Windows, axis: int, count: int, size: int) -> Offsets:
    """The lowest row (axis 0) or column that each of ``count`` windows reads; ``size`` where none lies inside."""
    kernel, dilation = windows.kernel[axis], windows.dilation[axis]
    corners = np.arange(count) * windows.stride[axis] - windows.pads[axis]
    outside = np.maximum(0, -(corners // dilation))
    return np.where(outside < kernel, np.minimum(corners + outside * dilation, size), size)


def _steps_in_row(windows: _Windows) -> int:
    return -(-windows.out_shape[1] // windows.pixels)


def _windows(operator: Conv | Average | Maximum) -> _Windows:
    """The windows of an operator; a convolution of single pixels takes those of the whole image as one row."""
    if not isinstance(operator, Conv):
        return _Windows(1, operator.in_shape, operator.out_shape, operator.kernel, operator.stride, (1, 1), operator.pads)
    kernel = operator.weights.shape[1], operator.weights.shape[2]
    before, after = operator.in_shape, operator.out_shape
    if _is_flat(operator):
        before, after = (1, before[0] * before[1], before[2]), (1, after[0] * after[1], after[2])
    return _Windows(PIXELS, before, after, kernel, operator.stride, operator.dilation, operator.pads)


def _is_flat(operator: Conv) -> bool:
    """Whether a convolution takes the pixels of the whole image as one row: each reads the pixel at its own place only."""
    return (
        not isinstance(operator, Depthwise)
        and operator.weights.shape[1:3] == (1, 1)
        and operator.stride == (1, 1)
        and operator.pads == (0, 0)
        and operator.in_shape[:2] == operator.out_shape[:2]
    )
