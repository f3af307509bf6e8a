"""Each operator in NumPy against a loop over its definition, and the ends of a program."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from devices.mcu import reference
from devices.mcu.arithmetic import multiplier_of, scaled
from devices.mcu.program import (
    Add,
    Average,
    Buffer,
    Conv,
    Dense,
    Depthwise,
    End,
    Fill,
    Map,
    Maximum,
    Move,
    Mul,
    Operator,
    Program,
    Softmax,
)
from devices.mcu.softmax import softmax
from edgekit.errors import FrameError

RANDOM = np.random.default_rng(7)


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.integers(-128, 128, shape, np.int8)


def outcome(operator: Operator, nbytes: int, *inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What one operator writes; inputs are buffers 0, 1 …, the output is the last one."""
    output = np.full(nbytes, 85, np.int8)
    buffers = [*(each.reshape(-1) for each in inputs), output]
    told = tuple(Buffer(str(at), each.size) for at, each in enumerate(buffers))
    reference.run_buffers(Program(buffers=told, operators=(operator,), inputs=(), outputs=()), buffers)
    return output


def scales(outputs: int) -> dict[str, np.ndarray[Any, Any]]:
    pairs = np.array([multiplier_of(real) for real in RANDOM.uniform(0.0005, 0.02, outputs)], np.int32)
    return {"multiplier": pairs[:, 0], "shift": pairs[:, 1]}


