"""Operators laid out in an arena of their own, and what the reference makes of it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.mcu import program as p
from devices.mcu.contract import distance, read_buffers
from devices.mcu.reference import OPERATORS
from tests.devices.firmware.kernel_bed import Case
from tests.devices.mcu.random_programs import multiplier_of, random_inputs, random_program

__all__ = ["Expected", "apart", "convolution", "dense", "laid_over", "of_programs"]

GUARD, PAINT = 16, 0x5A
Bytes = NDArray[np.int8]


class Expected(NamedTuple):
    """A case, and bytes of its arena after it: all of them, or those that it writes where the output lay over an input."""

    case: Case
    places: NDArray[np.intp]
    after: Bytes


def apart(operator: p.Operator, buffers: list[Bytes]) -> Expected:
    """Tensors one after the other, with painted bytes before, between and behind them that have to stay."""
    after = _after(operator, buffers)
    places, parts, at = {}, [np.full(GUARD, PAINT, np.int8)], GUARD
    for index in dict.fromkeys((*read_buffers(operator), operator.output)):
        painted = np.full((len(buffers[index]) + 3) // 4 * 4 + GUARD, PAINT, np.int8)
        painted[: len(buffers[index])] = buffers[index]
        places[index] = at
        parts.append(painted)
        at += len(painted)
    begin, arena = places[operator.output], np.concatenate(parts)
    if isinstance(operator, p.Fill):
        arena = arena[: begin + len(after)]
    expected = arena.copy()
    expected[begin : begin + len(after)] = after
    return Expected(_case(operator, arena, places), np.arange(len(arena)), expected)


def laid_over(operator: p.Operator, buffers: list[Bytes], over: int) -> Expected | None:
    """The output over the input ``over``, as near as the order of work allows; None where it may not be there."""
    gap = None if operator.output == over else distance(operator, over)
    if gap is None:
        return None
    after, source = _after(operator, buffers), buffers[over]
    at_in, at_out = GUARD + max(gap, 0), GUARD + max(-gap, 0)
    end = max(at_in + len(source), at_out + len(after)) + GUARD
    places, arena = {over: at_in, operator.output: at_out}, np.full(end, PAINT, np.int8)
    arena[at_in : at_in + len(source)] = source
    for index in read_buffers(operator):
        if index not in places:
            places[index] = len(arena)
            arena = np.concatenate([arena, buffers[index]])
    written = _written(operator, buffers)
    return Expected(_case(operator, arena, places), at_out + written, after[written])


def _after(operator: p.Operator, buffers: list[Bytes]) -> Bytes:
    copies = [buffer.copy() for buffer in buffers]
    OPERATORS[type(operator)](operator, copies)
    return copies[operator.output]


def _written(operator: p.Operator, buffers: list[Bytes]) -> NDArray[np.intp]:
    """Which bytes of the output an operator writes: those that come out alike whatever was there."""
    made = []
    for before in (0, 1):
        painted = [*buffers]
        painted[operator.output] = np.full_like(buffers[operator.output], before)
        made.append(_after(operator, painted))
    return np.flatnonzero(made[0] == made[1])


def _case(operator: p.Operator, arena: Bytes, places: dict[int, int]) -> Case:
    other = getattr(operator, "other", None)
    at_in = 0 if isinstance(operator, p.Fill) else places[operator.input]
    return Case(operator, arena, at_in, places[operator.output], places[other] if isinstance(other, int) else -1)


def of_programs(count: int) -> list[tuple[p.Operator, list[Bytes]]]:
    """The operators of random programs, each with the buffers as it finds them."""
    found = []
    for seed in range(count):
        program = random_program(seed)
        buffers = [np.zeros(buffer.nbytes, np.int8) for buffer in program.buffers]
        for each, data in zip(program.inputs, random_inputs(program, seed), strict=True):
            buffers[each.buffer] = data
        for operator in program.operators:
            found.append((operator, [buffer.copy() for buffer in buffers]))
            OPERATORS[type(operator)](operator, buffers)
    return found


def convolution(seed: int, **fields: Any) -> tuple[p.Conv, list[Bytes]]:
    """A convolution of 7 x 5 pixels to as many as its windows give; ``fields`` are those of Conv, or ``kernel`` and ``channels``."""
    draw = np.random.default_rng(seed)
    (height, width), (c, made) = fields.pop("kernel", (1, 1)), fields.pop("channels", (4, 4))
    in_shape = (*fields.pop("size", (7, 5)), c)
    groups, stride, dilation, pads = (fields.pop(name, default) for name, default in (
        ("groups", 1), ("stride", (1, 1)), ("dilation", (1, 1)), ("pads", (0, 0))))  # fmt: skip
    after = fields.pop("after", pads)
    out = [
        max(1, (in_shape[axis] + pads[axis] + after[axis] - dilation[axis] * ((height, width)[axis] - 1) - 1) // stride[axis] + 1)
        for axis in (0, 1)
    ]
    scales = _scales(draw, made, height * width * c // groups)
    kind = p.Depthwise if fields.pop("depthwise", False) else p.Conv
    common = {
        "name": f"conv{seed}", "input": 0, "output": 1, "in_shape": in_shape, "out_shape": (*out, made), "stride": stride,
        "dilation": dilation, "pads": pads, "groups": groups, "low": -128, "high": 127,
        "weights": _bytes(draw, made, height, width, c // groups), "zero_in": int(draw.integers(-128, 128)),
        "zero_out": int(draw.integers(-128, 128)),
    }  # fmt: skip
    operator = kind(**{**common, **scales, **fields})
    return operator, [_bytes(draw, in_shape[0] * in_shape[1] * c), np.zeros(out[0] * out[1] * made, np.int8)]


def dense(seed: int, *, rows: int, taken: int, made: int) -> tuple[p.Dense, list[Bytes]]:
    """A product of ``rows`` rows of ``taken`` numbers with weights of ``made`` outputs."""
    draw = np.random.default_rng(seed)
    scales = _scales(draw, made, taken)
    zeros = {"zero_in": int(draw.integers(-128, 128)), "zero_out": int(draw.integers(-128, 128))}
    weights = _bytes(draw, made, taken)
    operator = p.Dense(name=f"dense{seed}", input=0, output=1, rows=rows, weights=weights, low=-100, high=90, **zeros, **scales)
    return operator, [_bytes(draw, rows * taken), np.zeros(rows * made, np.int8)]


def _bytes(draw: np.random.Generator, *shape: int) -> Bytes:
    """Numbers over all of int8; in one of three draws only the outermost."""
    if draw.integers(3) == 0:
        return draw.choice(np.array([-128, 127], np.int8), shape)
    return draw.integers(-128, 128, shape).astype(np.int8)


def _scales(draw: np.random.Generator, made: int, terms: int) -> dict[str, NDArray[np.int32]]:
    pairs = [multiplier_of((0.2 + draw.random()) / (90 * terms**0.5)) for _ in range(made)]
    return {
        "bias": draw.integers(-20000, 20000, made).astype(np.int32),
        "multiplier": np.array([m for m, _ in pairs], np.int32),
        "shift": np.array([s for _, s in pairs], np.int32),
    }
