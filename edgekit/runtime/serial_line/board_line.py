"""The verbs of a board: hello, put, commit, run, get, profile, memory, reset (firmware/SPEC.md, 6)."""

import hashlib
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cbor2
import msgspec

from edgekit.errors import DeviceError
from edgekit.runtime.board_facts import BoardFacts, BoardMemory
from edgekit.runtime.serial_line.serial_port import LostBoard, SerialPort
from edgekit.runtime.serial_line.smp_line import ATTEMPTS, RefusedRequest, SilentBoard, SmpLine

__all__ = ["ABI", "BoardLine", "Committed"]

ABI = 1
"""Of tables, weights and protocol; the firmware of another one is refused."""

PROTOCOL = 1
HELLO, TABLE, WEIGHTS, COMMIT, IN, RUN, OUT, PROFILE, MEM = range(9)
RESET, PARAMETERS = 5, 6
CRC, OFFSET = 4, 9

FRAMING_BYTES = 4 + 8
"""What a message takes of the buffer of a board besides its map: length, CRC-16, header."""

LEAST_CHUNK = 32
CALM = 16
"""Requests without repeat after which a chunk may be twice as long again."""

CHUNK_ATTEMPTS = 2
SILENT_S = 4.0
"""Time without an answer, however short the chunks, after which the board is lost."""

STUCK = 64
"""Answers without progress after which an upload is given up."""

POLL_S = (0.002, 0.05)
MOST_RUN_S = 120.0
DONE = 2
OUTPUT = {"off": int, "data": bytes, "len": int, "crc": int}


class Committed(NamedTuple):
    """What became of a table: bytes of its arena; how many of its chunks no blob there has, and
    the id of one of them."""

    arena_bytes: int
    missing: int
    first: bytes


