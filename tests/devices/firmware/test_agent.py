"""The agent, as a process of this machine under sanitizers: uploads, one run for each number, and what it refuses."""

import random
import zlib
from typing import Any

import cbor2
import pytest

from tests.firmwarebed import Board, HostBoard, framed, message, unframed
from tests.small_table import BLOB, BYTES, OPERATORS, TABLE, beginning, expected

HELLO, TABLE_PUT, WEIGHTS, COMMIT, IN, RUN, OUT, PROFILE, MEM = range(9)
READ, WRITE = 0, 2
BAD, BUSY, NO_ROOM, CRC, ABI, BAD_TABLE, NO_TABLE, NO_INPUT, OFFSET, OTHER_RUN = range(1, 11)
DONE = 2


@pytest.fixture
def bare(host: HostBoard) -> Board:
    """A board without a table."""
    return Board(host)


@pytest.fixture
def ready(bare: Board) -> Board:
    """A board that has taken the table."""
    bare.put(WEIGHTS, BLOB, beginning(BLOB))
    bare.put(TABLE_PUT, TABLE, beginning(TABLE))
    assert commit(bare) == {"arena": BYTES, "missing": 0, "first": b""}
    return bare


def commit(board: Board, data: bytes = TABLE, fill: int = 0) -> dict[str, Any]:
    return board.ask(WRITE, COMMIT, {"crc": zlib.crc32(data), "fill": fill})


def give(board: Board, data: bytes, number: int) -> Any:
    return board.put(IN, data, {"len": len(data), "crc": zlib.crc32(data), "n": number}, {"i": 0})


def run(board: Board, number: int, start: int = 0, stop: int = OPERATORS) -> dict[str, Any]:
    told = {"n": number, "from": start, "to": stop}
    answer = board.ask(WRITE, RUN, told)
    while answer.get("state") == 1:
        answer = board.ask(WRITE, RUN, told)
    return answer


def output(board: Board, number: int) -> bytes:
    data, length, crc = b"", 1, 0
    while len(data) < length:
        told = board.ask(READ, OUT, {"i": 0, "off": len(data), "n": number})
        data, length, crc = data + told["data"], told["len"], told["crc"]
    assert zlib.crc32(data) == crc
    return data


def refused(answer: dict[str, Any], code: int) -> bool:
    return answer.get("err") == {"group": 64, "rc": code}


INPUT = random.Random(7).randbytes(BYTES)


def test_a_frame_goes_in_and_comes_out(ready: Board) -> None:
    for number in range(3):
        data = random.Random(number).randbytes(BYTES)
        assert give(ready, data, number) == {"off": BYTES}
        assert run(ready, number) == {"n": number, "state": DONE, "op": OPERATORS}
        assert output(ready, number) == expected(data)
    assert len(ready.ask(READ, PROFILE, {"off": 0})["ticks"]) == OPERATORS
    assert ready.ask(READ, HELLO)["table"] == zlib.crc32(TABLE)


def test_a_run_of_the_same_number_runs_once(ready: Board) -> None:
    give(ready, INPUT, 5)
    for _ in range(3):
        assert run(ready, 5)["state"] == DONE
    assert output(ready, 5) == expected(INPUT)


def test_while_it_runs_a_board_answers_few_requests(ready: Board) -> None:
    give(ready, INPUT, 1)
    told = {"n": 1, "from": 0, "to": OPERATORS}
    asked = [(WRITE, RUN, told, 64), (READ, MEM, {}, 64), (READ, HELLO, {}, 64), (WRITE, 0, {"d": "x"}, 0), (WRITE, RUN, told, 64)]
    asked += [(WRITE, RUN, told | {"n": 2}, 64), (WRITE, TABLE_PUT, {"off": 0, "data": b"", **beginning(BLOB)}, 64)]
    ready.line.send(b"".join(framed(message(op, group, command, fields)) for op, command, fields, group in asked))
    answers = [unframed(ready.line.line) for _ in asked]
    first, memory, hello, echo, again, other, table = [cbor2.loads(answer[8:]) for answer in answers if answer is not None]
    assert first["state"] == again["state"] == 1 and hello["board"] == "host" and echo == {"r": "x"}
    assert refused(memory, BUSY) and refused(other, BUSY) and refused(table, BUSY)
    assert run(ready, 1)["state"] == DONE and output(ready, 1) == expected(INPUT)


