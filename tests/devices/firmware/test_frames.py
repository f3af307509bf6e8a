"""Frames of the firmware, in a process of this machine under sanitizers: what is whole comes through, what is not gets no answer."""

import base64
import random

import cbor2
import pytest
from smp import packet

from tests.firmwarebed import Board, HostBoard, framed, message, unframed


def echo(host: HostBoard, text: str) -> str:
    answer: str = Board(host).ask(2, 0, {"d": text}, group=0)["r"]
    return answer


def test_every_length_comes_back(host: HostBoard) -> None:
    for length in (*range(200), *range(930, 1011)):
        assert echo(host, "x" * length) == "x" * length


def test_a_message_that_is_too_long_is_dropped_and_the_next_answered(host: HostBoard) -> None:
    assert len(message(2, 0, 0, {"d": "x" * 1010})) <= 1024 < len(message(2, 0, 0, {"d": "x" * 1014}))
    for length in (1014, 1020, 5000, 60000):
        host.send(framed(message(2, 0, 0, {"d": "x" * length})))
        assert echo(host, "next") == "next"


@pytest.mark.parametrize("length", [8, 12, 64, 124, 128, 1000])
def test_lines_of_any_length_are_read(host: HostBoard, length: int) -> None:
    data = message(2, 0, 0, {"d": "a text of some length, " * 20})
    host.send(b"".join(packet.encode(data, length)))
    answer = unframed(host.line)
    assert answer is not None and cbor2.loads(answer[8:]) == {"r": "a text of some length, " * 20}


def test_lines_to_the_host_have_at_most_127_characters(host: HostBoard) -> None:
    host.send(framed(message(2, 0, 0, {"d": "x" * 900})))
    lines = [host.line()]
    total = int.from_bytes(base64.b64decode(lines[0][2:6])[:2], "big") + 2
    while sum(len(base64.b64decode(line[2:-1])) for line in lines) < total:
        lines.append(host.line())
    assert lines[0][:2] == b"\x06\x09" and {line[:2] for line in lines[1:]} == {b"\x04\x14"}
    assert max(map(len, lines)) == 127 and all(line.endswith(b"\n") for line in lines)


@pytest.mark.parametrize(
    "junk", [b"\n\n", b"boot: hello\r\n", b"\x06", b"\x06\x06", b"\x04\x06", b"\x06\x09AAAA", b"\x04\x14AAAA\n", b"\xff" * 300]
)
def test_what_comes_before_a_frame_is_skipped(host: HostBoard, junk: bytes) -> None:
    host.send(junk)
    assert echo(host, "after junk") == "after junk"


def test_text_between_the_lines_of_a_frame_is_skipped(host: HostBoard) -> None:
    lines = list(packet.encode(message(2, 0, 0, {"d": "x" * 300})))
    assert len(lines) > 2
    host.send(b"a log line\r\n".join(lines))
    answer = unframed(host.line)
    assert answer is not None and cbor2.loads(answer[8:]) == {"r": "x" * 300}


def test_lines_that_end_like_those_of_terminals_are_read(host: HostBoard) -> None:
    host.send(framed(message(2, 0, 0, {"d": "text"})).replace(b"\n", b"\r\n"))
    answer = unframed(host.line)
    assert answer is not None and cbor2.loads(answer[8:]) == {"r": "text"}


def test_every_flipped_bit_is_noticed(host: HostBoard) -> None:
    whole = framed(message(2, 0, 0, {"d": "abcdefgh"}))
    for at in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[at] ^= 1 << bit
            host.send(bytes(broken) + b"\n")
            assert echo(host, "next") in ("next", "abcdefgh")  # a flipped line end is made good by the next one


def test_every_cut_frame_is_dropped(host: HostBoard) -> None:
    whole = framed(message(2, 0, 0, {"d": "x" * 200}))
    for at in range(len(whole) - 1):
        host.send(whole[:at])
        assert echo(host, "next") == "next"


def test_any_chunks_make_the_same_frame(host: HostBoard) -> None:
    draw = random.Random(1)
    whole = framed(message(2, 0, 0, {"d": "x" * 500}))
    for _ in range(20):
        at = 0
        while at < len(whole):
            size = draw.randrange(1, 40)
            host.send(whole[at : at + size])
            at += size
        answer = unframed(host.line)
        assert answer is not None and cbor2.loads(answer[8:]) == {"r": "x" * 500}


def nested(depth: int) -> bytes:
    return b"\xa1\x61x" + b"\x81" * depth + b"\x00"


@pytest.mark.parametrize(
    "body", [b"", b"\xa0", b"\xbf\xff", nested(1), nested(900), b"\xa1\x61d\x78\xff", b"\xff", b"\xa1\x01\x02", b"\x9f"]
)
def test_a_body_that_is_no_map_of_numbers_and_texts_is_an_error(host: HostBoard, body: bytes) -> None:
    head = bytes([8 | 2, 0, *len(body).to_bytes(2, "big"), 0, 0, 9, 0])
    host.send(framed(head + body))
    answer = unframed(host.line)
    assert answer is not None and answer[6] == 9 and cbor2.loads(answer[8:]) == {"rc": 3}


@pytest.mark.parametrize(
    "head", [b"\x0a\x00\x00\x05\x00\x00\x01\x00", b"\x09\x00\x00\x00\x00\x00\x01\x00", b"\x0a", b"\x0b\x00\x00\x00\x00\x00\x01\x00"]
)
def test_what_is_no_request_gets_no_answer(host: HostBoard, head: bytes) -> None:
    host.send(framed(head))
    assert echo(host, "next") == "next"


def test_keys_are_found_in_any_order_beside_unknown_ones(host: HostBoard) -> None:
    told = {"zz": True, "data": b"", "off": 3, "more": "text", "none": None, "minus": -5}
    for keys in (list(told), list(reversed(told))):
        assert Board(host).ask(2, 1, {key: told[key] for key in keys}) == {"err": {"group": 64, "rc": 9}, "off": 0}


def test_what_is_not_offered_is_an_error(host: HostBoard) -> None:
    board = Board(host)
    for op, command, group in ((0, 9, 64), (2, 0, 64), (0, 1, 64), (0, 0, 1), (0, 0, 0), (2, 6, 0), (0, 255, 64)):
        assert board.ask(op, command, {}, group) == {"rc": 8}
