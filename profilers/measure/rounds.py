"""Measures many things fairly: in rounds of random order, in bursts, between runs of a sentinel that tells when the machine drifts.

    round 1    S  c a d  S  b e  S        S  the sentinel: the same work every time
    round 2    S  e d  S  a b c  S           a block whose two sentinels are not near the quickest one is done again

Whatever disturbs the machine for a while so hits all alike, or is seen. A thing is settled once its odd and its even
bursts agree (split-half repeatability). Each burst is a stage process of its own, as each deployment will be.

A device that this machine only plays has no sentinel: what hinders this machine would not hinder the one that is played.
There the bursts count that most others agree with, the quickest of several such groups; how many of them it takes is told by how
far bursts of one thing are apart, over all things: a machine that wanders is looked at more often.
"""

import random
import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Sized
from itertools import pairwise
from math import ceil
from typing import NamedTuple, TypeVar

from edgekit.progress import Tell, silent

__all__ = ["AGREE", "LEAST_BURSTS", "MOST_BURSTS", "Settled", "in_rounds", "repeatability", "usual"]

Key = TypeVar("Key", bound=Hashable)
Samples = Sequence[float]

AGREE = 0.02
"""Relative difference of odd and even bursts below which a measurement repeats."""

DRIFT = 0.03
"""Relative difference of a sentinel from the quickest one beyond which what lies beside it is measured again."""

LEAST_BURSTS = 2
MOST_BURSTS = 6

SURE = 0.01
"""Relative deviation that the mean of the bursts of a played device may have."""

MOST_WANDERING = 0.05
"""Deviation beyond which bursts were hindered and not only unlucky."""

NORMAL_PAIR = 0.954
"""Median of how far two draws are apart, in standard deviations."""

BLOCK = 6
"""Bursts between two sentinels."""


class Settled(NamedTuple):
    """The bursts of one thing, as indices into what was measured of it, and how far its two halves are apart."""

    kept: tuple[int, ...]
    repeatability: float


def in_rounds(
    keys: Iterable[Key],
    burst: Callable[[Key], Samples],
    sentinel: Callable[[], float] | None,
    settled: Callable[[Key, Settled], None],
    *,
    most_s: float = float("inf"),
    seed: int = 0,
    tell: Tell = silent,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Measure every key until it repeats, at least twice and at most six times, or until ``most_s`` are over.

    Args:
        burst: samples of one key, in seconds.
        sentinel: seconds of the work that is always the same; None for a device that is only played.
        settled: is told each key once, as soon as it needs no more bursts.
        most_s: when it is spent, what has been measured at least once is taken as it is.
    """
    waiting = list(dict.fromkeys(keys))
    bursts: dict[Key, list[Samples]] = {key: [] for key in waiting}
    steady: dict[Key, list[int]] = {key: [] for key in waiting}
    draw, end = random.Random(seed), clock() + most_s
    total, turn, typical = len(waiting), 0, LEAST_BURSTS + 1 if sentinel else MOST_BURSTS
    quickest = before = sentinel() if sentinel and waiting else 0.0
    while waiting:
        turn += 1
        order = draw.sample(waiting, len(waiting))
        for first in range(0, len(order), BLOCK):
            block = order[first : first + BLOCK]
            for number, key in enumerate(block, start=first + 1):
                so_far = f", {total - len(waiting)} settled" if len(waiting) < total else ""
                tell(f"round {turn}, {number} of {len(order)}{so_far}", *_spent(bursts, waiting, typical))
                bursts[key].append(burst(key))
            after = sentinel() if sentinel else 0.0
            quickest = min(quickest, after)
            if max(before, after) <= quickest * (1 + DRIFT):
                for key in block:
                    steady[key].append(len(bursts[key]) - 1)
            before = after
            over = clock() > end
            deviation = 0.0 if sentinel else _wandering(bursts.values())
            for key in block:
                last = over or len(bursts[key]) >= MOST_BURSTS
                state = _state(bursts[key], steady[key], last) if sentinel else _played(bursts[key], deviation, last)
                if state is not None:
                    settled(key, state)
                    waiting.remove(key)


def _spent(bursts: Mapping[Key, Sized], waiting: Sequence[Key], typical: int) -> tuple[int, int]:
    """Bursts made, and those that it will take if each key that waits needs so many of them."""
    made = sum(map(len, bursts.values()))
    return made, made + sum(max(typical - len(bursts[key]), 1) for key in waiting)


def _state(bursts: list[Samples], steady: list[int], last: bool) -> Settled | None:
    """What is known of a key once it needs no more bursts. Bursts beside a sentinel that drifted count only where there is no other."""
    kept = steady if len(steady) >= LEAST_BURSTS or not last else list(range(len(bursts)))
    if len(kept) < LEAST_BURSTS and not last:
        return None
    apart = repeatability([bursts[index] for index in kept])
    return Settled(tuple(kept), apart) if apart <= AGREE or last else None


def _played(bursts: list[Samples], deviation: float, last: bool) -> Settled | None:
    kept = usual(bursts, max(AGREE, 3 * deviation))
    enough = min(max(ceil((deviation / SURE) ** 2), LEAST_BURSTS), MOST_BURSTS)
    return Settled(kept, repeatability([bursts[index] for index in kept])) if len(kept) >= enough or last else None


def _wandering(things: Iterable[Sequence[Samples]]) -> float:
    """The relative deviation of a burst, from how far those of each thing that follow each other are apart.

    >>> round(_wandering([[(1.0,), (1.02,)], [(2.0,), (2.04,), (2.0,)]]), 4)
    0.021
    """
    apart = []
    for bursts in things:
        medians = [statistics.median(burst) for burst in bursts]
        apart += [abs(one - other) / min(one, other) for one, other in pairwise(medians)]
    return min(statistics.median(apart) / NORMAL_PAIR, MOST_WANDERING) if apart else 0.0


def usual(bursts: Sequence[Samples], width: float = AGREE) -> tuple[int, ...]:
    """Which bursts show the machine as it usually is: the largest group within a width, the quickest of several as large.

    >>> usual([(1.2, 1.2), (1.0, 1.0), (0.9, 0.9), (1.01, 1.01)])
    (1, 3)
    """
    medians = [statistics.median(burst) for burst in bursts]
    groups = [tuple(i for i, median in enumerate(medians) if least <= median <= least * (1 + width)) for least in sorted(medians)]
    return max(groups, key=len)


def repeatability(bursts: Sequence[Samples]) -> float:
    """Relative difference between the medians of odd and even bursts; infinite for a single one.

    >>> round(repeatability([(1.0, 1.0), (1.02, 1.02)]), 3)
    0.02
    """
    if len(bursts) < LEAST_BURSTS:
        return float("inf")
    halves = [statistics.median(sample for burst in bursts[first::2] for sample in burst) for first in (0, 1)]
    return abs(halves[0] - halves[1]) / (sum(halves) / 2)
