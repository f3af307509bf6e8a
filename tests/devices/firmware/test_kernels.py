"""The C kernels, plain and with DSP instructions, under sanitizers and on an emulated Cortex-M4, against the reference in NumPy."""

import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.mcu import program as p
from devices.mcu.contract import read_buffers
from devices.mcu.packing import chunk_of, scratch_of
from devices.mcu.reference import OPERATORS
from edgekit.errors import GraphError
from tests.devices.firmware.kernel_bed import BOARD, HOST, build, run
from tests.devices.firmware.kernel_cases import Expected, apart, convolution, dense, laid_over, of_programs

Check = Callable[[Sequence[Expected]], None]
Drawn = tuple[p.Operator, list[NDArray[np.int8]]]
BUILDS = {
    "plain": (HOST, "-DEDGE_DSP=0", None),
    "dsp": (HOST, "-DEDGE_DSP=1", None),
    "m4": (BOARD, "-mcpu=cortex-m4", "mps2-an386"),
    "m3": (BOARD, "-mcpu=cortex-m3", "mps2-an385"),
}
CHANNELS = [(c, made) for c in range(1, 18) for made in (1, 2, 5, 8)]


@pytest.fixture(scope="module", params=BUILDS)
def check(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Runs cases in one process, and compares every byte, the scratch and the size of the chunk."""
    compiler, flag, machine = BUILDS[request.param]
    for tool in (compiler, *(["qemu-system-arm"] if machine else [])):
        if not shutil.which(tool):
            pytest.skip(f"needs tool {tool}: apt install gcc gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm")
    program: Path = build(tmp_path_factory.mktemp(request.param), compiler, flag)

    def compared(expected: Sequence[Expected]) -> None:
        answers = run(program, [each.case for each in expected], machine=machine)
        for (case, places, after), answer in zip(expected, answers, strict=True):
            assert np.array_equal(answer.arena[places], after), case.operator
            assert answer.scratch == scratch_of(case.operator), case.operator
            assert answer.chunk_bytes in (-1, len(chunk_of(case.operator))), case.operator

    return compared


def all_apart(drawn: Sequence[Drawn]) -> list[Expected]:
    return [apart(operator, buffers) for operator, buffers in drawn]


@cache
def random_programs() -> list[Expected]:
    """Alike for every build, as those below: what the reference computes takes longer than the kernels."""
    return all_apart(of_programs(120))


def test_kernels_equal_the_reference_on_random_programs(check: Check) -> None:
    check(random_programs())


@cache
def outputs_over_inputs() -> list[Expected]:
    drawn = [*of_programs(150), *(convolution(seed, **each) for seed, each in enumerate(WINDOWS))]
    laid = [laid_over(operator, buffers, over) for operator, buffers in drawn for over in read_buffers(operator)]
    return [each for each in laid if each is not None]


def test_an_output_may_lie_over_an_input_as_near_as_the_order_says(check: Check) -> None:
    assert len(outputs_over_inputs()) > 500
    check(outputs_over_inputs())


WINDOWS: list[dict[str, Any]] = [
    {"kernel": kernel, "stride": stride, "dilation": dilation, "pads": pads, "after": after, "channels": channels, "groups": groups}
    for kernel in ((3, 3), (1, 3), (4, 2), (5, 5))
    for stride in ((1, 1), (2, 1), (1, 3), (2, 2))
    for dilation in ((1, 1), (2, 1), (1, 2))
    for pads, after in (((0, 0), (9, 9)), ((1, 2), (2, 1)), ((4, 4), (1, 5)))
    for channels, groups in (((3, 5), 1), ((4, 8), 1), ((6, 9), 3))
]


@cache
def windows() -> list[Expected]:
    return all_apart([convolution(seed, **each) for seed, each in enumerate(WINDOWS)])


def test_windows_of_every_kind_are_right_up_to_the_border(check: Check) -> None:
    check(windows())


@cache
def depthwise_windows() -> list[Expected]:
    kinds = [
        {**each, "depthwise": True, "channels": (c, c * times), "groups": c}
        for each in WINDOWS
        if each["channels"] == (4, 8)
        for c, times in ((4, 1), (7, 1), (3, 2))
    ]
    return all_apart([convolution(seed, **each) for seed, each in enumerate(kinds)])


def test_depthwise_windows_are_right_up_to_the_border(check: Check) -> None:
    check(depthwise_windows())


@cache
def numbers_of_channels() -> list[Expected]:
    drawn: list[Drawn] = []
    for seed, (c, made) in enumerate(CHANNELS):
        drawn.append(convolution(seed, channels=(c, made)))
        drawn.append(convolution(seed, channels=(c, made), kernel=(3, 2), pads=(1, 1), stride=(1, 2)))
        drawn.append(convolution(seed, channels=(c, c), groups=c, depthwise=True, kernel=(3, 3), pads=(1, 1)))
        drawn.append(dense(seed, rows=1 + made % 3, taken=c, made=made))
    return all_apart(drawn)


def test_every_number_of_channels_is_right(check: Check) -> None:
    check(numbers_of_channels())


def test_a_kernel_of_one_pixel_with_stride_or_padding_is_right(check: Check) -> None:
    kinds: list[dict[str, Any]] = [
        {"stride": (2, 2)}, {"stride": (1, 2)}, {"pads": (1, 0)}, {"pads": (0, 2)}, {"after": (1, 1)}, {"size": (1, 1)}, {"size": (3, 3)},
    ]  # fmt: skip
    check(all_apart([convolution(seed, channels=(5, 6), **each) for seed, each in enumerate(kinds)]))


def scaled_by(multiplier: int, shift: int) -> dict[str, Any]:
    return {"multiplier": np.full(6, multiplier, np.int32), "shift": np.full(6, shift, np.int32)}


@cache
def scaled_with(bias: int) -> list[Expected]:
    scales = [(m, s) for m in (0, 2**30, 2**31 - 1, 1500000001) for s in (*range(-31, 6), 15, 30)]
    fields = {"channels": (6, 6), "kernel": (2, 1), "size": (3, 3), "bias": np.full(6, bias, np.int32)}
    drawn: list[Drawn] = [convolution(seed, **fields, **scaled_by(*each)) for seed, each in enumerate(scales)]
    drawn += [convolution(seed, groups=6, depthwise=True, **fields, **scaled_by(*each)) for seed, each in enumerate(scales)]
    return all_apart(drawn)


@pytest.mark.parametrize("bias", [0, 77, -(2**30), 2**30 - 5, 2**31 - 10**6, -(2**31) + 10**6])
def test_every_shift_and_bias_is_scaled_as_specified(check: Check, bias: int) -> None:
    check(scaled_with(bias))


def test_every_clamp_holds_with_either_sign_of_zero(check: Check) -> None:
    clamps = [(-128, 127), (0, 127), (-128, 0), (-3, -3), (5, 60), (-60, -5)]
    fields = {"channels": (4, 7), "kernel": (3, 3), "pads": (1, 1)}
    check(
        all_apart(
            [
                convolution(seed, low=low, high=high, zero_in=zero, zero_out=-zero - 1, **fields)
                for seed, (low, high) in enumerate(clamps)
                for zero in (-128, -1, 0, 127)
            ]
        )
    )


def added(seed: int, **fields: Any) -> Drawn:
    draw = np.random.default_rng(seed)
    numbers = [draw.integers(-128, 128, 41).astype(np.int8) for _ in range(3)]
    count = {"count": 41, "other_count": 41 if seed % 2 else 5, "low": -128, "high": 100 if seed % 3 else 127}
    return p.Add(name="add", input=0, other=1, output=2, **count, **fields), numbers


def test_sums_are_right_with_either_operand_exact_and_any_zero(check: Check) -> None:
    exact, scaled = (2**30, 0), (1500000001, -2)
    kinds = [
        {"multipliers": (a[0], b[0], 1300000000), "shifts": (a[1] - less, b[1] - less, out), "zeros": zeros}
        for a, b in ((exact, scaled), (scaled, exact), (exact, exact), (scaled, scaled))
        for less in (0, 3, 19)
        for out in (-19, -17, 0)
        for zeros in ((-128, 127, -128), (127, -128, 127), (3, -7, 0))
    ]
    check(all_apart([added(seed, **each) for seed, each in enumerate(kinds)]))


def softmax_of(rows: int, count: int, real_shift: int) -> tuple[p.Softmax, list[NDArray[np.int8]]]:
    draw = np.random.default_rng(rows * count)
    operator = p.Softmax(name="s", input=0, output=1, rows=rows, count=count, multiplier=2**30 + 12345, shift=real_shift, least=-250)
    return operator, [draw.integers(-128, 128, rows * count).astype(np.int8), np.zeros(rows * count, np.int8)]


def test_every_row_of_softmax_equals_itself_alone(check: Check) -> None:
    check(all_apart([softmax_of(rows, count, shift) for rows in (1, 3) for count in (1, 2, 10, 300) for shift in (20, 23, 25)]))


def average(kernel: p.Pair, **fields: Any) -> Drawn:
    draw = np.random.default_rng(7)
    common = {"in_shape": (5, 7, 3), "stride": (1, 2), "pads": (0, 0), "whole": False, "scales": None, "zero_in": -7, "zero_out": 9}
    out = (5 - kernel[0] + 1, (7 - kernel[1]) // 2 + 1, 3)
    operator = p.Average(name="a", input=0, output=1, kernel=kernel, low=-128, high=127, **{**common, "out_shape": out, **fields})
    return operator, [draw.integers(-128, 128, 105).astype(np.int8), np.zeros(np.prod(operator.out_shape), np.int8)]


def test_averages_round_halves_away_from_zero_and_count_padding_if_told(check: Check) -> None:
    scales = tuple((2 ** (29 + n % 2) + 999 * n, -3) for n in range(1, 13))
    padded = {"pads": (2, 1), "out_shape": (7, 4, 3)}
    kinds = [
        {"kernel": (2, 1)}, {"kernel": (1, 2)}, {"kernel": (4, 2)}, {"kernel": (5, 7)},
        *({"kernel": (4, 3), **padded, "whole": whole, "scales": table} for whole in (False, True) for table in (None, scales)),
    ]  # fmt: skip
    check(all_apart([average(**each) for each in kinds]))


def test_a_sum_that_may_leave_int32_is_refused_when_packed() -> None:
    operator, _ = convolution(1, bias=np.full(4, 2**31 - 1, np.int32))
    with pytest.raises(GraphError, match=r"conv1: the sum of output channel \d may reach \d+, expected less than 2\^31"):
        chunk_of(operator)


def test_padding_is_the_zero_point_also_after_the_zero_went_into_the_bias() -> None:
    operator, buffers = convolution(3, kernel=(3, 3), pads=(2, 2), zero_in=100, zero_out=0, bias=np.zeros(4, np.int32))
    buffers[0][:] = 100
    OPERATORS[p.Conv](operator, buffers)
    assert not buffers[1].any()
