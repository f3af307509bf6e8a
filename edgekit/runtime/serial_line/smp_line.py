"""Requests over a serial line: one at a time, repeated after silence, until the answer to it has come.

    request n ──▶ ………… silence ………… request n ──▶ ◀── answer n
                        ◀── answer m: skipped       ◀── text: skipped, and told

A request is repeated under its own sequence number, so that a late answer to the first is an answer.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Any, Literal, NamedTuple, TypeVar

import cbor2
from smp.header import OP, Flag, Header, Version

from edgekit.errors import DeviceError
from edgekit.runtime.serial_line.console_frames import ConsoleFrames, encode
from edgekit.runtime.serial_line.serial_port import LostBoard, SerialPort

__all__ = ["ATTEMPTS", "GROUP", "NO_ROOM", "RefusedRequest", "SilentBoard", "SmpLine"]

GROUP = 64
"""The SMP group of edgekit's own commands; group 0 holds the standard commands of MCUmgr."""

SILENCE_S = (0.25, 2.0)
"""First and longest time that an answer may take, besides the time that its bytes take."""

SLOWEST_BYTES_PER_S = 6000
ATTEMPTS = 8
MOST_DAMAGED = 64
"""How often a request is sent whose answers come damaged."""

BUSY_S = (0.01, 0.2)
MOST_BUSY_S = 60.0
MOST_TEXT = 60

REASONS = {
    1: "the request is wrong",
    2: "the board is busy with a run",
    3: "it does not fit into the memory of the board",
    4: "the bytes that came are not those that were sent",
    5: "the firmware is of another edgekit",
    6: "the board refuses the table",
    7: "no table was taken",
    8: "an input is missing",
    9: "the bytes do not follow those before",
    10: "the outputs are of another run",
}
BUSY, NO_ROOM = 2, 3
EMPTY: Mapping[str, type] = MappingProxyType({})


class SilentBoard(LostBoard):
    """The port is there, and no answer comes."""


class RefusedRequest(DeviceError):
    """The board answers that it does not do it; ``rc`` is its reason, ``told`` what else it says."""

    def __init__(self, message: str, rc: int, told: Mapping[str, Any]):
        super().__init__(message)
        self.rc = rc
        self.told = told


Own = TypeVar("Own", bound="SmpLine")


class _Request(NamedTuple):
    """What is asked, and what an answer to it has at least."""

    op: OP
    group: int
    command: int
    told: Mapping[str, Any]
    wants: Mapping[str, type]

    def framed(self, number: int) -> bytes:
        """Its bytes on the line."""
        body = cbor2.dumps(dict(self.told), canonical=True)
        head = Header(self.op, Version.V2, Flag(0), len(body), self.group, number, self.command)
        return b"".join(encode(bytes(head) + body))

    def answer(self, message: bytes, number: int) -> dict[str, Any] | None:
        """The map of a message that answers; None where it answers something else, or nothing."""
        with suppress(ValueError, cbor2.CBORDecodeError, AssertionError):
            got = Header.loads(message[: Header.SIZE])
            if (got.op, got.group_id, got.command_id) != (self.op + 1, self.group, self.command):
                return None
            body = cbor2.loads(message[Header.SIZE :])
            if got.sequence != number or not isinstance(body, dict):
                return None
            whole = all(isinstance(body.get(key), kind) for key, kind in self.wants.items())
            return body if whole or "err" in body or "rc" in body else None
        return None


