"""A segment as the integer operators of a microcontroller, before it is planned and packed (firmware/SPEC.md, section 4).

ONNX ─compiler─▶ Program ─planner─▶ MemoryPlan ─table─▶ bytes for the board
                    └─reference─▶ the golden outputs

Shapes are (height, width, channels). Buffers and constants are told by their index.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Add",
    "Average",
    "Buffer",
    "Conv",
    "Dense",
    "Depthwise",
    "End",
    "Fill",
    "Map",
    "Maximum",
    "Move",
    "Mul",
    "Operator",
    "Program",
    "Softmax",
]

Bytes = NDArray[np.int8]
Words = NDArray[np.int32]
Shape = tuple[int, int, int]
Pair = tuple[int, int]


class Buffer(NamedTuple):
    """One int8 tensor in the arena."""

    name: str
    nbytes: int


class End(NamedTuple):
    """An input or output of the segment: how the tensor that travels becomes the bytes of a buffer.

    number = round(value / scale) + zero for float32; number = value - 128 for uint8; as it is for int8. ``axes`` is the
    transposition from the declared shape to that of the board, for example (0, 2, 3, 1) from NCHW.
    """

    name: str
    buffer: int
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[int, ...]
    scale: float = 1.0
    zero: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv:
    """A convolution. Weights are [out channels, kernel height, kernel width, in channels / groups]; the zero of the input is not yet
    in the bias. ``pads``: top and left; those at the other ends follow from the shapes."""

    name: str
    input: int
    output: int
    in_shape: Shape
    out_shape: Shape
    stride: Pair
    dilation: Pair
    pads: Pair
    groups: int
    weights: Bytes
    bias: Words
    multiplier: Words
    shift: Words
    zero_in: int
    zero_out: int
    low: int
    high: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Depthwise(Conv):
    """A convolution with a group for each input channel, and m output channels in each; weights are [c · m, height, width, 1]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense:
    """A product of rows with a matrix [outputs, inputs]; one multiplier for each output."""

    name: str
    input: int
    output: int
    rows: int
    weights: Bytes
    bias: Words
    multiplier: Words
    shift: Words
    zero_in: int
    zero_out: int
    low: int
    high: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Add:
    """A sum of two tensors, or of one and a constant: ``other`` is the index of a buffer or the bytes themselves, of which element
    i mod n_b meets element i."""

    name: str
    input: int
    other: int | Bytes
    output: int
    count: int
    other_count: int
    multipliers: tuple[int, int, int]
    shifts: tuple[int, int, int]
    zeros: tuple[int, int, int]
    low: int
    high: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Mul:
    """A product of two tensors, or of one and a constant, as in ``Add``."""

    name: str
    input: int
    other: int | Bytes
    output: int
    count: int
    other_count: int
    multiplier: int
    shift: int
    zeros: tuple[int, int, int]
    low: int
    high: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Average:
    """A mean over windows. ``scales``: the multiplier and shift for a window of 1, 2, … elements; None: output and input have one scale.
    ``whole``: what lies outside the input counts as its zero."""

    name: str
    input: int
    output: int
    in_shape: Shape
    out_shape: Shape
    kernel: Pair
    stride: Pair
    pads: Pair
    whole: bool
    scales: tuple[Pair, ...] | None
    zero_in: int
    zero_out: int
    low: int
    high: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Maximum:
    """A maximum over windows."""

    name: str
    input: int
    output: int
    in_shape: Shape
    out_shape: Shape
    kernel: Pair
    stride: Pair
    pads: Pair
    low: int
    high: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Map:
    """Each number through a table of 256: another scale, sigmoid, tanh, hard-swish, GELU."""

    name: str
    input: int
    output: int
    count: int
    table: Bytes


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax:
    """Of each row alone; the output has scale 1/256 and zero -128."""

    name: str
    input: int
    output: int
    rows: int
    count: int
    multiplier: int
    shift: int
    least: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Move:
    """Runs of bytes from one tensor into a part of another: ``counts`` and steps of four loops, the outermost first; ``at_in`` and
    ``at_out`` count from the begin of the buffers. Several Moves may write one buffer."""

    name: str
    input: int
    output: int
    at_in: int
    at_out: int
    run: int
    counts: tuple[int, int, int, int]
    steps_in: tuple[int, int, int, int]
    steps_out: tuple[int, int, int, int]
    table: Bytes | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Fill:
    """One number in every byte of a buffer; the Moves that follow write over part of it."""

    name: str
    output: int
    value: int


Operator = Conv | Depthwise | Dense | Add | Mul | Average | Maximum | Map | Softmax | Move | Fill


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """A segment: operators in an order that may run, though not yet in the best one.

    An operator reads buffers that are whole: where several write one buffer, all of them come before those that read it. ``names`` of
    operators are those of the ONNX nodes that they come from.
    """

    buffers: tuple[Buffer, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
