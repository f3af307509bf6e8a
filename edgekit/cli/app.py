"""The commands, and how each of them ends: an exit code and one clear message."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ParamSpec

import typer

from edgekit import __version__
from edgekit.errors import EdgekitError
from edgekit.signals import delivered

__all__ = ["VERBOSE", "app", "command", "main"]

INTERRUPTED = 130

WAKE_S = 0.05
"""Time that the main thread has to act on a signal before it is woken for it."""

P = ParamSpec("P")

app = typer.Typer(
    name="edgekit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Split networks over edge devices: profile, find the Pareto front, deploy the chosen plan, certify it.",
    epilog="Exit codes: 0 done, 1 a promise was missed, 2 wrong use, 3 a device failed, 130 interrupted.",
)

VERBOSE = {"on": False}


def _version(asked: bool) -> None:
    if asked:
        print(f"edgekit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="On an error, show where it came from.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    VERBOSE["on"] = verbose


def command(name: str, group: typer.Typer = app) -> Callable[[Callable[P, Any]], Callable[P, None]]:
    """Register a command whose errors become a message and an exit code."""

    def wrap(function: Callable[P, Any]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except EdgekitError as error:
                _fail(f"error: {error}", error.exit_code, error)
            except KeyboardInterrupt as error:
                _fail("interrupted; everything that was started has been stopped", INTERRUPTED, error)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        group.command(name)(run)
        return run

    return wrap


def _fail(message: str, code: int, error: BaseException) -> None:
    if VERBOSE["on"]:
        import traceback

        traceback.print_exception(error)
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line. SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_insist, args=(delivered(),), name="signals", daemon=True).start()
    import edgekit.cli.chaos
    import edgekit.cli.cluster
    import edgekit.cli.devices
    import edgekit.cli.doctor
    import edgekit.cli.init
    import edgekit.cli.network
    import edgekit.cli.partition
    import edgekit.cli.pipeline
    import edgekit.cli.survey
    import edgekit.cli.tuning
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