class BoardLine(SmpLine):
    """The line to a board that has edgekit's firmware."""

    def __init__(self, path: str, tell: Callable[[str], None] = lambda text: None):
        super().__init__(SerialPort(path), tell)
        self._most = LEAST_CHUNK
        self._chunk = 1 << 16
        """How much to send at once, at most ``_most``; less while the line is noisy."""
        self._calm = 0

    def hello(self, attempts: int = ATTEMPTS) -> BoardFacts:
        """Who answers there.

        Raises:
            LostBoard: nobody does.
            DeviceError: it has other firmware.
        """
        told = self.ask(HELLO, {}, write=False, attempts=attempts)
        if (told.get("proto"), told.get("abi")) != (PROTOCOL, ABI):
            raise DeviceError(
                f"{self.port.path}: expected firmware of ABI {ABI} and protocol {PROTOCOL}, got "
                f"ABI {told.get('abi')} and protocol {told.get('proto')} (firmware "
                f"{told.get('fw')}); run: edgekit firmware build, then edgekit firmware flash"
            )
        wants = {"buf_size": int}
        size = self.ask(PARAMETERS, {}, write=False, wants=wants, group=0, attempts=attempts)
        facts = _facts(told, size, self.port.path)
        self._most = facts.buf_bytes - FRAMING_BYTES
        return facts

    def put_table(self, data: bytes) -> None:
        """Have a table there; what came of it before an interruption is not sent again."""
        self._put(TABLE, data, {"sha": hashlib.sha256(data).digest()})

    def put_weights(self, data: bytes) -> None:
        """Have a blob of weights in RAM."""
        self._put(WEIGHTS, data, {"sha": hashlib.sha256(data).digest()})

    def commit(self, table: bytes, fill: int = 0) -> Committed:
        """Let the board check its table and take it, and paint its arena.

        Raises:
            RefusedRequest: it refuses the table; ``told`` has the number of the check.
        """
        asked = {"crc": zlib.crc32(table), "fill": fill}
        told = self.ask(COMMIT, asked, write=True, wants={"arena": int})
        return Committed(told["arena"], int(told.get("missing", 0)), told.get("first", b""))

    def put_input(self, index: int, data: bytes, number: int) -> None:
        """The bytes of an input for run ``number``."""
        self._put(IN, data, {"n": number}, {"i": index})

    def run(self, number: int, start: int, stop: int, *, usual_s: float = 0.0) -> None:
        """Run operators ``[start, stop)`` once, and wait until they have run.

        ``usual_s``: how long it takes as far as is known; the board is not asked before.
        """
        told = {"n": number, "from": start, "to": stop}
        end, pause_s = time.monotonic() + MOST_RUN_S + 10 * usual_s, POLL_S[0]
        state = self.ask(RUN, told, write=True, wants={"state": int})["state"]
        wait_s = usual_s
        while state != DONE:
            if time.monotonic() > end:
                raise LostBoard(f"{self.port.path}: the board has not finished its run; reset it")
            time.sleep(wait_s or pause_s)
            pause_s = min(pause_s if wait_s else 2 * pause_s, POLL_S[1])
            wait_s = 0.0
            state = self.ask(RUN, told, write=True, wants={"state": int})["state"]

    def get_output(self, index: int, number: int) -> bytes:
        """An output of run ``number``, whole: its CRC-32 is right.

        Raises:
            DeviceError: it came damaged again and again.
        """
        for _ in range(3):
            data, length, crc = b"", 1, 0
            while len(data) < length:
                asked = {"i": index, "off": len(data), "n": number}
                told = self._ask_chunk(OUT, asked, OUTPUT, write=False)
                if told["off"] != len(data) or not told["data"]:
                    break
                data, length, crc = data + told["data"], told["len"], told["crc"]
            if len(data) == length and zlib.crc32(data) == crc:
                return data
        raise LostBoard(f"{self.port.path}: output {index} does not come whole; is the line noisy?")

    def profile(self, count: int) -> tuple[int, ...]:
        """Ticks of each of ``count`` operators in the last run."""
        ticks: list[int] = []
        while len(ticks) < count:
            told = self.ask(PROFILE, {"off": len(ticks)}, write=False, wants={"ticks": list})["ticks"]
            if not told:
                break
            ticks += told
        return tuple(ticks)

    def memory(self) -> BoardMemory:
        """What its memory is used for."""
        return msgspec.convert(self.ask(MEM, {}, write=False), BoardMemory)

    def reset(self) -> None:
        """Start the firmware anew; what was put is gone."""
        self.ask(RESET, {}, write=True, group=0)

    def _put(self, command: int, data: bytes, first: Mapping[str, Any], every: Mapping[str, Any] | None = None) -> None:
        begin = {"len": len(data), "crc": zlib.crc32(data), **first}
        at, idle, heard_s = 0, 0, time.monotonic()
        while idle < STUCK:
            told = {**(every or {}), "off": at, "data": b"", **(begin if at == 0 else {})}
            told["data"] = data[at : at + self._room(told)]
            try:
                reached = int(self._ask_chunk(command, told, {"off": int}, write=True)["off"])
            except SilentBoard:
                if time.monotonic() > heard_s + SILENT_S:
                    raise
                self._shorten()
                continue
            except RefusedRequest as error:
                if error.rc not in (CRC, OFFSET):
                    raise
                reached = int(error.told.get("off", 0)) if error.rc == OFFSET else 0
            if reached == len(data):
                return
            idle, heard_s = 0 if reached > at else idle + 1, time.monotonic()
            at = reached if 0 <= reached < len(data) else 0
        raise LostBoard(f"{self.port.path}: an upload does not get on; reset the board")

    def _room(self, told: Mapping[str, Any]) -> int:
        """How many bytes of data go with the rest of a map."""
        beside = len(cbor2.dumps(dict(told))) + 2  # the length of the data takes up to 3 bytes
        return max(min(self._chunk, self._most - beside), LEAST_CHUNK)

    def _ask_chunk(self, command: int, told: Mapping[str, Any], wants: Mapping[str, type], *, write: bool) -> dict[str, Any]:
        """Ask, and learn from the repeats how noisy the line is."""
        before = self.repeats
        answer = self.ask(command, told, write=write, wants=wants, attempts=CHUNK_ATTEMPTS if write else ATTEMPTS)
        self._calm = self._calm + 1 if self.repeats == before else 0
        if self.repeats > before:
            self._shorten()
        elif self._calm % CALM == 0:
            self._chunk = min(2 * self._chunk, 1 << 16)
        return answer

    def _shorten(self) -> None:
        """Send half as much at once: what is shorter is more often whole."""
        self._chunk = max(min(self._chunk, self._most) // 2, LEAST_CHUNK)


def _facts(told: Mapping[str, Any], size: Mapping[str, Any], path: str) -> BoardFacts:
    """What a board tells, in our words."""
    names = {
        "fw": "firmware",
        "pool": "pool_bytes",
        "flash": "flash_bytes",
    }
    found = {names.get(key, key): value for key, value in told.items()}
    found |= {"port": path, "uid": bytes(told.get("uid", b"")).hex(), "buf_bytes": size["buf_size"]}
    try:
        return msgspec.convert(found, BoardFacts)
    except msgspec.ValidationError as error:
        raise DeviceError(f"{path}: the board describes itself in another way ({error})") from error
