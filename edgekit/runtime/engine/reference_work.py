"""How fast this machine is just now, by work that is always the same; for devices that it only plays.

    slowness  1.03     anything takes 3 % longer than usual: its clock has come down, or it has busy neighbours

A machine wanders by several per cent from one second to the next. One that is played must not, or nothing that was measured
on it would hold a second later. What is usual is written down when it is first asked for, in ``$XDG_CACHE_HOME/edgekit``.
"""

import contextlib
import hashlib
import os
import platform
import statistics
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit import folders
from edgekit.runtime.machine.processor import processor
from edgekit.runtime.machine.sources import Here

__all__ = ["slowness"]

Vector = NDArray[np.float32]

PAGE = 4096
COUNT = 4096
"""Of single precision: factors and products both fit into the nearest cache."""

REPEATS = 400
AT_ONCE = 4
USUAL_S = 1.0


def slowness() -> float:
    """How many times as long as usual this machine takes for anything just now; takes about a millisecond."""
    return statistics.median(_seconds() for _ in range(AT_ONCE)) / _usual_s()


def _seconds() -> float:
    factors, products = _arrays()
    begin = time.thread_time()
    for _ in range(REPEATS):
        np.multiply(factors, factors, out=products)
    return time.thread_time() - begin


@cache
def _arrays() -> tuple[Vector, Vector]:
    """At the same place of a page in every process, and not both at the same: either changes by a quarter how long it takes."""
    space = np.zeros(2 * COUNT + 2 * PAGE, np.float32)
    begin = -space.ctypes.data % PAGE // space.itemsize
    factors, products = (space[start : start + COUNT] for start in (begin, begin + COUNT + PAGE // 8))
    factors[:] = np.linspace(1, 2, COUNT)
    return factors, products


@cache
def _usual_s() -> float:
    """What was written down on this machine; by whoever was the first, where several are at it at once."""
    path = _path()
    with contextlib.suppress(OSError, ValueError):
        return float(path.read_text())
    found, end = [_seconds()], time.perf_counter() + USUAL_S
    while time.perf_counter() < end:
        found.append(_seconds())
    usual_s = statistics.median(found)
    with contextlib.suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as whole:
            whole.write(repr(usual_s))
            whole.flush()
            with contextlib.suppress(FileExistsError):
                os.link(whole.name, path)
        return float(path.read_text())
    return usual_s


def _path() -> Path:
    machine = f"{platform.node()} {processor(Here())['processor']}"
    return folders.cache() / "usual" / hashlib.sha256(machine.encode()).hexdigest()[:16]
