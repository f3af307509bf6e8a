"""Progress: what a long step tells while it runs; what is told of its parts is told of the whole.

tell("link 3 of 12: near → far", 2, 12)        two of twelve are done
tell("pairing devices", 5)                     five are done, and nobody knows of how many
tell("connecting")                             nothing to count
"""

import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["Listener", "Tell", "at_once", "in_turn", "of_text", "part_of", "prefixed", "silent"]


Listener = Callable[[str], object]
"""What a caller passes: any function of a text; see ``of_text``."""


class Tell(Protocol):
    """Is told what is being done now, and how much of the step is done.

    done, total: in any unit, such as links, frames or expected seconds; a bar and an estimate of
        the time left are made of them. ``text`` says all in words by itself. A smaller ``done``
        than before begins another step.
    """

    def __call__(self, text: str, done: float | None = None, total: float | None = None, /) -> None: ...


def silent(text: str, done: float | None = None, total: float | None = None) -> None:
    """Tell nobody."""


def of_text(tell: Listener) -> Tell:
    """A ``Tell`` from any function of a text, such as ``print``.

    One that has parameters called ``done`` and ``total`` is told those too.
    """
    try:
        taken = set(inspect.signature(tell).parameters)
    except ValueError:  # a function in C that does not say
        taken = set()
    counts: Callable[..., object] = tell

    def told(text: str, done: float | None = None, total: float | None = None) -> None:
        if {"done", "total"} <= taken:
            counts(text, done=done, total=total)
        else:
            tell(text)

    return told


def prefixed(tell: Tell, name: str) -> Tell:
    """Say first of what is told whose it is.

    >>> prefixed(lambda *told: print(told), "near")("burst 2", 1, 3)
    ('near: burst 2', 1, 3)
    """
    return lambda text, done=None, total=None: tell(f"{name}: {text}", done, total)


def part_of(tell: Tell, before: float, size: float, whole: float) -> Tell:
    """Tell of a part of a longer step. When it begins, ``before`` of the ``whole`` is done.

    >>> half = part_of(lambda *told: print(told), 5, 10, 20)
    >>> half("connecting")
    ('connecting', 5, 20)
    >>> half("link 2 of 4", 1, 4)
    ('link 2 of 4', 7.5, 20)
    """

    reached = before

    def told(text: str, done: float | None = None, total: float | None = None) -> None:
        nonlocal reached
        if done is not None and total:
            reached = max(reached, before + min(done / total, 1.0) * size)
        tell(text, reached, whole)

    return told


def in_turn(tell: Tell, sizes: Sequence[float]) -> list[Tell]:
    """One ``Tell`` for each part of a step, where one part follows the other."""
    return [part_of(tell, sum(sizes[:index]), size, sum(sizes)) for index, size in enumerate(sizes)]


def at_once(tell: Tell, sizes: Sequence[float]) -> list[Tell]:
    """One ``Tell`` for each part of a step, where the parts run at once: their work is summed."""
    whole, parts, lock = sum(sizes), [0.0] * len(sizes), threading.Lock()

    def share(index: int) -> Tell:
        def told(text: str, done: float | None = None, total: float | None = None) -> None:
            with lock:  # one at a time, so that what is done never falls
                if done is not None and total:
                    parts[index] = min(done / total, 1.0) * sizes[index]
                tell(text, sum(parts), whole)

        return told

    return [share(index) for index in range(len(sizes))]
