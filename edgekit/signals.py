"""Signals, whichever thread they are delivered to.

A signal may be delivered to any thread of a process, and Python runs its handler in the main thread only, which it does
not wake from a lock: one that waits for work would sleep on. What the C handler writes to a pipe is read at once.
"""

import os
import signal
from collections.abc import Iterator

__all__ = ["delivered"]


def delivered() -> Iterator[int]:
    """The number of each signal that has a handler, as it comes; to be called in the main thread, and read in another."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def numbers() -> Iterator[int]:
        while True:
            yield os.read(reader, 1)[0]

    return numbers()