def test_an_input_that_is_sent_again_after_its_run_is_not_written(ready: Board) -> None:
    give(ready, INPUT, 5)
    run(ready, 5)
    assert give(ready, INPUT, 5) == {"off": BYTES}
    assert output(ready, 5) == expected(INPUT)


def test_another_input_with_the_number_of_the_last_run_is_refused(ready: Board) -> None:
    give(ready, INPUT, 5)
    run(ready, 5)
    told = {"i": 0, "off": 0, "len": BYTES, "crc": 1, "n": 5, "data": b"x"}
    assert refused(ready.ask(WRITE, IN, told), OTHER_RUN)
    assert output(ready, 5) == expected(INPUT)


def test_outputs_of_another_run_are_refused(ready: Board) -> None:
    assert refused(ready.ask(READ, OUT, {"i": 0, "off": 0, "n": 0}), OTHER_RUN)
    give(ready, INPUT, 5)
    run(ready, 5)
    assert refused(ready.ask(READ, OUT, {"i": 0, "off": 0, "n": 4}), OTHER_RUN)
    ready.ask(WRITE, IN, {"i": 0, "off": 0, "len": BYTES, "crc": 1, "n": 6, "data": b"x"})
    assert refused(ready.ask(READ, OUT, {"i": 0, "off": 0, "n": 5}), OTHER_RUN), "the next input may lie over it"


def test_a_run_needs_its_whole_input(ready: Board) -> None:
    assert refused(run(ready, 1), NO_INPUT)
    ready.ask(WRITE, IN, {"i": 0, "off": 0, "len": BYTES, "crc": zlib.crc32(INPUT), "n": 1, "data": INPUT[:700]})
    assert refused(run(ready, 1), NO_INPUT)
    give(ready, INPUT, 1)
    assert refused(run(ready, 2), NO_INPUT), "it is the input of frame 1"
    run(ready, 1)
    assert refused(run(ready, 2), NO_INPUT), "its input is used up"


def test_an_input_with_a_wrong_sum_has_no_effect(ready: Board) -> None:
    answer = ready.put(IN, INPUT, {"len": BYTES, "crc": zlib.crc32(INPUT) ^ 1, "n": 1}, {"i": 0})
    assert refused(answer, CRC)
    assert refused(run(ready, 1), NO_INPUT)
    give(ready, INPUT, 1)
    run(ready, 1)
    assert output(ready, 1) == expected(INPUT)


@pytest.mark.parametrize("length", [0, 1, BYTES - 1, BYTES + 1, 2**32 - 1])
def test_an_input_of_another_size_is_refused(ready: Board, length: int) -> None:
    assert refused(ready.ask(WRITE, IN, {"i": 0, "off": 0, "len": length, "crc": 0, "n": 1, "data": b"x"}), BAD)


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (1, 1), (2, 1), (0, OPERATORS + 1), (0, 2**32 - 1), (65536, 65537)])
def test_operators_that_are_not_there_are_refused(ready: Board, start: int, stop: int) -> None:
    give(ready, INPUT, 1)
    assert refused(run(ready, 1, start, stop), BAD)


def test_some_operators_run_alone(ready: Board) -> None:
    give(ready, INPUT, 1)
    assert run(ready, 1, 1, 2)["op"] == 2
    assert output(ready, 1) == bytes((byte + 1) % 256 for byte in INPUT)


