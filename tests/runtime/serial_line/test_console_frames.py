"""Frames are found among text, damage and each other, whatever pieces they come in."""

import random

import pytest
from smp.packet import encode

from edgekit.runtime.serial_line.console_frames import ConsoleFrames


def arrivals(data: bytes, piece: int = 7) -> list[tuple[str, bytes]]:
    frames = ConsoleFrames()
    return [tuple(each) for at in range(0, len(data), piece) for each in frames.feed(data[at : at + piece])]


def framed(message: bytes) -> bytes:
    return b"".join(encode(message))


@pytest.mark.parametrize("size", [1, 2, 3, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 180, 181, 182, 183, 184, 2000])
def test_a_message_of_any_length_comes_back(size: int) -> None:
    message = random.Random(size).randbytes(size)
    for piece in (1, 64, 4096):
        assert arrivals(framed(message), piece) == [("message", message)]


def test_text_before_between_and_inside_frames_is_told_apart() -> None:
    lines = list(encode(bytes(200)))
    data = b"boot\r\n" + lines[0] + b"log: 1\n" + b"".join(lines[1:]) + b"done\n"
    assert arrivals(data) == [("text", b"boot"), ("text", b"log: 1"), ("message", bytes(200)), ("text", b"done")]


def test_text_before_a_start_marker_in_a_line_is_cut_off() -> None:
    assert arrivals(b"junk" + framed(b"message")) == [("text", b"junk"), ("message", b"message")]


def test_a_frame_that_is_cut_off_gives_way_to_the_next() -> None:
    half = next(iter(encode(bytes(200))))
    assert arrivals(half + framed(b"next")) == [("damaged", b"its end is missing"), ("message", b"next")]


def test_a_damaged_frame_is_told_and_the_next_one_comes() -> None:
    damaged = framed(b"message").replace(b"b", b"c", 1)
    assert [kind for kind, _ in arrivals(damaged + framed(b"next"))] == ["damaged", "message"]


def test_a_further_line_without_a_first_is_text() -> None:
    assert [kind for kind, _ in arrivals(b"\x04\x14AAAA\n")] == ["text"]


def test_a_line_without_an_end_does_not_grow_for_ever() -> None:
    assert [kind for kind, _ in arrivals(b"x" * 5000)][:2] == ["text", "text"]


def test_random_bytes_never_raise() -> None:
    source = random.Random(3)
    for _ in range(300):
        data = bytearray(framed(source.randbytes(source.randrange(1, 300))) * 3)
        for _ in range(source.randrange(1, 9)):
            data[source.randrange(len(data))] = source.randrange(256)
        arrivals(bytes(data), source.randrange(1, 50))
