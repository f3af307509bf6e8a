"""Shows the progress of a long step: a bar on a terminal, a line in a notebook, plain lines."""

import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from edgekit.pace import Lines, Pace, about
from edgekit.progress import Listener, Tell, of_text, prefixed, silent

__all__ = ["bar", "lines", "on_terminal", "showing", "showing_start", "shown"]

P = ParamSpec("P")
R = TypeVar("R")
Opens = Callable[P, AbstractContextManager[R]]

WIDTH = 16
"""Characters of a bar."""

REFRESH_S = 0.5
"""Time between two states of the line in a notebook."""


@contextmanager
def shown(title: str, tell: Listener | None = None) -> Iterator[Tell]:
    """Whom a step tells: the function that was given, or what suits the place where it runs.

    Without a function a terminal gets a bar and a notebook a line; a script, a test or a pipe
    gets nothing.
    """
    if tell is not None:
        yield of_text(tell)
    elif on_terminal():
        with bar(title) as told:
            yield prefixed(told, title)
    elif _in_notebook():
        with _cell(title) as told:
            yield prefixed(told, title)
    else:
        yield silent


def showing(title: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function with a ``tell``: where it is given none, it shows its progress (see ``shown``)."""

    def decorated(step: Callable[P, R]) -> Callable[P, R]:
        @wraps(step)
        def shows(*args: P.args, **kwargs: P.kwargs) -> R:
            with _bound(title, step, *args, **kwargs) as begin:
                return begin()

        return shows

    return decorated


def showing_start(title: str) -> Callable[[Opens[P, R]], Opens[P, R]]:
    """The same for a context, which shows its progress until it has been entered."""

    def decorated(opens: Opens[P, R]) -> Opens[P, R]:
        @wraps(opens)
        @contextmanager
        def shows(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
            with ExitStack() as stack:
                with _bound(title, opens, *args, **kwargs) as begin:
                    opened = stack.enter_context(begin())
                yield opened

        return shows

    return decorated


@contextmanager
def _bound(title: str, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Iterator[Callable[[], R]]:
    """A call of a function that will tell what suits."""
    given = inspect.signature(step).bind(*args, **kwargs)
    with shown(title, given.arguments.get("tell")) as tell:
        given.arguments["tell"] = tell
        yield lambda: step(*given.args, **given.kwargs)


def on_terminal() -> bool:
    """Whether standard error is a terminal on which a line can be changed."""
    if not sys.stderr.isatty():
        return False
    from rich.console import Console

    return Console(stderr=True).is_interactive


def lines() -> Tell:
    """Plain lines on standard error, a few for each step."""
    stream = sys.stderr  # also while it is redirected
    return Lines(lambda line: print(line, file=stream, flush=True))


@contextmanager
def bar(title: str) -> Iterator[Tell]:
    """A line of the terminal: how much is done, the time left or passed, what is done now."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    times, cut_off = _Times(), Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns = (
        BarColumn(WIDTH),
        TextColumn("{task.fields[times]}", style="cyan", table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=cut_off),
    )
    console = Console(file=sys.stderr)  # also while sys.stderr is redirected
    look = Progress(*columns, console=console, expand=True, transient=True, refresh_per_second=4)
    with look as progress:
        task = progress.add_task(title, total=None, times=times)

        def tell(text: str, done: float | None = None, total: float | None = None) -> None:
            times.pace.mark(done, total)
            progress.update(task, description=text, completed=done or 0, total=total)

        yield tell


class _Times:
    """The time left or, while it is unknown, the time passed; in words, whenever it is asked for."""

    def __init__(self) -> None:
        self.pace, self._began_s = Pace(), time.monotonic()

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self._began_s

    def __str__(self) -> str:
        left_s = self.pace.left_s()
        return f"{self.passed_s:.0f} s" if left_s is None else f"{about(left_s)} left"


def _in_notebook() -> bool:
    """Whether a kernel runs this, whose outputs are shown in a notebook."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


@contextmanager
def _cell(title: str) -> Iterator[Tell]:
    """A line below a notebook's cell, which says in the end how long the step took."""
    display: Any = import_module("IPython.display").display
    times, over = _Times(), threading.Event()
    text, handle = title, None

    def tell(now: str, done: float | None = None, total: float | None = None) -> None:
        nonlocal text
        times.pace.mark(done, total)
        text = now

    def refresh() -> None:
        nonlocal handle
        while not over.wait(REFRESH_S):
            words = (_drawn(times.pace), str(times), text)
            handle = handle or display(_plain(""), raw=True, display_id=True)
            handle.update(_plain("  ".join(filter(None, words))), raw=True)

    run = copy_context().run  # the cell that runs now is the one whose outputs it adds to
    thread = threading.Thread(target=run, args=(refresh,), name="progress", daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        over.set()
        thread.join()
        if handle is not None:
            handle.update(_plain(f"{title}: {times.passed_s:.1f} s"), raw=True)


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": text}


def _drawn(pace: Pace) -> str:
    """A bar of characters; none where it is not known how long the step is."""
    if pace.done is None or not pace.total:
        return ""
    full = round(WIDTH * min(pace.done / pace.total, 1.0))
    return "█" * full + "░" * (WIDTH - full)
