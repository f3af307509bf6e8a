"""Bytes that go from one place to another as loops of runs (firmware/SPEC.md, MOVE)."""

from typing import NamedTuple

import numpy as np

from devices.mcu.compiler.entries import Places

__all__ = ["Loops", "loops"]

Four = tuple[int, int, int, int]
MOST = 65535
"""How often a loop may count."""


class Loops(NamedTuple):
    """Runs of bytes under four loops, the outermost first, as ``devices.mcu.program.Move`` has them."""

    at_in: int
    at_out: int
    run: int
    counts: Four
    steps_in: Four
    steps_out: Four


class _Level(NamedTuple):
    times: int
    step_in: int
    step_out: int


def loops(source: Places, target: Places) -> list[Loops]:
    """The loops that bring the byte at ``source[i]`` to ``target[i]`` for each i, written upwards.

    >>> loops(np.array([0, 2, 4, 1, 3, 5]), np.arange(6))[0][2:]
    (1, (1, 1, 2, 3), (0, 0, 1, 2), (0, 0, 3, 1))
    """
    order = np.argsort(target, kind="stable")
    found: list[Loops] = []
    waiting = [(source[order], target[order])]
    while waiting:
        source, target = waiting.pop()
        levels = _levels(source, target)
        if isinstance(levels, int):
            waiting += [(source[levels:], target[levels:]), (source[:levels], target[:levels])]
        else:
            found.append(_packed(int(source[0]), int(target[0]), levels))
    return found


def _levels(source: Places, target: Places) -> list[_Level] | int:
    """The loops of a regular order, the innermost first; of another one, where to split it."""
    levels: list[_Level] = []
    size = 1
    while source.size > 1:
        steps = np.stack((np.diff(source), np.diff(target)))
        broken = np.flatnonzero((steps != steps[:, :1]).any(axis=0))
        count = int(broken[0]) + 1 if broken.size else source.size
        inner = np.arange(count)
        rows = source.size // count
        regular = np.ones(rows, np.bool_)
        for flat, step in ((source, steps[0, 0]), (target, steps[1, 0])):
            grid = flat[: rows * count].reshape(rows, count)
            regular &= (grid == grid[:, :1] + step * inner).all(axis=1)
        whole = rows if regular.all() else int(np.argmin(regular))
        if whole * count < source.size:
            return whole * count * size
        levels += _bounded(count, int(steps[0, 0]), int(steps[1, 0]))
        size *= count
        source, target = source[::count], target[::count]
    loops_besides_run = len(levels) - bool(levels and levels[0][1:] == (1, 1))
    return size // levels[-1].times if loops_besides_run > 4 else levels


def _bounded(count: int, step_in: int, step_out: int) -> list[_Level]:
    """A loop as loops that count no further than they can; a run of bytes may be of any length."""
    if count <= MOST or (step_in, step_out) == (1, 1):
        return [_Level(count, step_in, step_out)]
    inner = next(size for size in range(MOST, 0, -1) if count % size == 0)
    return [_Level(inner, step_in, step_out), *_bounded(count // inner, step_in * inner, step_out * inner)]


def _packed(at_in: int, at_out: int, levels: list[_Level]) -> Loops:
    run = levels.pop(0).times if levels and levels[0][1:] == (1, 1) else 1
    padded = [_Level(1, 0, 0)] * (4 - len(levels)) + levels[::-1]
    counts, steps_in, steps_out = zip(*padded, strict=True)
    return Loops(at_in, at_out, run, counts, steps_in, steps_out)
