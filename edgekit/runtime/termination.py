"""Ending on SIGTERM whatever the main thread waits for."""

import signal
import threading
from collections.abc import Callable

from edgekit.signals import delivered

__all__ = ["on_sigterm"]


def on_sigterm(act: Callable[[], object]) -> None:
    """Have ``act`` called in a thread of its own when SIGTERM comes; to be called in the main thread."""
    numbers = delivered()
    signal.signal(signal.SIGTERM, lambda *_: None)

    def wait() -> None:
        while next(numbers) != signal.SIGTERM:
            pass
        act()

    threading.Thread(target=wait, name="ending", daemon=True).start()
