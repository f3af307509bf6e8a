"""Why no plan exists: what cannot be reached, whose memory cap binds and by how much, or which limit is too tight."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from edgekit.front import OBJECTIVES, Objective, value
from edgekit.plan import Cost
from partitioner.labels import Chain, Found, Limits, chains
from partitioner.tables import Tables

__all__ = ["refusal"]

_UNITS: Mapping[Objective, str] = {"latency": "s", "period": "s", "memory": "bytes"}


def refusal(tables: Tables, limits: Mapping[Objective, float], unsplit: Sequence[Cost]) -> str:
    """What binds, as a sentence for an error; ``unsplit`` are the costs of unsplit plans that fit the hosts."""
    if not len(_best(tables, "latency", capped=False).chains):
        return _unreached(tables)
    if not len(_best(tables, "latency").chains):
        return _too_large(tables, _best(tables, "memory", capped=False).chains[0])
    parts = []
    for objective, limit in limits.items():
        split = _best(tables, objective).costs[0, OBJECTIVES.index(objective)]
        best = min([split, *(value(cost, objective) for cost in unsplit)])
        if best > limit:
            parts.append(f"{objective} ≤ {limit:.6g} {_UNITS[objective]}, the least possible is {best:.6g}")
    if parts:
        return f"no plan meets the limits: {'; '.join(parts)}; raise the limit or add a device"
    return f"no plan meets all limits together ({', '.join(limits)}), though each alone can be met; raise one of them"


def _best(tables: Tables, objective: Objective, capped: bool = True) -> Found:
    """The best chain in one objective. Without caps, memory counts by how far it exceeds them."""
    unbound, none = np.full(len(tables.names), np.inf), np.zeros(len(tables.names))
    caps, floors = (tables.caps, none) if capped else (unbound, tables.caps)
    return chains(tables, (objective,), Limits(np.inf, np.inf, np.inf, caps, floors))


def _unreached(tables: Tables) -> str:
    client = len(tables.names)
    begins = [name for d, name in enumerate(tables.names) if np.isfinite(tables.message_s[0, client, d])]
    ends = [name for d, name in enumerate(tables.names) if np.isfinite(tables.message_s[-1, d, client])]
    return (
        f"no chain in the order {', '.join(tables.names)} leads from the client through devices and back: the client reaches "
        f"{', '.join(begins) or 'no device'}, and {', '.join(ends) or 'no device'} can send to the client; add the missing links"
    )


def _too_large(tables: Tables, least: Chain) -> str:
    """``least`` is the chain that exceeds caps by the fewest bytes."""
    held: Counter[str] = Counter()
    caps: dict[str, float] = {}
    for device, start, stop in least:
        held[tables.hosts[device]] += int(tables.memory_bytes[device, start, stop])
        caps[tables.hosts[device]] = tables.caps[device]
    host = max(caps, key=lambda host: held[host] - caps[host])
    return (
        f"no plan fits in memory: at best host {host} needs {held[host]} bytes and has {caps[host]:.0f}, "
        f"{held[host] - caps[host]:.0f} too few; raise its memory_bytes, add a device, or use a lower precision"
    )
