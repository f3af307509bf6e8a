"""The numbers of an operator by the names of its fields in a table, with the addresses of a plan."""

from collections.abc import Sequence

from devices.mcu.memory_plan import MemoryPlan
from devices.mcu.program import Add, Average, Conv, Dense, Fill, Map, Maximum, Move, Mul, Program, Softmax

__all__ = ["numbers_of"]

Numbers = dict[str, int]


def numbers_of(program: Program, index: int, plan: MemoryPlan) -> Numbers:
    """The numbers of the operator with that index in the program."""
    operator, offsets, scratch = program.operators[index], plan.offsets, plan.scratch[index]
    match operator:
        case Conv():
            return _ends(operator, offsets) | _clamp(operator) | _conv(operator, scratch)
        case Dense():
            outputs, inputs = operator.weights.shape
            return (
                _ends(operator, offsets)
                | _clamp(operator)
                | {"scratch": scratch, "rows": operator.rows, "in_n": inputs, "out_n": outputs}
                | {"zero_in": operator.zero_in, "zero_out": operator.zero_out}
            )
        case Add() | Mul():
            return _clamp(operator) | _pair(operator, offsets)
        case Average():
            zeros = {"zero_in": operator.zero_in, "zero_out": operator.zero_out}
            return _ends(operator, offsets) | _clamp(operator) | _window(operator) | zeros | {"whole": int(operator.whole)}
        case Maximum():
            return _ends(operator, offsets) | _clamp(operator) | _window(operator)
        case Map():
            return _ends(operator, offsets) | {"n": operator.count}
        case Softmax():
            scale = {"m": operator.multiplier, "s": operator.shift, "least": operator.least}
            return _ends(operator, offsets) | {"rows": operator.rows, "n": operator.count} | scale
        case Move():
            return _move(operator, offsets)
        case Fill():
            out = operator.output
            return {"out": offsets[out], "n": program.buffers[out].nbytes, "value": operator.value}


def _ends(operator: Conv | Dense | Average | Maximum | Map | Softmax, offsets: Sequence[int]) -> Numbers:
    return {"in": offsets[operator.input], "out": offsets[operator.output]}


def _clamp(operator: Conv | Dense | Add | Mul | Average | Maximum) -> Numbers:
    return {"low": operator.low, "high": operator.high}


def _conv(operator: Conv, scratch: int) -> Numbers:
    in_h, in_w, in_c = operator.in_shape
    out_h, out_w, out_c = operator.out_shape
    _, k_h, k_w, _ = operator.weights.shape
    shapes = {"in_h": in_h, "in_w": in_w, "in_c": in_c, "out_h": out_h, "out_w": out_w, "out_c": out_c}
    steps = {"stride_h": operator.stride[0], "stride_w": operator.stride[1]}
    spaces = {"dilation_h": operator.dilation[0], "dilation_w": operator.dilation[1]}
    pads = {"pad_top": operator.pads[0], "pad_left": operator.pads[1]}
    zeros = {"zero_in": operator.zero_in, "zero_out": operator.zero_out}
    return shapes | steps | spaces | pads | zeros | {"k_h": k_h, "k_w": k_w, "groups": operator.groups, "scratch": scratch}


def _window(operator: Average | Maximum) -> Numbers:
    in_h, in_w, channels = operator.in_shape
    out_h, out_w, _ = operator.out_shape
    shapes = {"in_h": in_h, "in_w": in_w, "c": channels, "out_h": out_h, "out_w": out_w}
    kernel = {"k_h": operator.kernel[0], "k_w": operator.kernel[1]}
    steps = {"stride_h": operator.stride[0], "stride_w": operator.stride[1]}
    return shapes | kernel | steps | {"pad_top": operator.pads[0], "pad_left": operator.pads[1]}


def _pair(operator: Add | Mul, offsets: Sequence[int]) -> Numbers:
    second = offsets[operator.other] if isinstance(operator.other, int) else 0
    a, b, out = operator.zeros
    numbers = {"a": offsets[operator.input], "b": second, "out": offsets[operator.output]}
    numbers |= {"n": operator.count, "n_b": operator.other_count, "zero_a": a, "zero_b": b, "zero_out": out}
    if isinstance(operator, Mul):
        return numbers | {"m_out": operator.multiplier, "s_out": operator.shift}
    names = ("a", "b", "out")
    multipliers = {f"m_{name}": value for name, value in zip(names, operator.multipliers, strict=True)}
    return numbers | multipliers | {f"s_{name}": value for name, value in zip(names, operator.shifts, strict=True)}


def _move(operator: Move, offsets: Sequence[int]) -> Numbers:
    numbers = {"run": operator.run}
    numbers |= {"in": offsets[operator.input] + operator.at_in, "out": offsets[operator.output] + operator.at_out}
    for i in range(4):
        numbers |= {f"count_{i}": operator.counts[i], f"step_in_{i}": operator.steps_in[i], f"step_out_{i}": operator.steps_out[i]}
    return numbers
