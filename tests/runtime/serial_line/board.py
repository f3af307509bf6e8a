"""A board for tests, in a process of its own at a PTY: it speaks as the firmware does, and can be told to misbehave.

    python -m tests.runtime.serial_line.board PATH '{"noise": 1000}'     PATH becomes a link to its port

An output is its input, shortened or repeated, each byte one more. It ends when its standard input is closed.
"""

import json
import os
import random
import struct
import subprocess
import sys
import tty
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import cbor2
from smp.packet import encode

from edgekit.runtime.serial_line.console_frames import ConsoleFrames

__all__ = ["Board", "at", "table"]

HEAD = struct.Struct("!BBHHBB")
POOL = 65536


def table(inputs: tuple[int, ...] = (8,), outputs: tuple[int, ...] = (8,), operators: int = 2, chunks: int = 0) -> bytes:
    """A table with such ends, as far as this board reads one."""
    ends = b"".join(struct.pack("<II", 0, size) for size in (*inputs, *outputs))
    ends += b"".join(struct.pack("<8sII", bytes([n]) * 8, 4, 0xFFFFFFFF) for n in range(chunks))
    head = struct.pack("<4sHHIIHHHHI", b"EKT1", 1, operators, 28 + len(ends), 64, chunks, len(inputs), len(outputs), 0, 0)
    return head + ends


class Refusal(Exception):
    def __init__(self, rc: int, **told: Any):
        self.rc, self.told = rc, told