CONVOLUTIONS = {
    "1×1": ((5, 3, 4), (5, 3, 6), (1, 1), (1, 1), (1, 1), (0, 0), 1),
    "same 3×3, stride 2, trailing pad": ((6, 5, 3), (3, 3, 4), (3, 3), (2, 2), (1, 1), (0, 1), 1),
    "rows and columns unlike": ((7, 4, 2), (3, 5, 3), (3, 2), (2, 1), (1, 1), (0, 1), 1),
    "dilated": ((9, 8, 2), (9, 4, 2), (3, 2), (1, 2), (2, 1), (2, 0), 1),
    "grouped": ((4, 4, 6), (4, 4, 9), (3, 3), (1, 1), (1, 1), (1, 1), 3),
    "depthwise": ((4, 5, 7), (2, 3, 7), (3, 3), (2, 2), (1, 1), (0, 1), 7),
    "depthwise, two outputs a channel": ((4, 5, 3), (4, 5, 6), (3, 3), (1, 1), (1, 1), (1, 1), 3),
    "group of one channel": ((4, 3, 1), (4, 3, 5), (3, 3), (1, 1), (1, 1), (1, 1), 1),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_a_convolution_is_its_sum(case: str) -> None:
    in_shape, out_shape, kernel, stride, dilation, pads, groups = CONVOLUTIONS[case]
    image, per_group = numbers(*in_shape), in_shape[2] // groups
    weights = numbers(out_shape[2], *kernel, per_group)
    operator = (Depthwise if case.startswith("depthwise") else Conv)(
        name="c", input=0, output=1, in_shape=in_shape, out_shape=out_shape, stride=stride, dilation=dilation, pads=pads,
        groups=groups, weights=weights, bias=RANDOM.integers(-999, 999, out_shape[2]).astype(np.int32),
        **scales(out_shape[2]), zero_in=-5, zero_out=9, low=-100, high=90,
    )  # fmt: skip
    wanted = np.empty(out_shape, np.int64)
    for y, x, channel in np.ndindex(out_shape):
        total = int(operator.bias[channel])
        for i, j, k in np.ndindex(*kernel, per_group):
            row = y * stride[0] + i * dilation[0] - pads[0]
            column = x * stride[1] + j * dilation[1] - pads[1]
            if 0 <= row < in_shape[0] and 0 <= column < in_shape[1]:
                source = channel // (out_shape[2] // groups) * per_group + k
                total += (int(image[row, column, source]) + 5) * int(weights[channel, i, j, k])
        wanted[y, x, channel] = scaled(total, operator.multiplier[channel], operator.shift[channel]) + 9
    assert outcome(operator, wanted.size, image).tolist() == np.clip(wanted, -100, 90).reshape(-1).tolist()


def test_each_row_of_a_dense_operator_is_its_product() -> None:
    rows, weights, bias = numbers(3, 11), numbers(5, 11), np.arange(5, dtype=np.int32) * 100
    operator = Dense(
        name="d", input=0, output=1, rows=3, weights=weights, bias=bias, **scales(5), zero_in=3, zero_out=-7, low=-128, high=127
    )
    sums = [[sum((int(a) - 3) * int(b) for a, b in zip(row, column, strict=True)) for column in weights] for row in rows]
    wanted = np.clip(scaled(np.array(sums) + bias, operator.multiplier, operator.shift) - 7, -128, 127)
    assert outcome(operator, 15, rows).tolist() == wanted.reshape(-1).tolist()


@pytest.mark.parametrize("constant", [False, True])
def test_a_sum_rescales_both_and_repeats_the_second(constant: bool) -> None:
    a, b = numbers(12), numbers(4)
    pairs = [multiplier_of(real) for real in (0.5, 0.31, 0.0000021)]
    operator = Add(
        name="a", input=0, other=b if constant else 1, output=1 if constant else 2, count=12, other_count=4,
        multipliers=tuple(m for m, _ in pairs), shifts=tuple(s for _, s in pairs),  # type: ignore[arg-type]
        zeros=(4, -6, 11), low=-120, high=127,
    )  # fmt: skip
    wanted = []
    for at in range(12):
        total = scaled((int(a[at]) - 4) << 20, *pairs[0]) + scaled((int(b[at % 4]) + 6) << 20, *pairs[1])
        wanted.append(min(max(int(scaled(total, *pairs[2])) + 11, -120), 127))
    assert outcome(operator, 12, *([a] if constant else [a, b])).tolist() == wanted


def test_a_product_without_zeros_is_rescaled() -> None:
    a, (multiplier, shift) = numbers(9), multiplier_of(0.007)
    operator = Mul(
        name="m", input=0, other=0, output=1, count=9, other_count=9, multiplier=multiplier, shift=shift,
        zeros=(1, 2, 3), low=-128, high=127,
    )  # fmt: skip
    wanted = [int(np.clip(scaled((x - 1) * (x - 2), multiplier, shift) + 3, -128, 127)) for x in a.tolist()]
    assert outcome(operator, 9, a).tolist() == wanted


@pytest.mark.parametrize(("whole", "rescaled"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_mean_counts_what_it_should(whole: bool, rescaled: bool) -> None:
    image, zero = numbers(5, 4, 3), -3
    reals = [multiplier_of(0.8 / count) for count in range(1, 7)]
    operator = Average(
        name="p", input=0, output=1, in_shape=(5, 4, 3), out_shape=(3, 2, 3), kernel=(3, 2), stride=(2, 2), pads=(1, 0),
        whole=whole, scales=tuple(reals) if rescaled else None, zero_in=zero, zero_out=6 if rescaled else zero, low=-128, high=100,
    )  # fmt: skip
    wanted = []
    for y, x, channel in np.ndindex(3, 2, 3):
        places = product(range(2 * y - 1, 2 * y + 2), range(2 * x, 2 * x + 2))
        inside = [int(image[i, j, channel]) for i, j in places if 0 <= i < 5 and 0 <= j < 4]
        found = inside + [zero] * (6 - len(inside)) if whole else inside
        if rescaled:
            number = int(scaled(sum(found) - zero * len(found), *reals[len(found) - 1])) + 6
        else:
            number = int(np.sign(sum(found))) * int(abs(sum(found)) / len(found) + 0.5)
        wanted.append(min(max(number, -128), 100))
    assert outcome(operator, 18, image).tolist() == wanted


def test_the_mean_of_a_negative_half_goes_away_from_zero() -> None:
    operator = Average(
        name="p", input=0, output=1, in_shape=(1, 2, 1), out_shape=(1, 1, 1), kernel=(1, 2), stride=(1, 1), pads=(0, 0),
        whole=False, scales=None, zero_in=0, zero_out=0, low=-128, high=127,
    )  # fmt: skip
    assert outcome(operator, 1, np.array([-2, -1], np.int8)).tolist() == [-2]


def test_a_maximum_ignores_what_lies_outside() -> None:
    image = np.minimum(numbers(3, 4, 2), -90)
    operator = Maximum(
        name="p", input=0, output=1, in_shape=(3, 4, 2), out_shape=(2, 2, 2), kernel=(2, 2), stride=(2, 2), pads=(1, 0), low=-128, high=-95
    )
    wanted = [
        min(int(image[max(2 * y - 1, 0) : 2 * y + 1, 2 * x : 2 * x + 2, channel].max()), -95) for y, x, channel in np.ndindex(2, 2, 2)
    ]
    assert outcome(operator, 8, image).tolist() == wanted


def test_a_map_looks_each_number_up() -> None:
    table = numbers(256)
    assert outcome(Map(name="m", input=0, output=1, count=3, table=table), 3, np.array([-128, 0, 127], np.int8)).tolist() == [
        table[0], table[128], table[255],
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [0.02, 0.1, 0.9])
def test_a_softmax_is_within_one_of_the_exact_one(scale: float) -> None:
    rows = numbers(40, 10)
    multiplier, shift = multiplier_of(scale * 2**26)
    least = -int(31 * 2**26 / 2**shift)
    values = np.exp(scale * (rows.astype(float) - rows.max(axis=1, keepdims=True)))
    exact = 256 * values / values.sum(axis=1, keepdims=True) - 128
    assert np.abs(softmax(rows, multiplier, shift, least) - np.clip(exact, -128, 127)).max() <= 1.01


def test_each_row_of_a_softmax_equals_itself_alone() -> None:
    rows = numbers(6, 5)
    multiplier, shift = multiplier_of(0.07 * 2**26)
    operator = Softmax(name="s", input=0, output=1, rows=6, count=5, multiplier=multiplier, shift=shift, least=-200)
    alone = [softmax(row[None], multiplier, shift, -200)[0].tolist() for row in rows]
    assert outcome(operator, 30, rows).reshape(6, 5).tolist() == alone


def test_a_move_transposes_and_looks_up() -> None:
    image, table = numbers(2, 3), np.arange(127, -129, -1).astype(np.int8)
    operator = Move(
        name="t",
        input=0,
        output=1,
        at_in=0,
        at_out=1,
        run=1,
        counts=(1, 1, 3, 2),
        steps_in=(0, 0, 1, 3),
        steps_out=(0, 0, 2, 1),
        table=table,
    )
    assert outcome(operator, 8, image).tolist() == [85, *(~image.T).reshape(-1).tolist(), 85]


def test_a_fill_writes_every_byte() -> None:
    assert outcome(Fill(name="f", output=0, value=-7), 3).tolist() == [-7] * 3


def plain(inputs: End, outputs: End) -> Program:
    """A program of one element-wise operator that changes nothing."""
    table = np.arange(-128, 128).astype(np.int8)
    mapping = Map(name="m", input=0, output=1, count=24, table=table)
    return Program(buffers=(Buffer("a", 24), Buffer("b", 24)), operators=(mapping,), inputs=(inputs,), outputs=(outputs,))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_frame_keeps_its_declared_layout(dtype: str) -> None:
    ends = [End(name, at, (1, 4, 2, 3), dtype, (0, 2, 3, 1)) for at, name in enumerate("xy")]
    frame = RANDOM.integers(*((-128, 128) if dtype == "int8" else (0, 256)), (1, 4, 2, 3)).astype(dtype)
    found = reference.run(plain(*ends), {"x": frame})["y"]
    assert (found.dtype, found.shape) == (dtype, (1, 4, 2, 3))
    assert found.tolist() == frame.tolist()
    assert reference.to_board(ends[0], frame).tolist()[:4] == [int(frame[0, c, 0, 0]) - (128 if dtype == "uint8" else 0) for c in range(4)]


def test_values_are_rounded_halves_to_even_and_saturate() -> None:
    end = End("x", 0, (5,), "float32", (0,), 0.5, -3)
    frame = np.array([0.25, 0.75, -0.25, 1e9, np.nan], np.float32)
    assert reference.to_board(end, frame).tolist() == [-3, -1, -3, 127, -3]
    assert reference.to_declared(end, np.array([-3, -1, 5, 0, -128], np.int8)).tolist() == [0.0, 1.0, 4.0, 1.5, -62.5]


def test_a_frame_of_wrong_names_shape_or_type_is_refused() -> None:
    program = plain(*(End(name, at, (2, 3, 4), "int8", (0, 1, 2)) for at, name in enumerate("xy")))
    with pytest.raises(FrameError, match="expected the inputs x, got none"):
        reference.run(program, {})
    with pytest.raises(FrameError, match=r"input x: expected int8 of shape \[2, 3, 4\], got int8 of shape \[24\]"):
        reference.run(program, {"x": np.zeros(24, np.int8)})
    with pytest.raises(FrameError, match="got float32 of shape"):
        reference.run(program, {"x": np.zeros((2, 3, 4), np.float32)})
