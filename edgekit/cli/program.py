"""The program behind the command line: its signals, and the modules whose import registers the commands."""

import signal
import threading
import time
from collections.abc import Iterator

from edgekit.cli.app import app
from edgekit.signals import delivered

__all__ = ["main"]

WAKE_S = 0.05
"""Time that the main thread has to act on a signal before it is woken for it."""


def main() -> None:
    """Run the command line. SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_insist, args=(delivered(),), name="signals", daemon=True).start()
    import edgekit.cli.auto
    import edgekit.cli.bench
    import edgekit.cli.board_fits
    import edgekit.cli.chaos
    import edgekit.cli.cluster
    import edgekit.cli.devices
    import edgekit.cli.doctor
    import edgekit.cli.firmware
    import edgekit.cli.init
    import edgekit.cli.network
    import edgekit.cli.partition
    import edgekit.cli.pipeline
    import edgekit.cli.stop
    import edgekit.cli.survey
    import edgekit.cli.tune
    import edgekit.cli.watching  # noqa: F401  # importing them registers their commands

    app()


def _interrupt(number: int, frame: object) -> None:
    """Leave what is going on, once: what is stopped then must not be interrupted itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _insist(numbers: Iterator[int]) -> None:
    """Wake the main thread for its signal: one that another thread took leaves it waiting for a lock."""
    main = threading.main_thread().ident or 0
    for number in numbers:
        time.sleep(WAKE_S)
        while signal.getsignal(number) is _interrupt:
            signal.pthread_kill(main, number)
            time.sleep(WAKE_S)
