"""A board refuses every table and blob that is damaged or asks for what is not there, and says which operator it is."""

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from devices.mcu.blob import blob_of
from devices.mcu.layouts import LAYOUTS
from devices.mcu.table import kind_of
from tests.devices.firmware.executor_bed import Case, answers, case_of, crc_right
from tests.devices.firmware.host_build import built, sources
from tests.devices.mcu.plans import plan_apart
from tests.devices.mcu.random_programs import random_inputs, random_program
from tests.small_table import BLOB, OPERATORS, TABLE

ALIGNMENT = -1
SIZE, MAGIC, ABI, CRC, ARENA, END, MISSING, OPERATOR, RANGE, OUTSIDE, CHUNK = range(-2, -13, -1)
NO_BLOB, WHOLE = b"", 0xFFFF
PROGRAMS = [random_program(seed) for seed in range(100)]

Ask = Callable[[Sequence[Case]], list[tuple[int, int, int]]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """(code, operator, missing chunks) of each case."""
    folder = tmp_path_factory.mktemp("driver")
    driver = built(folder, [*sources("kernels", "executor"), Path(__file__).with_name("executor_driver.c")])
    return lambda cases: [answer[:3] for answer in answers(driver, cases, folder)]


def case_with(kind: str, *, chunk: bool | None = None) -> tuple[Case, int]:
    """A program that has an operator of that kind (with a chunk or without one), and the number of the operator."""
    for program in PROGRAMS:
        case = case_of(program, plan_apart(program), random_inputs(program, 0))
        for number, operator in enumerate(program.operators):
            at = row_at(case.table, number)
            if kind_of(operator) == kind and chunk in (None, case.table[at + 2 : at + 4] != b"\xff\xff"):
                return case, number
    raise AssertionError(f"no program has a {kind}")


def row_at(table: bytes, number: int) -> int:
    """Where an operator begins."""
    chunks, inputs, outputs = struct.unpack_from("<HHH", table, 16)
    at = 28 + 8 * (inputs + outputs) + 16 * chunks
    for _ in range(number):
        at += 4 * table[at + 1]
    return at


def with_field(table: bytes, number: int, field: str, value: int) -> bytes:
    """The table with one number of one operator changed, and its CRC put right; "zero" is the first field without a meaning."""
    at = row_at(table, number)
    layout = next(each for each in LAYOUTS.values() if each.code == table[at])
    place = layout.names.index("0" if field == "zero" else field)
    start = at + struct.calcsize(layout.formats[: 4 + place])
    data = bytearray(table)
    struct.pack_into("<" + layout.formats[4 + place], data, start, value)
    return crc_right(bytes(data), 24)


def with_head(case: Case, at: int, form: str, value: int) -> Case:
    """A case whose table has another number in its head, with the CRC put right."""
    data = bytearray(case.table)
    struct.pack_into("<" + form, data, at, value)
    return case._replace(table=crc_right(bytes(data), 24))


FAR = 2**32 - 4
WRONG = [
    # kind       fields that each have a wrong value                                     answer
    ("conv", {"in": FAR, "out": FAR, "scratch": FAR, "in_h": 60000, "out_w": 60000}, OUTSIDE),
    ("conv", dict.fromkeys("in_h in_w in_c out_h out_w out_c k_h k_w stride_h stride_w dilation_h dilation_w groups".split(), 0), RANGE),
    ("conv", {"groups": 11, "zero": 1}, RANGE),
    ("conv", {"scratch": 2}, OUTSIDE),
    ("dense", {"in_n": 1}, CHUNK),
    ("depthwise", {"in": FAR, "out": FAR, "scratch": FAR}, OUTSIDE),
    ("depthwise", {"groups": 1, "stride_w": 0, "out_c": 0}, RANGE),
    ("dense", {"in": FAR, "out": FAR, "rows": 2**32 - 1}, OUTSIDE),
    ("dense", {"rows": 0, "in_n": 0, "out_n": 0}, RANGE),
    ("add", {"a": FAR, "b": FAR, "out": FAR}, OUTSIDE),
    ("add", {"n": 0, "n_b": 0, "m_a": 5, "m_b": -1, "m_out": 2**30 - 1, "s_a": 31, "s_b": -32, "s_out": 100, "zero": 1}, RANGE),
    ("mul", {"a": FAR, "b": FAR, "out": FAR}, OUTSIDE),
    ("mul", {"n": 0, "n_b": 0, "m_out": 1, "s_out": 31, "zero": 7}, RANGE),
    ("average", {"in": FAR, "out": FAR}, OUTSIDE),
    ("average", {"in_h": 0, "c": 0, "out_w": 0, "stride_h": 0, "stride_w": 0, "whole": 2, "zero": 1}, RANGE),
    ("maximum", {"in": FAR, "out": FAR}, OUTSIDE),
    ("maximum", {"in_h": 0, "c": 0, "out_w": 0, "k_h": 0, "stride_h": 0, "zero": 1, "pad_top": 255, "pad_left": 255}, RANGE),
    ("maximum", {"stride_h": 0, "out_h": 60000}, RANGE),
    ("map", {"in": FAR, "out": FAR, "n": 2**32 - 1}, OUTSIDE),
    ("map", {"n": 0}, RANGE),
    ("softmax", {"in": FAR, "out": FAR, "rows": 2**32 - 1}, OUTSIDE),
    ("softmax", {"rows": 0, "n": 0, "m": 3, "s": -100, "least": 1, "zero": 1}, RANGE),
    ("move", {"in": FAR, "out": FAR, "step_in_3": 2**31 - 1, "step_out_3": -(2**31)}, OUTSIDE),
    ("move", {"run": 2**32 - 1, "count_0": 65535, "count_3": 0, "zero": 1}, RANGE),
    ("fill", {"out": FAR, "n": 2**32 - 1}, OUTSIDE),
    ("fill", {"n": 0, "zero": 1}, RANGE),
]


@pytest.mark.parametrize(("kind", "fields", "code"), WRONG, ids=[f"{kind} {' '.join(fields)}" for kind, fields, _ in WRONG])
def test_a_wrong_number_is_refused_with_its_operator(ask: Ask, kind: str, fields: dict[str, int], code: int) -> None:
    case, number = case_with(kind, chunk=False if {"b"} & set(fields) else None)
    mutants = [case._replace(table=with_field(case.table, number, field, value)) for field, value in fields.items()]
    assert ask(mutants) == [(code, number, 0)] * len(mutants)


@pytest.mark.parametrize("kind", ["conv", "dense", "add", "mul", "average", "maximum"])
def test_a_clamp_whose_ends_are_swapped_is_refused(ask: Ask, kind: str) -> None:
    case, number = case_with(kind)
    assert ask([case._replace(table=with_field(with_field(case.table, number, "low", 1), number, "high", 0))]) == [(RANGE, number, 0)]


HEADS = [
    # what is wrong          at  form value   answer
    ("magic", 0, "I", 0, MAGIC),
    ("abi", 4, "H", 2, ABI),
    ("operators", 6, "H", 65535, OPERATOR),
    ("fewer operators", 6, "H", 0, SIZE),
    ("size", 8, "I", 2**32 - 1, SIZE),
    ("arena", 12, "I", 2**32 - 1, ARENA),
    ("smaller arena", 12, "I", 0, END),
    ("chunks", 16, "H", 65535, SIZE),
    ("inputs", 18, "H", 65535, SIZE),
    ("outputs", 20, "H", 65535, SIZE),
    ("a number without meaning", 22, "H", 1, ABI),
    ("begin of the input", 28, "I", FAR, END),
    ("size of the input", 32, "I", 2**32 - 1, END),
    ("an empty input", 32, "I", 0, END),
]


@pytest.mark.parametrize(("at", "form", "value", "code"), [each[1:] for each in HEADS], ids=[each[0] for each in HEADS])
def test_a_wrong_head_is_refused(ask: Ask, at: int, form: str, value: int, code: int) -> None:
    case, _ = case_with("conv")
    assert ask([with_head(case, at, form, value)])[0][0] == code


def test_every_damaged_byte_of_a_table_is_refused(ask: Ask) -> None:
    case, _ = case_with("conv")
    chunks, inputs, outputs = struct.unpack_from("<HHH", case.table, 16)
    begin = 28 + 8 * (inputs + outputs)
    places = {begin + 16 * i + 12 + k for i in range(chunks) for k in range(4)}  # the board writes there itself
    cases = []
    for at in sorted(set(range(len(case.table))) - places):
        data = bytearray(case.table)
        data[at] ^= 1 << at % 8
        cases.append(case._replace(table=bytes(data)))
    assert all(code != 0 for code, _, _ in ask(cases))


def test_a_table_that_was_cut_off_is_refused(ask: Ask) -> None:
    case, _ = case_with("conv")
    cases = [case._replace(table=case.table[:size]) for size in range(4, len(case.table), 4)]
    assert {code for code, _, _ in ask(cases)} == {SIZE}


def test_an_operator_of_unknown_code_or_length_is_refused(ask: Ask) -> None:
    case, number = case_with("add")
    at = row_at(case.table, number)
    cases = []
    for place, value in ((0, 0), (0, 12), (0, 255), (1, 0), (1, 11), (1, 255)):
        data = bytearray(case.table)
        data[at + place] = value
        cases.append(case._replace(table=crc_right(bytes(data), 24)))
    assert ask(cases) == [(OPERATOR, number, 0)] * len(cases)


def test_a_smaller_arena_than_the_table_needs_is_refused(ask: Ask) -> None:
    case, _ = case_with("conv")
    assert ask([case._replace(room=case.room - 1), case]) == [(ARENA, WHOLE, 0), (0, WHOLE, 0)]


def test_chunks_are_found_in_ram_or_in_flash_or_counted(ask: Ask) -> None:
    case, _ = case_with("conv")
    other = blob_of([PROGRAMS[-1]])
    chunks = struct.unpack_from("<H", case.table, 16)[0]
    places = [(case.ram, NO_BLOB), (NO_BLOB, case.ram), (other, case.ram), (case.ram, other), (NO_BLOB, NO_BLOB), (other, other)]
    told = ask([case._replace(ram=ram, flash=flash) for ram, flash in places])
    assert told == [(0, WHOLE, 0)] * 4 + [(MISSING, WHOLE, chunks)] * 2


def test_a_chunk_of_another_size_is_missing(ask: Ask) -> None:
    case, _ = case_with("conv")
    inputs, outputs = struct.unpack_from("<HH", case.table, 18)
    assert ask([with_head(case, 28 + 8 * (inputs + outputs) + 8, "I", 4)]) == [(MISSING, WHOLE, 1)]


def test_an_operator_without_its_chunk_is_refused(ask: Ask) -> None:
    for kind, chunk in (("conv", 0xFFFF), ("map", 0xFFFF), ("dense", 1000), ("softmax", 0), ("fill", 0), ("maximum", 0)):
        case, number = case_with(kind)
        data = bytearray(case.table)
        struct.pack_into("<H", data, row_at(case.table, number) + 2, chunk)
        assert ask([case._replace(table=crc_right(bytes(data), 24))]) == [(CHUNK, number, 0)], kind


def test_a_scale_outside_its_range_is_refused(ask: Ask) -> None:
    for kind, chunk, place in (("conv", None, 8), ("depthwise", None, 16), ("dense", None, 8), ("average", True, 0)):
        case, number = case_with(kind, chunk=chunk)
        inputs, outputs = struct.unpack_from("<HH", case.table, 18)
        index = struct.unpack_from("<H", case.table, row_at(case.table, number) + 2)[0]
        name = case.table[28 + 8 * (inputs + outputs) + 16 * index :][:8]
        at = struct.unpack_from("<I", case.ram, case.ram.index(name) + 8)[0]
        for offset, form, value in ((0, "i", 1), (0, "i", -(2**31)), (4, "h", 31), (4, "h", -32)):
            blob = bytearray(case.ram)
            struct.pack_into("<" + form, blob, at + place + offset, value)
            assert ask([case._replace(ram=crc_right(bytes(blob), 12, 16))]) == [(CHUNK, number, 0)], kind


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """What the driver of odd begins prints of a small table."""
    folder = tmp_path_factory.mktemp("odd")
    driver = built(folder, [*sources("kernels", "executor"), Path(__file__).with_name("odd_driver.c")])
    (folder / "table").write_bytes(TABLE)
    (folder / "blob").write_bytes(BLOB)
    done = subprocess.run([driver, folder / "table", folder / "blob"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def test_table_arena_and_weights_begin_at_multiples_of_four(odd: list[int]) -> None:
    blobs, tables = odd[:4], odd[4:12]
    assert blobs[0] == 0 and all(each != 0 for each in blobs[1:])
    assert tables == [0, *[ALIGNMENT] * 3, *[ALIGNMENT] * 4], "moved by 0 to 3 bytes; the last four with an odd arena"


def test_ticks_of_a_clock_that_wraps_are_right(odd: list[int]) -> None:
    assert odd[12:] == [10] * OPERATORS
