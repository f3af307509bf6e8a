"""The contract against a reading of the specification byte by byte."""

from itertools import product

import numpy as np
import pytest

from devices.mcu import contract
from devices.mcu.program import Add, Average, Conv, Dense, Depthwise, Fill, Maximum, Move, Mul, Operator, Softmax
from tests.devices.mcu.random_programs import random_program

Step = tuple[set[int], set[int]]
SEEDS = range(120)


def conv(kind: type[Conv] = Conv, **fields: object) -> Conv:
    """A 3×3 convolution of 5×6 pixels with padding, unless told otherwise."""
    made: dict[str, object] = {
        "name": "c", "input": 0, "output": 1, "in_shape": (5, 6, 2), "out_shape": (5, 6, 3), "stride": (1, 1), "dilation": (1, 1),
        "pads": (1, 1), "groups": 1, "weights": np.zeros((3, 3, 3, 2), np.int8), "zero_in": 0, "zero_out": 0, "low": -128, "high": 127,
        "bias": np.zeros(3, np.int32), "multiplier": np.zeros(3, np.int32), "shift": np.zeros(3, np.int32),
    }  # fmt: skip
    return kind(**(made | fields))  # type: ignore[arg-type]


def move(**fields: object) -> Move:
    made: dict[str, object] = {"name": "m", "input": 0, "output": 1, "at_in": 0, "at_out": 0, "run": 4}
    return Move(**(made | fields))  # type: ignore[arg-type]


def windows(operator: Conv | Average | Maximum) -> list[Step]:
    kernel = operator.weights.shape[1:3] if isinstance(operator, Conv) else operator.kernel
    dilation = operator.dilation if isinstance(operator, Conv) else (1, 1)
    (height, width, channels), (in_h, in_w, in_c) = operator.out_shape, operator.in_shape
    flat = type(operator) is Conv and kernel == (1, 1) and operator.stride == (1, 1) and not any(operator.pads)
    flat = flat and (height, width) == (in_h, in_w)
    pixels = list(product(range(height), range(width)))
    rows = [pixels] if flat else [pixels[y * width : (y + 1) * width] for y in range(height)]
    size = 4 if isinstance(operator, Conv) else 1
    steps = []
    for block in (row[begin : begin + size] for row in rows for begin in range(0, len(row), size)):
        reads, writes = set[int](), set[int]()
        for y, x in block:
            writes |= {(y * width + x) * channels + c for c in range(channels)}
            for i, j in product(range(kernel[0]), range(kernel[1])):
                row, column = y * operator.stride[0] - operator.pads[0] + i * dilation[0], x * operator.stride[1] - operator.pads[1]
                column += j * dilation[1]
                if 0 <= row < in_h and 0 <= column < in_w:
                    reads |= {(row * in_w + column) * in_c + c for c in range(in_c)}
        steps.append((reads, writes))
    return steps


def steps_of(operator: Operator) -> list[Step]:
    """Which input bytes each step reads, and which output bytes it writes."""
    match operator:
        case Conv() | Average() | Maximum():
            return windows(operator)
        case Dense():
            made, taken = operator.weights.shape
            return [(set(range(r * taken, (r + 1) * taken)), set(range(r * made, (r + 1) * made))) for r in range(operator.rows)]
        case Move():
            steps = []
            for indices in product(*(range(count) for count in operator.counts)):
                begin = operator.at_in + sum(i * step for i, step in zip(indices, operator.steps_in, strict=True))
                to = operator.at_out + sum(i * step for i, step in zip(indices, operator.steps_out, strict=True))
                steps.append((set(range(begin, begin + operator.run)), set(range(to, to + operator.run))))
            return steps
        case Softmax():
            return [({i}, {i}) for i in range(operator.rows * operator.count)]
        case Fill():
            raise AssertionError
        case _:
            return [({i}, {i}) for i in range(operator.count)]


OPERATORS = [
    operator
    for seed in SEEDS
    for operator in random_program(seed).operators
    if not isinstance(operator, Fill) and max(contract.written(operator)) < 400
]