def test_pieces_may_come_twice_and_late(ready: Board) -> None:
    first = {"i": 0, "off": 0, "len": BYTES, "crc": zlib.crc32(INPUT), "n": 1, "data": INPUT[:500]}
    second, third = ({"i": 0, "off": off, "data": INPUT[off : off + 500]} for off in (500, 1000))
    told = [(first, 500), (first, 500), (second, 1000), (first, 1000), (second, 1000), (third, 1500), (second, 1500), (first, 1500)]
    for piece, reached in told:
        assert ready.ask(WRITE, IN, piece) == {"off": reached}
    run(ready, 1)
    for piece, _ in told[2:4]:
        assert ready.ask(WRITE, IN, piece) == {"off": BYTES}, "late, and not written"
    assert output(ready, 1) == expected(INPUT)


def test_a_piece_out_of_order_is_told_where_to_go_on(ready: Board) -> None:
    assert ready.ask(WRITE, IN, {"i": 0, "off": 500, "data": b"x"}) == {"err": {"group": 64, "rc": OFFSET}, "off": 0}
    ready.ask(WRITE, IN, {"i": 0, "off": 0, "len": BYTES, "crc": zlib.crc32(INPUT), "n": 1, "data": INPUT[:500]})
    assert ready.ask(WRITE, IN, {"i": 0, "off": 900, "data": b"x"}) == {"err": {"group": 64, "rc": OFFSET}, "off": 500}


def test_a_piece_beyond_the_end_is_refused(ready: Board) -> None:
    ready.ask(WRITE, IN, {"i": 0, "off": 0, "len": BYTES, "crc": zlib.crc32(INPUT), "n": 1, "data": INPUT[:900]})
    assert refused(ready.ask(WRITE, IN, {"i": 0, "off": 900, "data": b"x" * 601}), BAD)
    assert ready.ask(WRITE, IN, {"i": 0, "off": 900, "data": INPUT[900:]}) == {"off": BYTES}


def test_an_upload_goes_on_after_an_interruption_only_if_it_is_the_same(bare: Board) -> None:
    half = len(BLOB) // 2
    assert bare.ask(WRITE, WEIGHTS, {"off": 0, "data": BLOB[:half], **beginning(BLOB)}) == {"off": half}
    assert bare.ask(WRITE, WEIGHTS, {"off": 0, "data": b"", **beginning(BLOB)}) == {"off": half}
    for other in ({"len": len(BLOB) + 4}, {"crc": 1}, {"sha": bytes(32)}):
        assert bare.ask(WRITE, WEIGHTS, {"off": 0, "data": b"", **beginning(BLOB)} | other) == {"off": 0}


def test_a_wrong_sum_forgets_table_and_weights(bare: Board) -> None:
    for command, data in ((TABLE_PUT, TABLE), (WEIGHTS, BLOB)):
        damaged = bytearray(data)
        damaged[-1] ^= 1
        assert refused(bare.put(command, bytes(damaged), beginning(data)), CRC)
        assert bare.put(command, data, beginning(data)) == {"off": len(data)}
    assert commit(bare)["missing"] == 0


def test_nothing_runs_before_a_table_was_taken(bare: Board) -> None:
    for op, command, told in (
        (WRITE, COMMIT, {"crc": zlib.crc32(TABLE)}),
        (WRITE, IN, {"i": 0, "off": 0, "len": 4, "crc": 0, "n": 1, "data": b"1234"}),
        (WRITE, RUN, {"n": 0, "from": 0, "to": 1}),
        (READ, OUT, {"i": 0, "off": 0, "n": 0}),
        (READ, PROFILE, {"off": 0}),
    ):
        assert refused(bare.ask(op, command, told), NO_TABLE)


