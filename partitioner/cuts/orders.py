"""Orders of the units of a graph with too many places to be cut, and how far from the best their fronts can be at most."""

from collections.abc import Iterator
from random import Random

import numpy as np

from edgekit.front import Front, cost_of, value
from edgekit.graph import Graph
from edgekit.objectives import Objective
from edgekit.profile import Profile
from edgekit.profiles import Profiles

__all__ = ["gap", "orders"]

COUNT = 24


def orders(graph: Graph, count: int = COUNT, seed: int = 0) -> Iterator[tuple[int, ...]]:
    """That of the graph, then others: branch after branch, branches side by side, and at random."""
    yield graph.order
    dice = Random(seed)
    size = len(graph.units)
    seen = {tuple(range(size))}
    for number in range(count):
        keys = [dice.random() for _ in range(size)]
        order = _topological(graph, keys, depth_first=number % 2 == 0)
        if order not in seen:
            seen.add(order)
            yield order


def _topological(graph: Graph, keys: list[float], depth_first: bool) -> tuple[int, ...]:
    """Of the units whose inputs are there, the one that became so last (or first), by key where several did at once."""
    waits = [0] * len(keys)
    readers: list[list[int]] = [[] for _ in keys]
    for maker, reader in graph.unit_edges:
        waits[reader] += 1
        readers[maker].append(reader)
    ready = sorted((unit for unit, count in enumerate(waits) if not count), key=keys.__getitem__)
    order = []
    while ready:
        unit = ready.pop(-1 if depth_first else 0)
        order.append(unit)
        fresh = []
        for reader in readers[unit]:
            waits[reader] -= 1
            fresh += [] if waits[reader] else [reader]
        ready += sorted(fresh, key=keys.__getitem__)
    return tuple(order)


def gap(front: Front, profiles: Profiles, devices: int) -> float:
    """By which share some plan of the front is worse than any plan there can be, at most, in every objective at once.

    Whatever the plan, each unit runs somewhere, and no device does it quicker than the quickest; the busiest of ``devices``
    has at least its share of that. Measured segments that took less than the sum of their units make all bounds lower.
    """
    least = {objective: _least(objective, profiles, devices) for objective in front.objectives}
    worst = [max(_ratio(value(cost_of(plan), o), least[o]) for o in front.objectives) for plan in front.plans]
    return min(worst) - 1


def _ratio(found: float, least: float) -> float:
    return 1.0 if found <= least else found / least if least > 0 else float("inf")


def _least(objective: Objective, profiles: Profiles, devices: int) -> float:
    units = np.min([np.array(profile.unit_s) * _quickest(profile) for profile in profiles], axis=0)
    if objective == "latency":
        return float(units.sum())
    if objective == "period":
        return float(units.sum()) / devices
    if objective == "memory":
        return float(min(profile.base_bytes for profile in profiles))
    if objective == "energy":
        return float(min((profile.active_w or 0.0) * profile.longest.p50_s for profile in profiles)) * min(map(_quickest, profiles))
    return 1.0 if objective == "devices" else 0.0


def _quickest(profile: Profile) -> float:
    """The least share of the sum of its units that a measured segment took."""
    sums = np.concatenate([[0.0], np.cumsum(profile.unit_s)])
    pairs = ((segment.p50_s, sums[segment.stop] - sums[segment.start]) for segment in profile.ranges)
    return min([1.0, *(float(measured / estimated) for measured, estimated in pairs if estimated > 0)])
