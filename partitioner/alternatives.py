"""Plans to compare: whole on one device, round robin on several, the best split at each cut; each with a short name."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from edgekit.graph import Graph
from edgekit.plan import Plan, Stage, chain
from edgekit.profile import Profile
from partitioner.labels import Chain
from partitioner.tables import Tables

__all__ = ["relayed", "replicas", "sampled_splits", "wholes"]

_ALL_SUBSETS = 6
"""Up to so many devices of one variant every subset is tried as replicas, beyond only the fastest so many."""

_SAMPLES = 200


def wholes(graph: Graph, tables: Tables, profiles: Mapping[str, Profile]) -> Iterator[Plan]:
    """The whole network on each device that the client reaches and that reaches the client."""
    for device in _served(tables):
        yield relayed(graph, tables, profiles, ((device, 0, len(tables.positions) - 1),))


def replicas(graph: Graph, tables: Tables, profiles: Mapping[str, Profile]) -> Iterator[Plan]:
    """The whole network on several devices in turn. One stage has one variant, so only devices of one variant join."""
    served = [tables.names[device] for device in _served(tables)]
    for variant in dict.fromkeys(profiles[name].variant for name in served):
        names = [name for name in served if profiles[name].variant == variant]
        for chosen in _subsets(names, profiles):
            stage = Stage(0, len(graph.units), chosen, variant)
            yield chain(graph, (stage,), name=f"{len(chosen)} replicas {'|'.join(chosen)}")


def sampled_splits(graph: Graph, tables: Tables, profiles: Mapping[str, Profile]) -> Iterator[Plan]:
    """For up to 200 cuts, evenly spread, the pair of devices with the lowest latency."""
    client, last = len(tables.names), len(tables.positions) - 1
    pairs = np.array(list(combinations(range(client), 2)), np.intp).reshape(-1, 2).T
    cuts = np.arange(1, last)
    for cut in cuts if len(cuts) <= _SAMPLES else cuts[np.linspace(0, len(cuts) - 1, _SAMPLES).astype(int)]:
        first, second = pairs
        messages = tables.message_s[0, client, first] + tables.message_s[cut, first, second] + tables.message_s[last, second, client]
        over = tables.memory_bytes[first, 0, cut] - tables.caps[first], tables.memory_bytes[second, cut, last] - tables.caps[second]
        seconds = np.where(np.maximum(*over) <= 0, messages + tables.compute_s[first, 0, cut] + tables.compute_s[second, cut, last], np.inf)
        if np.isfinite(seconds).any():
            best = int(seconds.argmin())
            yield relayed(graph, tables, profiles, ((int(first[best]), 0, int(cut)), (int(second[best]), int(cut), last)))


def relayed(graph: Graph, tables: Tables, profiles: Mapping[str, Profile], stages: Chain) -> Plan:
    """The plan of a chain of (device number, first position, last position), named after its cuts."""
    names = [tables.names[device] for device, _, _ in stages]
    at = [tables.positions[stop] for _, _, stop in stages[:-1]]
    if not at:
        name = f"whole on {names[0]}"
    else:
        some = "" if len(names) == len(tables.names) else f" on {', '.join(names)}"
        name = f"{len(names)} stages at {', '.join(map(str, at))}{some}"
    return chain(
        graph,
        tuple(
            Stage(tables.positions[start], tables.positions[stop], (name,), profiles[name].variant)
            for name, (_, start, stop) in zip(names, stages, strict=True)
        ),
        name=name,
    )


def _served(tables: Tables) -> list[int]:
    client = len(tables.names)
    return [device for device in range(client) if np.isfinite(tables.message_s[0, client, device] + tables.message_s[-1, device, client])]


def _subsets(names: Sequence[str], profiles: Mapping[str, Profile]) -> Iterator[tuple[str, ...]]:
    if len(names) <= _ALL_SUBSETS:
        for size in range(2, len(names) + 1):
            yield from combinations(names, size)
        return
    fastest = sorted(names, key=lambda name: profiles[name].whole.p50_s)
    for size in range(2, len(names) + 1):
        yield tuple(name for name in names if name in fastest[:size])
