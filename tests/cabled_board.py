"""A board in QEMU behind a cable of its own: its port stays when the board is reset, and the cable can be cut.

stage process ── port (pseudo-terminal) ── this process ── pseudo-terminal of QEMU ── board
"""

import os
import select
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from devices.mcu.boards import Board
from devices.mcu.emulator import emulated

__all__ = ["CabledBoard", "cabled"]

LOOK_S = 0.05
PIECE_BYTES = 4096


class CabledBoard:
    """A running board. It ends with the thread that made it or reset it last."""

    def __init__(self, board: Board, elf: Path):
        self._board, self._elf = board, elf
        self._near, self._held = os.openpty()
        """The port is held open, so that it outlives whoever opens it."""
        tty.setraw(self._held)
        os.set_blocking(self._near, False)
        self.port = os.ttyname(self._held)
        self._cut_until_s = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._running = ExitStack()
        self._start()
        self._thread = threading.Thread(target=self._carry, name="cable", daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """End the board in the middle of whatever it does, and start it anew: all that was put is gone."""
        with self._lock:
            self._stop()
            self._start()

    def cut(self, seconds: float) -> None:
        """Lose every byte in both directions for so long."""
        self._cut_until_s = time.monotonic() + seconds

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._stop()
        os.close(self._near)
        os.close(self._held)

    def _start(self) -> None:
        self._running = ExitStack()
        port = self._running.enter_context(emulated(self._board, self._elf)).port
        self._far = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._far)

    def _stop(self) -> None:
        os.close(self._far)
        self._running.close()

    def _carry(self) -> None:
        while not self._over.is_set():
            with suppress(OSError, ValueError):  # the board has ended
                ready, _, _ = select.select([self._near, self._far], [], [], LOOK_S)
                for source in ready:
                    self._pass(source)

    def _pass(self, source: int) -> None:
        """Carry what has come; what a full line does not take is lost, as on a line."""
        with self._lock:
            if source in (self._near, self._far):
                data = os.read(source, PIECE_BYTES)
                if time.monotonic() >= self._cut_until_s:
                    os.write(self._far if source == self._near else self._near, data)


@contextmanager
def cabled(board: Board, elf: Path) -> Iterator[CabledBoard]:
    """A board that runs until the context is left."""
    made = CabledBoard(board, elf)
    try:
        yield made
    finally:
        made.close()