@pytest.mark.parametrize("kind", sorted({type(each).__name__ for each in OPERATORS}))
def test_distance_is_the_least_at_which_no_step_harms_a_later_one(kind: str) -> None:
    seen = 0
    for operator in OPERATORS:
        found = contract.distance(operator, operator.input) if type(operator).__name__ == kind and not isinstance(operator, Fill) else None
        if found is None:
            continue
        steps, first = steps_of(operator), contract.reads_first(operator)
        end = int(contract.needed(operator, operator.input)[-1])  # type: ignore[index]
        assert safe_to(steps, found, first=first, end=end)
        assert not safe_to(steps, found - 1, first=first, end=end), (operator, found)
        seen += 1
    assert seen


def safe_to(steps: list[Step], apart: int, *, first: bool, end: int) -> bool:
    """As ``safe``, with the end of the input where nothing is read any more."""
    whole = [*steps, ({end}, set[int]())]
    for s, (_, writes) in enumerate(steps):
        later = set[int]().union(*(reads for reads, _ in whole[s + first :]))
        if max(writes) >= apart + min(later):
            return False
    return True


def test_a_convolution_may_follow_its_input_by_a_row_and_a_step() -> None:
    # Step (y, x..x+3) writes up to ((y * 6) + x + 4) * 3 and needs from row y - 1, column x - 1 on.
    assert contract.distance(conv(), 0) == 6 * 5 * 3 - (3 * 6 + 3) * 2


def test_a_convolution_of_single_pixels_runs_over_the_ends_of_rows() -> None:
    flat = conv(out_shape=(5, 6, 2), weights=np.zeros((2, 1, 1, 2), np.int8), pads=(0, 0))
    assert len(contract.written(flat)) == 8
    assert contract.distance(flat, 0) == 8
    in_rows = conv(Depthwise, out_shape=(5, 6, 2), weights=np.zeros((2, 1, 1, 1), np.int8), pads=(0, 0), groups=2)
    assert len(contract.written(in_rows)) == 10


def test_a_row_that_reads_early_rows_again_counts_for_the_steps_before() -> None:
    dilated = conv(dilation=(2, 1), pads=(2, 1))
    needs = contract.needed(dilated, 0)
    assert needs is not None and list(needs[:6]) == [0] * 5 + [(0 * 6 + 3) * 2]


def test_a_slice_lets_the_output_begin_after_the_input() -> None:
    tail = move(at_in=8, run=2, counts=(1, 1, 1, 2), steps_in=(0, 0, 0, 4), steps_out=(0, 0, 0, 2))
    assert contract.distance(tail, 0) == 2 - 12


def test_a_transposition_that_jumps_back_in_its_output_overlaps_nothing() -> None:
    back = move(run=1, counts=(1, 1, 2, 2), steps_in=(0, 0, 2, 1), steps_out=(0, 0, 1, 2))
    assert contract.distance(back, 0) is None


def test_an_operand_that_is_read_again_and_again_overlaps_nothing() -> None:
    fields = {"name": "m", "input": 0, "output": 2, "count": 6, "zeros": (0, 0, 0), "low": -128, "high": 127, "multiplier": 0, "shift": 0}
    short = Mul(other=1, other_count=3, **fields)  # type: ignore[arg-type]
    assert (contract.distance(short, 0), contract.distance(short, 1)) == (0, None)
    whole = Mul(other=1, other_count=6, **fields)  # type: ignore[arg-type]
    assert (contract.distance(whole, 0), contract.distance(whole, 1)) == (0, 0)
    assert contract.distance(Mul(other=0, other_count=3, **fields), 0) is None  # type: ignore[arg-type]


def test_a_tensor_added_to_itself_is_read_once() -> None:
    fields = {"name": "a", "input": 0, "output": 1, "count": 6, "multipliers": (0, 0, 0), "shifts": (0, 0, 0), "zeros": (0, 0, 0)}
    twice = Add(other=0, other_count=6, low=-128, high=127, **fields)  # type: ignore[arg-type]
    assert contract.read_buffers(twice) == (0,)
    assert contract.distance(twice, 0) == 0


def test_what_an_operator_does_not_read_has_no_distance() -> None:
    with pytest.raises(ValueError, match="reads buffers"):
        contract.distance(conv(), 7)
