"""The commands, and how each of them ends: an exit code and one clear message."""

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from typer.core import TyperGroup

from edgekit import __version__
from edgekit.errors import EdgekitError
from edgekit.telemetry import decline

__all__ = ["app", "command", "group"]

INTERRUPTED = 130
STOPPED = "what this command started has been stopped"

P = ParamSpec("P")

ROAD = {
    "Prepare": ("export", "inspect", "quantize"),
    "Machines": ("init", "devices", "firmware", "doctor", "survey"),
    "Measure": ("bench", "profile", "tune"),
    "Choose": ("partition", "explain", "report"),
    "Run": ("deploy", "run", "verify", "status", "logs", "rollback", "stop"),
    "Whole ways": ("demo", "auto"),
    "For developers of edgekit": ("dev",),
}
"""Commands in the order in which they are usually needed, by the panel of ``edgekit --help``."""

PANELS = {name: panel for panel, names in ROAD.items() for name in names}


class _Road(TyperGroup):
    """Lists the commands in the order of ``ROAD``."""

    def list_commands(self, ctx: Any) -> list[str]:
        order = list(PANELS)
        return sorted(super().list_commands(ctx), key=lambda name: order.index(name) if name in order else len(order))


app = typer.Typer(
    name="edgekit",
    cls=_Road,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Split a neural network over edge devices: measure it, choose a plan, run the plan, check its predictions.",
    epilog="Exit codes: 0 done, 1 a promise was missed, 2 wrong use, 3 a device failed, 130 interrupted.",
)

VERBOSE = {"on": False}


def _version(asked: bool) -> None:
    if asked:
        print(f"edgekit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="On an error, also show the traceback of Python.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    decline()
    VERBOSE["on"] = verbose


def group(name: str, summary: str) -> typer.Typer:
    """Register a command that has commands of its own."""
    made = typer.Typer(no_args_is_help=True, help=summary)
    app.add_typer(made, name=name, rich_help_panel=PANELS.get(name))
    return made


def command(name: str, under: typer.Typer = app, stopped: str = STOPPED) -> Callable[[Callable[P, Any]], Callable[P, None]]:
    """Register a command whose errors become a message and an exit code.

    ``stopped``: what is true after Ctrl-C.
    """

    def wrap(function: Callable[P, Any]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except EdgekitError as error:
                _fail(f"error: {error}", error.exit_code, error)
            except KeyboardInterrupt as error:
                _fail(f"interrupted; {stopped}", INTERRUPTED, error)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

        under.command(name, rich_help_panel=PANELS.get(name) if under is app else None)(run)
        return run

    return wrap


def _fail(message: str, code: int, error: BaseException) -> None:
    if VERBOSE["on"]:
        import traceback

        traceback.print_exception(error)
    print(message, file=sys.stderr)
    raise typer.Exit(code)