class Board:
    """What the firmware keeps. ``manner``: what it does otherwise."""

    def __init__(self, manner: dict[str, Any]):
        self.manner = manner
        self.random = random.Random(7)
        self.boots = self.asked = 0
        self.reset()

    def reset(self) -> None:
        self.boots += 1
        self.uploads: dict[Any, dict[str, Any]] = {}
        self.table: bytes | None = None
        self.taken: bytes | None = None
        self.weights = b""
        self.inputs: dict[int, tuple[int, bytes]] = {}
        self.outputs: dict[int, bytes] = {}
        self.number, self.polls = -1, 0

    def answer(self, group: int, command: int, told: dict[str, Any]) -> dict[str, Any] | None:
        """Its map; None: silence."""
        self.asked += 1
        if self.asked == self.manner.get("reset_at"):
            self.reset()
            return None
        if self.manner.get("deaf") or self.asked % self.manner.get("forgets", 1 << 30) == 0:
            return None
        if group == 0:
            return self.standard(command, told)
        if group != 64 or self.manner.get("foreign"):
            return {"err": {"group": 1, "rc": 8}}
        verbs = (self.hello, self.put_table, self.put_weights, self.commit, self.put_input, self.run, self.out, self.profile, self.mem)
        try:
            return verbs[command](told)
        except Refusal as refusal:
            return {"err": {"group": 64, "rc": refusal.rc}, **refusal.told}

    def standard(self, command: int, told: dict[str, Any]) -> dict[str, Any]:
        if command == 5:
            self.reset()
            return {}
        return {"r": told["d"]} if command == 0 else {"buf_size": self.manner.get("buf", 300), "buf_count": 1}

    def hello(self, told: dict[str, Any]) -> dict[str, Any]:
        counted = {"hz": 25_000_000, "time": self.manner.get("time", "insn"), "num": 5, "den": 8}
        names = {"fw": "1.2.3", "board": "bench-board", "cpu": "Cortex-M4", "isa": "dsp"}
        held = {"pool": POOL, "flash": 1 << 20, "blob": 0, "chunks": 0, "table": zlib.crc32(self.taken) if self.taken else 0}
        who = {"proto": 1, "abi": self.manner.get("abi", 1), "uid": bytes.fromhex(self.manner.get("uid", "00112233")), "boot": self.boots}
        return counted | names | held | who

    def upload(self, key: Any, told: dict[str, Any]) -> tuple[int, bytes | None]:
        """Where it goes on, and all of it at its end."""
        if told["off"] == 0:
            begin = (told["len"], told["crc"], told.get("sha"), told.get("n"))
            if self.uploads.get(key, {}).get("begin") != begin:
                self.uploads[key] = {"begin": begin, "data": b""}
        upload = self.uploads.get(key)
        if upload is None or told["off"] > len(upload["data"]):
            raise Refusal(9, off=len(upload["data"]) if upload else 0)
        if told["off"] == len(upload["data"]):
            upload["data"] += told["data"]
        if len(upload["data"]) < upload["begin"][0]:
            return len(upload["data"]), None
        if zlib.crc32(upload["data"]) != upload["begin"][1] or self.manner.pop("forgetful", False):
            del self.uploads[key]
            raise Refusal(4)
        return len(upload["data"]), upload["data"]

    def put_table(self, told: dict[str, Any]) -> dict[str, Any]:
        off, whole = self.upload("table", told)
        self.table = whole if whole is not None else self.table
        return {"off": off}

    def put_weights(self, told: dict[str, Any]) -> dict[str, Any]:
        if told.get("len", 0) > POOL:
            raise Refusal(3)
        off, whole = self.upload("weights", told)
        self.weights = whole if whole is not None else self.weights
        return {"off": off}

    def commit(self, told: dict[str, Any]) -> dict[str, Any]:
        if self.table is None or zlib.crc32(self.table) != told["crc"]:
            raise Refusal(7)
        if self.manner.get("refuses"):
            raise Refusal(6, why=11, op=3)
        missing = 0 if self.weights else int.from_bytes(self.table[16:18], "little")
        if not missing:
            self.taken, self.number = self.table, -1
        return {"arena": 64, "missing": missing, "first": b"\0" * 8}

    def put_input(self, told: dict[str, Any]) -> dict[str, Any]:
        off, whole = self.upload(("in", told["i"]), told)
        if whole is not None:
            self.inputs[told["i"]] = (self.uploads["in", told["i"]]["begin"][3], whole)
        return {"off": off}

    def run(self, told: dict[str, Any]) -> dict[str, Any]:
        if self.taken is None:
            raise Refusal(7)
        if told["n"] != self.number:
            count, more = struct.unpack_from("<HH", self.taken, 18)
            sizes = struct.unpack_from(f"<{2 * (count + more)}I", self.taken, 28)[1::2]
            if any(self.inputs.get(i, (None,))[0] != told["n"] for i in range(count)):
                raise Refusal(8)
            plus = bytes((each + 1) % 256 for i in range(count) for each in self.inputs[i][1])
            self.outputs = {i: (plus * size)[:size] for i, size in enumerate(sizes[count:])}
            self.inputs, self.number, self.polls = {}, told["n"], self.manner.get("polls", 1)
        self.polls -= 1
        return {"n": self.number, "state": 1 if self.polls >= 0 else 2, "op": told["from"]}

    def out(self, told: dict[str, Any]) -> dict[str, Any]:
        if told["n"] != self.number:
            raise Refusal(10)
        data = self.outputs[told["i"]]
        return {"off": told["off"], "data": data[told["off"] : told["off"] + 100], "len": len(data), "crc": zlib.crc32(data)}

    def profile(self, told: dict[str, Any]) -> dict[str, Any]:
        count = int.from_bytes(self.taken[6:8], "little") if self.taken else 0
        return {"off": told["off"], "ticks": [1600 * (i + 1) for i in range(count)][told["off"] : told["off"] + 1]}

    def mem(self, told: dict[str, Any]) -> dict[str, Any]:
        names = ("arena", "touched", "stack", "stack_most", "data", "bss", "text", "pool", "lost", "dropped")
        return {name: 64 + place for place, name in enumerate(names)}

    def said(self, message: bytes) -> bytes:
        """Bytes on the line for a message, with what this board adds to them or damages."""
        op, _, _, group, number, command = HEAD.unpack_from(message)
        body = self.answer(group, command, cbor2.loads(message[8:]))
        if body is None:
            return b""
        data = cbor2.dumps(body, canonical=True)

        def framed(sequence: int) -> bytes:
            return b"".join(encode(HEAD.pack((op + 1) | 8, 0, len(data), group, sequence, command) + data))

        frame = framed(number)
        if self.manner.get("late"):
            frame = framed((number - 1) % 256) + frame
        if self.manner.get("chatty"):
            frame = b"hello from the sensor\r\n" + frame.replace(b"\n", b"\r\n42 degrees\r\n")
        return self.flipped(frame)

    def flipped(self, data: bytes) -> bytes:
        """With about one byte in so many of another value."""
        noise = self.manner.get("noise", 0)
        return bytes(each ^ (1 << self.random.randrange(8)) if noise and self.random.randrange(noise) == 0 else each for each in data)


@contextmanager
def at(path: Path, **manner: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A board at a port of that name, until the context is left or it is killed."""
    command = [sys.executable, "-m", "tests.runtime.serial_line.board", str(path), json.dumps(manner)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)


def main(path: str, text: str) -> None:
    board = Board(json.loads(text))
    near, far = os.openpty()
    tty.setraw(far)
    Path(path).unlink(missing_ok=True)
    Path(path).symlink_to(os.ttyname(far))
    print("ready", flush=True)
    frames = ConsoleFrames()
    while True:
        ready, _, _ = select([near, 0], [], [], 0.05)
        if 0 in ready and not os.read(0, 1):
            return
        if board.manner.get("gibberish"):
            os.write(near, b"T=21.5 RH=40\r\n")
        for kind, data in frames.feed(board.flipped(os.read(near, 4096))) if near in ready else ():
            if kind == "message" and not board.manner.get("gibberish"):
                os.write(near, board.said(data))


if __name__ == "__main__":
    main(*sys.argv[1:])
