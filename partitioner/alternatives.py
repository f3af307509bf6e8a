"""Plans to compare: whole on one device, round robin on several, the best split at each cut; each with a short name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
from msgspec.structs import replace

from edgekit.device import Variant
from edgekit.graph import Graph, Tensor
from edgekit.plan import CLIENT, End, Plan, Stage, Transfer, chain, sendable
from edgekit.profiles import Profiles
from partitioner.cuts.places import Places
from partitioner.solve.device_kinds import Kinds
from partitioner.solve.labels import Chain, Hop
from partitioner.tables import Tables

__all__ = ["direct", "relayed", "replicas", "sampled_splits", "wholes"]

_ALL_SUBSETS = 6
"""Up to so many devices of one variant every subset is tried as replicas, beyond only the fastest so many."""

_SAMPLES = 200


def wholes(places: Places, tables: Tables, kinds: Kinds) -> Iterator[Plan]:
    """The whole network on each device that the client reaches and that reaches the client."""
    for number in _served(tables):
        yield relayed(places, tables, kinds, (Hop(number, 0, len(tables.positions) - 1),))


def replicas(graph: Graph, tables: Tables, kinds: Kinds, profiles: Profiles) -> Iterator[Plan]:
    """The whole network on several devices in turn. One stage has one variant, so only devices of one variant join."""
    served = [(name, tables.executors[number].variant) for number in _served(tables) for name in kinds[tables.executors[number].devices[0]]]
    for variant in dict.fromkeys(variant for _, variant in served):
        names = [name for name, each in served if each == variant]
        for chosen in _subsets(names, profiles, variant):
            stage = Stage(0, len(graph.units), chosen, variant)
            yield chain(graph, (stage,), name=f"{len(chosen)} replicas {'|'.join(chosen)}{_told(tables, (variant,))}")


def sampled_splits(places: Places, tables: Tables, kinds: Kinds) -> Iterator[Plan]:
    """For up to 200 cuts, evenly spread, the pair of devices with the lowest latency."""
    client, last = len(tables.executors), len(tables.positions) - 1
    alone = [number for number, who in enumerate(tables.executors) if len(who.devices) == 1]
    pairs = [(a, b) for a in alone for b in alone if tables.follows[a, b]]
    cuts = np.arange(1, last)
    if not pairs:
        return
    first, second = np.array(pairs, np.intp).T
    seconds = [who.latency_s for who in tables.executors]
    message_s = tables.channels[0].message_s
    ends = message_s[0, client, first] + message_s[last, second, client]
    for cut in (cuts if len(cuts) <= _SAMPLES else cuts[np.linspace(0, len(cuts) - 1, _SAMPLES).astype(int)]).tolist():
        halves = np.array([seconds[a][0, cut] + seconds[b][cut, last] for a, b in pairs])
        fits = np.array([_fits(tables, a, 0, cut) and _fits(tables, b, cut, last) for a, b in pairs])
        total = np.where(fits, ends + message_s[cut, first, second] + halves, np.inf)
        if np.isfinite(total).any():
            a, b = pairs[int(total.argmin())]
            yield relayed(places, tables, kinds, (Hop(a, 0, cut), Hop(b, cut, last)))


def relayed(places: Places, tables: Tables, kinds: Kinds, hops: Chain) -> Plan:
    """The plan of a chain, named after its cuts; of devices of one kind each is taken in turn."""
    taken: Counter[int] = Counter()
    crews = []
    for hop in hops:
        crew = []
        for kind in tables.executors[hop.executor].devices:
            crew.append(kinds[kind][taken[kind]])
            taken[kind] += 1
        crews.append(tuple(crew))
    used = [tables.executors[hop.executor].variant for hop in hops]
    graph, bounds = places.layout([0, *(hop.stop for hop in hops)])
    stages = tuple(Stage(*ends, crew, variant) for ends, crew, variant in zip(pairwise(bounds), crews, used, strict=True))
    at = ", ".join(str(stage.stop) for stage in stages[:-1])
    words = ["|".join(crew) for crew in crews]
    if not at:
        name = f"whole on {words[0]}" if len(crews[0]) == 1 else f"{len(crews[0])} replicas {words[0]}"
    else:
        usual = [name for kind in kinds for name in kind]
        some = "" if words == usual else f" on {', '.join(words)}"
        name = f"{len(stages)} stages at {at}{some}{' of branches' if graph.order else ''}"
    codecs = [tables.channels[hop.channel].codec for hop in hops[:-1]]
    return chain(
        graph, stages, name=name + _told(tables, used) + (f" in {', '.join(codecs)}" if {*codecs} - {"raw"} else ""), codecs=codecs
    )


def direct(plan: Plan, graph: Graph) -> Plan | None:
    """A chain whose tensors go straight from where they are made to every stage that reads them; None: they do so already.

    A tensor is written as it was for its first message, if it can be. ``graph`` has its units in the order of the plan.
    """
    first: dict[str, Transfer] = {}
    for transfer in plan.transfers:
        first.setdefault(transfer.tensor, transfer)
    reads: list[tuple[End, Iterable[Tensor]]] = [(i, graph.segment(each.start, each.stop).inputs) for i, each in enumerate(plan.stages)]
    reads.append((CLIENT, graph.cuts[-1].tensors))
    ends = [(tensor, first[tensor.name], end) for end, tensors in reads for tensor in tensors]
    straight = [
        Transfer(tensor.name, made.source, end, made.codec if _may(graph, tensor, made, plan, end) else "raw") for tensor, made, end in ends
    ]
    if set(straight) == set(plan.transfers):
        return None
    return replace(plan, transfers=tuple(straight), name=f"{plan.name}, direct", predicted=None)


def _may(graph: Graph, tensor: Tensor, made: Transfer, plan: Plan, end: End) -> bool:
    """Whether a tensor can also go to another end as it was first written."""
    return CLIENT not in (made.source, end) and sendable(graph, tensor, made.codec, plan.stages, made.source, end)


def _told(tables: Tables, used: Sequence[Variant]) -> str:
    """The variants of a plan, where a device has a choice."""
    alone = [who.devices[0] for who in tables.executors if len(who.devices) == 1]
    return f" as {', '.join(map(str, used))}" if len(set(alone)) < len(alone) else ""


def _fits(tables: Tables, executor: int, start: int, stop: int) -> bool:
    return all(nbytes[start, stop] <= tables.caps[host] for host, nbytes in tables.executors[executor].memory)


def _served(tables: Tables) -> list[int]:
    """Devices alone, in each of their variants, that can run the whole, that the client reaches and that reach the client."""
    client, message_s = len(tables.executors), tables.channels[0].message_s
    whole = message_s[0, client, :client] + message_s[-1, :client, client] + [who.latency_s[0, -1] for who in tables.executors]
    return [number for number, who in enumerate(tables.executors) if len(who.devices) == 1 and np.isfinite(whole[number])]


def _subsets(names: Sequence[str], profiles: Profiles, variant: Variant) -> Iterator[tuple[str, ...]]:
    if len(names) <= _ALL_SUBSETS:
        for size in range(2, len(names) + 1):
            yield from combinations(names, size)
        return
    seconds = {name: profiles.of(name, variant).whole.p50_s for name in names}
    fastest = sorted(names, key=lambda name: seconds[name])
    for size in range(2, len(names) + 1):
        yield tuple(name for name in names if name in fastest[:size])
