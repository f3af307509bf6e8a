"""Corrupted, truncated, duplicated and late frames: no crash, and nothing that is damaged becomes a table, weights, an input or a result.

request ──▶ flip · cut · double · hold back · other numbers ──▶ firmware (sanitizers) ──▶ answers, looked at one by one
"""

import random
import zlib
from typing import Any

import cbor2
import pytest

from tests.firmwarebed import Board, HostBoard, framed, message, unframed
from tests.small_table import BLOB, BYTES, OPERATORS, TABLE, beginning, expected

HELLO, TABLE_PUT, WEIGHTS, COMMIT, IN, RUN, OUT, PROFILE, MEM = range(9)
READ, WRITE = 0, 2
INPUTS = [random.Random(seed).randbytes(BYTES) for seed in range(4)]
RESULTS = {bytes((byte + ran) % 256 for byte in data) for data in INPUTS for ran in range(OPERATORS + 1)}
SUMS = {zlib.crc32(data): data for data in RESULTS}
ODD = [0, 1, 2, 3, 255, 256, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
BATCH = 20


def piece(draw: random.Random, data: bytes, first: dict[str, Any]) -> dict[str, Any]:
    off = draw.choice([0, 0, *range(0, len(data), 500)])
    return {"off": off, "data": data[off : off + 500], **(first if off == 0 else {})}


def request(draw: random.Random) -> bytes:
    """What a client might say, in any order."""
    number, data = draw.randrange(4), draw.choice(INPUTS)
    op, command, told = draw.choice(
        [
            (READ, HELLO, {}),
            (WRITE, TABLE_PUT, piece(draw, TABLE, beginning(TABLE))),
            (WRITE, WEIGHTS, piece(draw, BLOB, beginning(BLOB))),
            (WRITE, COMMIT, {"crc": zlib.crc32(TABLE), "fill": draw.randrange(256)}),
            (WRITE, IN, {"i": 0, **piece(draw, data, {"len": BYTES, "crc": zlib.crc32(data), "n": number})}),
            (WRITE, RUN, {"n": number, "from": 0, "to": OPERATORS}),
            (READ, OUT, {"i": 0, "off": draw.choice([0, 960]), "n": number}),
            (READ, PROFILE, {"off": draw.randrange(4)}),
            (READ, MEM, {}),
        ]
    )
    if told and draw.random() < 0.2:
        key = draw.choice(list(told))
        told = told | {key: draw.choice([*ODD, b"bytes", "text", None, [1], {"a": [[[]]]}, -1, 1.5])}
    group = 0 if draw.random() < 0.1 and command != RUN else 64  # where 5 is a reset, which would take the echo along
    return message(op, group, command, told, draw.randrange(256))


def spoiled(draw: random.Random, data: bytes) -> bytes:
    """What the line makes of a frame."""
    kind, broken = draw.randrange(8), bytearray(data)
    if kind < 3:
        for _ in range(draw.choice([1, 1, 2, 10])):
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
    elif kind == 3:
        del broken[draw.randrange(len(broken)) :]
    elif kind == 4:
        at = draw.randrange(len(broken))
        del broken[at : at + draw.choice([1, 4, 130])]
    elif kind == 5:
        at = draw.randrange(len(broken))
        broken[at:at] = draw.choice([b"\x06\x09", b"\x04\x14", b"\n", b"log text\r\n", draw.randbytes(9), data[:at]])
    elif kind == 6:
        broken *= 2
    return bytes(broken)


def check(answer: bytes) -> None:
    """Whether an answer may be."""
    told = cbor2.loads(answer[8:])
    if answer[5] != 64 or "err" in told or "rc" in told:
        return
    if answer[7] == HELLO:
        assert told["table"] in (0, zlib.crc32(TABLE))
    if answer[7] == OUT:
        assert told["crc"] in SUMS and told["len"] == BYTES, "a result of an input that nobody sent"
        assert SUMS[told["crc"]][told["off"] :][: len(told["data"])] == told["data"]


def batch(host: HostBoard, draw: random.Random, late: list[bytes]) -> int:
    """Noise, then an echo that has to come back: how many frames."""
    sent = []
    for _ in range(BATCH):
        data = framed(request(draw))
        sent.append(spoiled(draw, data) if draw.random() < 0.6 else data)
        if draw.random() < 0.1:
            late.append(data)
        if late and draw.random() < 0.1:
            sent.append(late.pop(draw.randrange(len(late))))
    token = f"{draw.getrandbits(64):x}"
    host.send(b"".join(sent) + framed(message(WRITE, 0, 0, {"d": token})))
    while (answer := unframed(host.line)) is not None:
        if cbor2.loads(answer[8:]).get("r") == token:
            return len(sent) + 1
        check(answer)
    raise AssertionError("the firmware has ended")


def put(board: Board, command: int, data: bytes, first: dict[str, Any], every: dict[str, Any]) -> None:
    """Upload as a client does that goes on from where the board is."""
    at = 0
    for _ in range(30):
        told = board.ask(WRITE, command, {**every, "off": at, "data": data[at : at + 500], **(first if at == 0 else {})})
        at = told.get("off", 0)
        if at == len(data):
            return
    raise AssertionError("the upload does not get on")


def session(host: HostBoard, draw: random.Random) -> None:
    """Whatever came before: a clean client gets its result."""
    board, data, number = Board(host), draw.choice(INPUTS), draw.randrange(100, 2**32)
    put(board, WEIGHTS, BLOB, beginning(BLOB), {})
    put(board, TABLE_PUT, TABLE, beginning(TABLE), {})
    assert board.ask(WRITE, COMMIT, {"crc": zlib.crc32(TABLE), "fill": 0})["missing"] == 0
    put(board, IN, data, {"len": BYTES, "crc": zlib.crc32(data), "n": number}, {"i": 0})
    while board.ask(WRITE, RUN, {"n": number, "from": 0, "to": OPERATORS})["state"] != 2:
        pass
    parts = [board.ask(READ, OUT, {"i": 0, "off": off, "n": number})["data"] for off in (0, 960)]
    assert b"".join(parts) == expected(data)


def noise(host: HostBoard, frames: int, seed: int) -> None:
    draw, late, sent, turn = random.Random(seed), [], 0, 0
    while sent < frames:
        sent += batch(host, draw, late)
        turn += 1
        if turn % 20 == 0:
            session(host, draw)


def test_no_damaged_frame_has_an_effect(host: HostBoard) -> None:
    noise(host, 20_000, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2, 12))
def test_no_damaged_frame_of_a_million_has_an_effect(host: HostBoard, seed: int) -> None:
    noise(host, 100_000, seed)
