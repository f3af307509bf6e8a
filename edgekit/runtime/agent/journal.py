"""The log of a device: a file of events, one a line, that is begun anew when it has grown enough.

agent, its threads ─ sys.stderr ─▶ ┐
stage process ─ standard error ──▶ ┴─ lines ─▶ agent.log ──grown──▶ agent.log.1

What is no event, such as the last words of a library, becomes one. Lines that could not be written are counted.
"""

from __future__ import annotations

import contextlib
import io
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edgekit.runtime.log import event_now, event_of, line_of

if TYPE_CHECKING:
    from edgekit.runtime.verbs import StageSpec

__all__ = ["LOG", "Journal", "read_on"]

LOG = "agent.log"

MOST_FILE_BYTES = 4_000_000
"""Size at which a log is put aside; the one that was put aside before is gone then."""

MOST_LINE_BYTES = 8192
MOST_TOLD_BYTES = 1_000_000
"""What is told of a log at once."""

LATE_BYTES = 40_000
"""What is told of it where nobody says from where on."""


class Journal(io.TextIOBase):
    """Adds lines to the log of a folder; also a stream that can take the place of standard error."""

    def __init__(self, folder: Path):
        self._path = folder / LOG
        self._lock = threading.Lock()
        self._rest = threading.local()
        self._lost = 0

    def write(self, text: str, /) -> int:
        """What a thread writes becomes a line when it has come to its end."""
        *lines, self._rest.text = (getattr(self._rest, "text", "") + text).split("\n")
        for line in lines:
            self.add(line)
        return len(text)

    def add(self, line: str, of: StageSpec | None = None) -> None:
        """One line; of a stage, where it is not an event that says so itself."""
        if not line.strip():
            return
        event = event_of(line) or event_now(line, level="warning", of=of)
        with self._lock:
            words = line_of(event)
            if self._lost:
                words = "\n" + line_of(event_now(f"{self._lost} lines of this log could not be written", level="error")) + words
            try:
                self._append(words.encode(errors="replace"))
                self._lost = 0
            except OSError:  # a full disk, or a folder that has gone
                self._lost += 1

    def follow(self, stream: IO[bytes], of: StageSpec | None = None) -> None:
        """Add all that comes of a stream until it ends, on a thread of its own."""
        threading.Thread(target=self._follow, args=(stream, of), name="log of a stage", daemon=True).start()

    def _follow(self, stream: IO[bytes], of: StageSpec | None) -> None:
        with stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(MOST_LINE_BYTES):
                self.add(line.decode(errors="replace").rstrip("\r\n"), of)

    def _append(self, data: bytes) -> None:
        with self._path.open("ab", buffering=0) as file:
            whole = file.write(data) == len(data)
            grown = file.tell() >= MOST_FILE_BYTES
        if not whole:
            raise OSError(f"no room for all of {len(data)} bytes")
        if grown:
            self._path.replace(_aside(self._path))


def read_on(folder: Path, after: int | None) -> tuple[str, int]:
    """What was logged after a mark, or of late; and the next mark. It goes on in the log that has taken the place of another one."""
    path = folder / LOG
    with contextlib.suppress(OSError):
        size = path.stat().st_size if path.exists() else 0
        if after is not None and after > size:  # what was not told of the one before comes first
            return _read(_aside(path), after)[0] if _aside(path).exists() else "", 0
        if after is None and size > LATE_BYTES:
            text, mark = _read(path, size - LATE_BYTES)
            return text.partition("\n")[2], mark
        return _read(path, after or 0)
    return "", 0


def _read(path: Path, begin: int) -> tuple[str, int]:
    with path.open("rb") as file:
        file.seek(begin)
        data = file.read(MOST_TOLD_BYTES)
        return data.decode(errors="replace"), begin + len(data)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
