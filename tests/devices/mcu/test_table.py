"""A table says in bytes what program and plan say, and a number that does not fit its field is refused by its name."""

import struct
import zlib
from dataclasses import replace

import pytest

from devices.mcu.blob import chunk_id
from devices.mcu.layouts import LAYOUTS
from devices.mcu.packing import chunk_of
from devices.mcu.program import Average, Conv, Fill, Program
from devices.mcu.table import decode, encode, kind_of
from edgekit.errors import FormatError, GraphError
from tests.devices.mcu.plans import plan_apart
from tests.devices.mcu.random_programs import random_program

PROGRAMS = [random_program(seed) for seed in range(60)]


@pytest.mark.parametrize("program", PROGRAMS[:20])
def test_a_table_comes_back_as_program_and_plan(program: Program) -> None:
    plan = plan_apart(program)
    table = decode(encode(program, plan))
    assert table.arena_bytes == plan.arena_bytes
    assert table.inputs == tuple((plan.offsets[end.buffer], program.buffers[end.buffer].nbytes) for end in program.inputs)
    assert table.outputs == tuple((plan.offsets[end.buffer], program.buffers[end.buffer].nbytes) for end in program.outputs)
    for operator, row in zip(program.operators, table.rows, strict=True):
        assert row.kind == kind_of(operator)
        chunk = chunk_of(operator)
        assert (row.chunk is None) == (not chunk)
        if row.chunk is not None:
            assert table.chunks[row.chunk] == (chunk_id(chunk), len(chunk))
        if isinstance(operator, Conv):
            assert [row.numbers[name] for name in ("in_h", "in_w", "in_c")] == list(operator.in_shape)
            assert [row.numbers[name] for name in ("k_h", "k_w", "pad_top", "groups")] == [
                *operator.weights.shape[1:3],
                operator.pads[0],
                operator.groups,
            ]


def test_a_table_is_in_the_order_of_its_plan() -> None:
    program = next(each for each in PROGRAMS if len(each.operators) > 3)
    plan = plan_apart(program)
    order = tuple(reversed(plan.order))
    assert [row.kind for row in decode(encode(program, plan._replace(order=order))).rows] == [
        kind_of(program.operators[index]) for index in order
    ]


def test_a_chunk_that_two_operators_read_is_named_once() -> None:
    program = next(each for each in PROGRAMS if isinstance(each.operators[0], Conv))
    twice = replace(program, operators=(program.operators[0], *program.operators))
    assert decode(encode(twice, plan_apart(twice))).chunks == decode(encode(program, plan_apart(program))).chunks


def test_operators_are_as_long_as_the_specification_says() -> None:
    words = {kind: layout.nbytes // 4 for kind, layout in LAYOUTS.items()}
    assert words == {
        "conv": 11,
        "depthwise": 11,
        "dense": 7,
        "add": 12,
        "mul": 9,
        "average": 9,
        "maximum": 9,
        "map": 4,
        "softmax": 8,
        "move": 16,
        "fill": 4,
    }
    assert all(layout.nbytes % 4 == 0 for layout in LAYOUTS.values())


def test_a_fill_is_drawn_byte_by_byte() -> None:
    program = next(each for each in PROGRAMS if any(isinstance(operator, Fill) for operator in each.operators))
    plan = plan_apart(program)
    fill = next(each for each in program.operators if isinstance(each, Fill))
    row = bytes([11, 4, 0xFF, 0xFF]) + struct.pack("<II", plan.offsets[fill.output], program.buffers[fill.output].nbytes)
    assert row + struct.pack("<bbbb", fill.value, 0, 0, 0) in encode(program, plan)


WRONG = [
    ({"stride": (256, 1)}, "stride_h is 256, expected 0 to 255"),
    ({"pads": (0, -1)}, "pad_left is -1, expected 0 to 255"),
    ({"in_shape": (65536, 1, 1)}, "in_h is 65536, expected 0 to 65535"),
    ({"zero_in": 128}, "zero_in is 128, expected -128 to 127"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_number_that_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    program = next(each for each in PROGRAMS if isinstance(each.operators[0], Average))
    wrong = replace(program, operators=(replace(program.operators[0], name="/head/pool", **change), *program.operators[1:]))
    with pytest.raises(GraphError, match=f"^/head/pool: {message}; a board cannot run this average"):
        encode(wrong, plan_apart(wrong))


def test_a_damaged_table_is_refused() -> None:
    data = encode(PROGRAMS[0], plan_apart(PROGRAMS[0]))
    for at in range(len(data)):
        with pytest.raises(FormatError):
            decode(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    other = struct.pack("<4sH", b"EKT1", 2) + data[6:]
    with pytest.raises(FormatError, match="expected a table of version 1, got 2"):
        decode(other)


def test_the_crc_is_that_of_the_table_with_the_field_zero() -> None:
    data = encode(PROGRAMS[0], plan_apart(PROGRAMS[0]))
    assert struct.unpack_from("<I", data, 24)[0] == zlib.crc32(data[:24] + bytes(4) + data[28:])
