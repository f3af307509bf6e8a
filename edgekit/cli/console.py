"""Progress on standard error, tables on standard output, and how quantities are printed."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from edgekit.progress import Tell, prefixed
from edgekit.wording import mb, ms

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["GAP", "asked", "drawn_table", "mb", "ms", "narrowest", "percent", "progress", "steps", "table"]


GAP = 2
"""Spaces between two columns of a table."""


def percent(share: float) -> str:
    """A signed share.

    >>> percent(0.031)
    '+3.1 %'
    """
    return f"{share * 100:+.1f} %"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> None:
    """Print a table; the first ``words`` columns are text, the others figures."""
    from rich.console import Console

    console = Console()
    console = Console(width=None if console.is_terminal else 160)
    console.print(drawn_table(title, columns, rows, words=words, width=console.width))


def drawn_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1, width: int = 0) -> "Table":
    """The same, to be printed by whoever asked for it; no word is broken where that fits ``width``."""
    from rich.table import Table

    widths = _widths(columns, rows, width)
    drawn = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(columns):
        justify = "left" if index < words else "right"
        drawn.add_column(name, justify=justify, overflow="fold", width=widths[index])  # type: ignore[arg-type]
    for row in rows:
        drawn.add_row(*(cell.replace("[", r"\[") for cell in row))
    return drawn


def narrowest(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """The length of the longest word of each column.

    >>> narrowest(["stage", "peak memory"], [["stage 0@pi", "3.1 MB"]])
    [5, 6]
    """
    cells = zip(columns, *rows, strict=True)
    return [max(len(word) for cell in column for word in (cell or "-").split()) for column in cells]


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Sequence[int | None]:
    """What each column gets of ``width``: what it asks for, less what the widest can do without; None: up to rich."""
    least = narrowest(columns, rows)
    cells = zip(columns, *rows, strict=True)
    widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in cells]
    room = width - GAP * (len(columns) - 1)
    if sum(widths) <= room or sum(least) > room:
        return [None] * len(columns)
    while sum(widths) > room:
        spare = [(wide - few, index) for index, (wide, few) in enumerate(zip(widths, least, strict=True))]
        widths[max(spare)[1]] -= 1
    return widths


@contextmanager
def progress(title: str) -> Iterator[Tell]:
    """What a long command is doing: a bar on a terminal, a few plain lines where there is none."""
    from edgekit.api.display import bar, lines, on_terminal

    with bar(title) if on_terminal() else nullcontext(lines()) as tell:
        yield prefixed(tell, title)


@contextmanager
def steps(count: int) -> Iterator[tuple[Callable[[str], None], Tell]]:
    """A bar for each of ``count`` steps: one function begins a step, the other tells details."""
    from edgekit.api.display import bar, lines, on_terminal

    with bar("") if on_terminal() else nullcontext(lines()) as show:
        title, number = "", 0

        def begin(text: str) -> None:
            nonlocal title, number
            number += 1
            title = f"{text} ({number} of {count})"
            show(title)

        def tell(text: str, done: float | None = None, total: float | None = None) -> None:
            show(f"{title}: {text}", done, total)

        yield begin, tell


def asked() -> Callable[[str, bool], str] | None:
    """Asks the terminal, if there is one, for what is typed; hidden where the second argument says so."""
    import typer

    return (lambda question, hidden: str(typer.prompt(question, hide_input=hidden, err=True))) if sys.stdin.isatty() else None