def test_missing_weights_are_told_and_may_come_later(bare: Board) -> None:
    bare.put(TABLE_PUT, TABLE, beginning(TABLE))
    told = commit(bare)
    assert (told["arena"], told["missing"], len(told["first"])) == (BYTES, 1, 8)
    assert refused(run(bare, 1), NO_TABLE)
    bare.put(WEIGHTS, BLOB, beginning(BLOB))
    assert commit(bare)["missing"] == 0
    give(bare, INPUT, 1)
    run(bare, 1)
    assert output(bare, 1) == expected(INPUT)


def test_weights_stay_when_tables_of_other_sizes_come(ready: Board) -> None:
    other = TABLE + bytes(400)
    assert ready.put(TABLE_PUT, other, beginning(other)) == {"off": len(other)}
    assert ready.ask(READ, HELLO)["table"] == 0, "the old one is gone"
    assert refused(commit(ready, other), BAD_TABLE)
    ready.put(TABLE_PUT, TABLE, beginning(TABLE))
    assert commit(ready)["missing"] == 0


def test_a_refused_table_is_told_with_the_number_of_its_check(bare: Board) -> None:
    data = b"nope" + TABLE[4:]
    bare.put(TABLE_PUT, data, beginning(data))
    assert commit(bare, data) == {"err": {"group": 64, "rc": BAD_TABLE}, "why": 3, "op": 0xFFFF}
    data = TABLE[:4] + b"\x02\x00" + TABLE[6:]
    bare.put(TABLE_PUT, data, beginning(data))
    assert refused(commit(bare, data), ABI)
    assert refused(bare.ask(WRITE, COMMIT, {"crc": 1}), CRC), "not the table that is there"


def test_weights_that_are_no_blob_are_refused(bare: Board) -> None:
    data = b"nope" + BLOB[4:]
    assert refused(bare.put(WEIGHTS, data, beginning(data)), BAD_TABLE)


def test_what_has_no_room_is_refused_and_the_rest_stays(ready: Board) -> None:
    pool = ready.ask(READ, HELLO)["pool"]
    for length in (pool - len(TABLE) + 1, pool, pool + 1, 2**32 - 1):
        assert refused(ready.ask(WRITE, WEIGHTS, {"off": 0, "data": b"x", **beginning(BLOB), "len": length}), NO_ROOM)
    assert ready.ask(READ, HELLO)["table"] == zlib.crc32(TABLE)


@pytest.mark.parametrize("fill", [0x00, 0xA5])
def test_touched_is_the_highest_byte_that_was_written(ready: Board, fill: int) -> None:
    commit(ready, fill=fill)
    assert ready.ask(READ, MEM)["touched"] == 0
    data = bytes([7]) * BYTES
    give(ready, data, 1)
    run(ready, 1)
    told = ready.ask(READ, MEM)
    assert (told["arena"], told["touched"]) == (BYTES, BYTES)


def test_a_reset_forgets_all(ready: Board) -> None:
    before = ready.ask(READ, HELLO)
    assert ready.ask(WRITE, 5, {}, group=0) == {}
    after = ready.ask(READ, HELLO)
    assert after["table"] == 0 and after["boot"] != before["boot"]
    assert refused(commit(ready), NO_TABLE)


def test_requests_without_their_fields_are_refused(ready: Board) -> None:
    for op, command in ((WRITE, TABLE_PUT), (WRITE, WEIGHTS), (WRITE, COMMIT), (WRITE, IN), (WRITE, RUN), (READ, OUT), (READ, PROFILE)):
        assert refused(ready.ask(op, command, {}), BAD)
    assert refused(ready.ask(WRITE, TABLE_PUT, {"off": 0, "data": b"", "len": 4, "crc": 0}), BAD)
    assert refused(ready.ask(WRITE, TABLE_PUT, {"off": 0, "data": b"", "len": 4, "crc": 0, "sha": b"short"}), BAD)
    for i in (1, 2**31, 2**32 - 1):
        assert refused(ready.ask(WRITE, IN, {"i": i, "off": 0, "len": 4, "crc": 0, "n": 1, "data": b"1234"}), BAD)