class SmpLine:
    """The line to one board; any thread may ask, one at a time."""

    def __init__(self, port: SerialPort, tell: Callable[[str], None] = lambda text: None):
        self.port = port
        self.asked = self.repeats = 0
        """Requests, and how often one was sent again."""
        self._tell = tell
        self._frames = ConsoleFrames()
        self._heard = b""
        """The latest text, by which another program can be told."""
        self._lock = threading.Lock()

    def ask(
        self,
        command: int,
        told: Mapping[str, Any],
        *,
        write: bool,
        wants: Mapping[str, type] = EMPTY,
        group: int = GROUP,
        attempts: int = ATTEMPTS,
    ) -> dict[str, Any]:
        """The answer of the board, which has at least what is wanted.

        Raises:
            LostBoard: it does not answer (SilentBoard), or the port is gone.
            RefusedRequest: it answers that it does not do it.
        """
        end, pause_s = time.monotonic() + MOST_BUSY_S, BUSY_S[0]
        while True:
            with self._lock:
                request = _Request(OP.WRITE if write else OP.READ, group, command, told, wants)
                answer = self._ask(request, attempts)
            try:
                return _unrefused(answer, self.port.path)
            except RefusedRequest as error:
                if error.rc != BUSY or time.monotonic() > end:
                    raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, BUSY_S[1])

    def close(self) -> None:
        self.port.close()

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: _Request, attempts: int) -> dict[str, Any]:
        number, self.asked = self.asked % 256, self.asked + 1
        data, silent, silence_s = request.framed(number), 0, SILENCE_S[0]
        for attempt in range(MOST_DAMAGED):
            self.repeats += attempt > 0
            self.port.write(b"\n" + data)  # ends a line that was left half sent
            answer = self._await(request, number, silence_s + len(data) / SLOWEST_BYTES_PER_S)
            if isinstance(answer, dict):
                return answer
            if answer == "silence":
                silent, silence_s = silent + 1, min(2 * silence_s, SILENCE_S[1])
            if silent == attempts:
                break
        raise SilentBoard(self._silence())

    def _await(self, request: _Request, number: int, within_s: float) -> dict[str, Any] | Literal["silence", "damaged"]:
        """The answer; or why there is none: it came damaged, which is told at once."""
        end = time.monotonic() + within_s
        while (left_s := end - time.monotonic()) > 0:
            damaged = False
            for kind, data in self._frames.feed(self.port.read(left_s)):
                if kind == "message":
                    if (answer := request.answer(data, number)) is not None:
                        return answer
                elif kind == "damaged":
                    damaged = True
                else:
                    self._heard = data
                    self._tell(f"{self.port.path}: {_printable(data)!r}")
            if damaged:
                return "damaged"
        return "silence"

    def _silence(self) -> str:
        path = self.port.path
        if not self._heard:
            return (
                f"{path}: no board answers; is it powered, is it the right port, and does it run "
                "edgekit's firmware (edgekit firmware build, edgekit firmware flash)?"
            )
        return (
            f"{path}: expected an answer of edgekit's firmware, got {_printable(self._heard)!r}; another program runs "
            "on the board, or the port is another device's: choose the port, or flash the board"
        )


def _printable(data: bytes) -> str:
    """The begin of a text, with a dot for each byte that no terminal shows."""
    return re.sub(rb"[^ -~]", b".", data[:MOST_TEXT]).decode()


def _unrefused(answer: dict[str, Any], path: str) -> dict[str, Any]:
    error = answer.get("err")
    if isinstance(error, dict):
        group, rc = int(error.get("group", 0)), int(error.get("rc", 0))
    elif "rc" in answer:
        group, rc = 0, int(answer["rc"])  # of SMP version 1
    else:
        return answer
    if rc == 0:
        return answer
    if group != GROUP:
        raise RefusedRequest(
            f"{path}: a board answers, but not with edgekit's firmware (MCUmgr group {group}, "
            f"error {rc}); flash it: edgekit firmware flash",
            -rc,
            answer,
        )
    told = {**answer, **(error if isinstance(error, dict) else {})}
    more = ", ".join(f"{key} {told[key]}" for key in ("why", "op", "off") if key in told)
    reason = REASONS.get(rc, f"error {rc}")
    raise RefusedRequest(f"{path}: {reason}{f' ({more})' if more else ''}", rc, told)
