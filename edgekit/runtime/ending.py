"""Ending on SIGTERM whatever the main thread waits for.

A signal may be delivered to any thread of a process, and Python runs its handler in the main thread only, which it does
not wake from a lock: one that waits for work would sleep on. What the C handler writes to a pipe is read at once.
"""

import os
import signal
import threading
from collections.abc import Callable

__all__ = ["on_sigterm"]


def on_sigterm(act: Callable[[], object]) -> None:
    """Have ``act`` called in a thread of its own when SIGTERM comes; to be called in the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        while os.read(reader, 1)[0] != signal.SIGTERM:
            pass
        act()

    threading.Thread(target=wait, name="ending", daemon=True).start()
