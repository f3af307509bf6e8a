"""Why no plan exists: what cannot be reached, whose memory cap binds and by how much, or which limit is too tight."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.constraints import Constraints
from edgekit.front import value
from edgekit.memory_model import MemoryTable
from edgekit.objectives import OBJECTIVES, Objective
from edgekit.plan import Cost
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.wording import counted
from partitioner.board_memory import cap, told
from partitioner.cuts.places import rows_of
from partitioner.solve.labels import Chain, Found, chains
from partitioner.tables import Executor, Tables

__all__ = ["refusal"]

SHOWN = 3
"""Units that cannot run somewhere, as many as one sentence names."""

_UNITS = {"latency": " s", "period": " s", "memory": " bytes", "energy": " J"}


def refusal(tables: Tables, constraints: Constraints, unsplit: Sequence[Cost], cluster: Cluster, profiles: Profiles) -> str:
    """What binds, as a sentence for an error; ``unsplit`` are the costs of unsplit plans, whatever else they break."""
    free = tables._replace(limits={}, most_stages=tables.longest)
    if not len(_best(free, "latency", capped=False).chains):
        every = [profile for name in tables.names for profile in profiles.of(name)]
        return _barred(every) or _unplaced(free, every, constraints) or _unreached(tables, constraints) + _some_barred(every)
    if not len(_best(free, "latency").chains):
        return _too_large(tables, _best(free, "memory", capped=False).chains[0], profiles)
    if not len(_best(tables._replace(limits={}), "latency").chains):
        return f"no plan has at most {counted(tables.most_stages, 'stage')} and keeps all else; allow more"
    told = [cost for cost in unsplit if cost.accuracy_loss is not None]
    fitting = [cost for cost in told if all(memory.nbytes <= cap(cluster, memory) for memory in cost.memory)]
    parts = []
    for objective, limit in tables.limits.items():
        split = _best(tables._replace(limits={}), objective).costs[0, OBJECTIVES.index(objective)]
        others = [value(cost, objective) for cost in fitting] if _nothing_else(constraints) else []
        best = min([split, *others])
        if best > limit:
            unit = _UNITS.get(objective, "")
            parts.append(f"{objective} ≤ {limit:.6g}{unit}, the least possible is {best:.6g}{unit}")
    if parts:
        return f"no plan meets the limits: {'; '.join(parts)}; raise the limit or add a device"
    return f"no plan meets all limits together ({', '.join(tables.limits)}), though each alone can be met; raise one of them"


def _barred(every: Sequence[Profile]) -> str:
    """A unit that no device can run, as a sentence; empty where there is none."""
    for unit, _ in every[0].cannot_run:
        reasons = [(profile, profile.refusal(unit, unit + 1)) for profile in every]
        if all(reason for _, reason in reasons):
            told = "; ".join(f"{profile.device} as {profile.variant}: {reason}" for profile, reason in reasons)
            return f"no plan: a unit can run on no device ({told}); add a device whose engine can run it"
    return ""


def _some_barred(every: Sequence[Profile]) -> str:
    """Units that some devices cannot run, at the end of a sentence."""
    found = [sentence for profile in every for sentence in profile.barred]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "".join(f"; {each}" for each in (*found[:SHOWN], *more))


def _nothing_else(constraints: Constraints) -> bool:
    """Whether a whole network may run anywhere, as far as anything but limits is concerned."""
    return not (constraints.pins or constraints.private or constraints.required)


def _best(tables: Tables, objective: Objective, capped: bool = True) -> Found:
    """The best chain in one objective. Without caps, memory counts by how far it exceeds them."""
    if not capped:
        tables = tables._replace(caps=np.full_like(tables.caps, np.inf), floors=tables.caps)
    return chains(tables, (objective,))


def _unreached(tables: Tables, constraints: Constraints) -> str:
    client, message_s = len(tables.executors), tables.channels[0].message_s
    begins = [tables.names[who.devices[0]] for e, who in enumerate(tables.executors) if np.isfinite(message_s[0, client, e])]
    ends = [tables.names[who.devices[0]] for e, who in enumerate(tables.executors) if np.isfinite(message_s[-1, e, client])]
    sentence = (
        f"no chain in {'any order of' if len(tables.available) else 'the order'} {', '.join(tables.names)} leads from the client through "
        f"devices and back: the client reaches {_listed(begins)}, and {_listed(ends)} can send to the client; add the missing "
        "links, or measure them with edgekit survey"
    )
    rules = [
        *(f"units [{pin.start}, {pin.stop}) only on {pin.device}" for pin in constraints.pins),
        *(f"{rule.tensor} only on {rule.device}" for rule in constraints.private),
        *(f"{name} must be used" for name in constraints.required),
    ]
    other = "" if len(tables.available) else ", try any order (--order free)"
    return f"{sentence}{other}, or drop a constraint: {'; '.join(rules)}" if rules else f"{sentence}{other}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "no device"


def _unplaced(tables: Tables, every: Sequence[Profile], constraints: Constraints) -> str:
    """That the segments which memory planners have placed make no chain, as a sentence; empty where that is not the reason."""
    tabled = {(each.device, each.variant): each for each in every if isinstance(each.memory_model, MemoryTable)}
    begin, end = np.array(tables.positions)[:, None], np.array(tables.positions)[None, :]

    def free(who: Executor) -> Executor:
        name = tables.names[who.devices[0]]
        if (name, who.variant) not in tabled:
            return who
        possible = begin < end
        for pin in constraints.pins:
            if pin.device != name:
                possible &= (end <= pin.start) | (pin.stop <= begin)
        some = np.where(possible, 0.0, np.inf)
        return who._replace(latency_s=some, load_s=tuple(np.zeros_like(load) for load in who.load_s))

    if not tabled or not len(_best(tables._replace(executors=tuple(map(free, tables.executors))), "latency", capped=False).chains):
        return ""
    parts = [f"{profile.device} as {profile.variant} can hold {_placed(profile)}" for profile in tabled.values()]
    return (
        f"no plan: the segments that the memory planners of devices have placed do not make up the network ({'; '.join(parts)}); "
        f"add a device that can run the other units, or profile with more of them{_some_barred(every)}"
    )


def _placed(profile: Profile) -> str:
    """The longest segments of a memory table, in words."""
    rows = [(each.start, each.stop) for each in rows_of(profile)]
    longest = [ends for ends in rows if not any(a <= ends[0] and ends[1] <= b for a, b in rows if (a, b) != ends)]
    return ", ".join(f"units [{start}, {stop})" for start, stop in sorted(set(longest))) or "no segment at all"


def _too_large(tables: Tables, least: Chain, profiles: Profiles) -> str:
    """``least`` is the chain that exceeds caps by the fewest bytes."""
    held: Counter[int] = Counter()
    for hop in least:
        for host, nbytes in tables.executors[hop.executor].memory:
            held[host] += int(nbytes[hop.start, hop.stop])
    host = max(held, key=lambda host: held[host] - tables.caps[host])
    memory = replace(tables.hosts[host], nbytes=held[host])
    if memory.kind == "host":
        return (
            f"no plan fits in memory: at best host {told(memory, tables.caps[host])}; "
            "raise its memory_bytes, add a device, or use a lower precision"
        )
    hop = next(hop for hop in least if any(number == host for number, _ in tables.executors[hop.executor].memory))
    units = tables.positions[hop.start], tables.positions[hop.stop]
    row = profiles.of(memory.host, tables.executors[hop.executor].variant).planned(*units)
    peak = f", most of it while {row.peak} runs" if memory.kind == "ram" and row is not None and row.peak else ""
    return (
        f"no plan fits in memory: at best {told(memory, tables.caps[host])}, for units [{units[0]}, {units[1]}){peak}; "
        "add a device that takes some of these units, or a board with more"
    )
