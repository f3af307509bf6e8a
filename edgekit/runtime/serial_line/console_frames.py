"""Frames out of the bytes of a console: what is between them is text, what is damaged is told.

06 09 base64 … \\n     first line of a frame
04 14 base64 … \\n     each further line of it
anything else \\n      text
"""

from binascii import Error
from collections.abc import Generator, Iterator
from struct import error as StructError
from typing import Literal, NamedTuple

from smp.exceptions import SMPException
from smp.packet import CONTINUE_DELIMITER, END_DELIMITER, START_DELIMITER, decode, encode

__all__ = ["Arrival", "ConsoleFrames", "encode"]

LONGEST_LINE = 1024
"""Bytes without an end of line after which they count as a line of text."""


class Arrival(NamedTuple):
    """What came: the message of a frame, a line of text, or word of a frame that is damaged."""

    kind: Literal["message", "text", "damaged"]
    data: bytes


class ConsoleFrames:
    """Takes bytes in any pieces. A start marker anywhere in a line begins a new frame."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._decoder: Generator[None, bytes, bytes] | None = None

    def feed(self, data: bytes) -> list[Arrival]:
        """What these bytes complete."""
        self._line += data
        found: list[Arrival] = []
        while (end := self._line.find(END_DELIMITER)) >= 0 or len(self._line) > LONGEST_LINE:
            stop = end + 1 if end >= 0 else len(self._line)
            line = bytes(self._line[:stop]).rstrip(b"\r\n")
            del self._line[:stop]
            found += self._take(line)
        return found

    def _take(self, line: bytes) -> Iterator[Arrival]:
        start, further = line.rfind(START_DELIMITER), line.find(CONTINUE_DELIMITER)
        if start >= 0:
            if self._decoder is not None:
                yield Arrival("damaged", b"its end is missing")
            self._decoder = decode()
            next(self._decoder)
        at = start if start >= 0 else further if self._decoder is not None else -1
        if text := line[:at] if at >= 0 else line:
            yield Arrival("text", text)
        if at >= 0 and self._decoder is not None:
            yield from self._send(self._decoder, line[at:])

    def _send(self, decoder: Generator[None, bytes, bytes], line: bytes) -> Iterator[Arrival]:
        try:
            decoder.send(line + END_DELIMITER)
            return  # further lines follow
        except StopIteration as done:
            yield Arrival("message", done.value)
        except (SMPException, Error, StructError) as error:
            yield Arrival("damaged", str(error).encode())
        self._decoder = None
