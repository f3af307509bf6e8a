"""The profile of a network in another precision, told in the units of the one it was made of.

fp32     unit 0: Conv ─ a            unit 1: Conv ─ y
int8     Q DQ ─ Conv ─ a ─ Q DQ ─    Conv ─ y            every node goes with the unit that makes its tensor, or with who reads it
"""

from collections.abc import Mapping

from msgspec.structs import replace

from edgekit.graph import Graph
from edgekit.profile import Kernel, Profile

__all__ = ["as_units_of"]


def as_units_of(graph: Graph, twin: Graph, profile: Profile) -> Profile:
    """A twin's profile as one of the graph; of its segments only the whole is one."""
    homes = _homes(graph, twin)
    return replace(
        profile,
        graph=graph.digest,
        unit_count=len(graph.units),
        kernels=tuple(_moved(kernel, homes) for kernel in profile.kernels),
        segments=(replace(profile.whole, stop=len(graph.units)),),
        twin=twin.digest,
    )


def _moved(kernel: Kernel, homes: Mapping[int, tuple[int, ...]]) -> Kernel:
    even = (1 / max(1, len(kernel.units)),) * len(kernel.units)
    shares: dict[int, float] = {}
    for unit, share in zip(kernel.units, kernel.shares or even, strict=True):
        for home in homes[unit]:
            shares[home] = shares.get(home, 0.0) + share / len(homes[unit])
    return replace(kernel, units=tuple(sorted(shares)), shares=tuple(shares[unit] for unit in sorted(shares)))


def _homes(graph: Graph, twin: Graph) -> dict[int, tuple[int, ...]]:
    """For each unit of the twin those of the graph that its nodes belong to."""
    made_in = {name: unit for unit in range(len(graph.units)) for node in graph.unit_nodes(unit) for name in node.outputs}
    of_tensor: dict[str, int] = {}
    found: dict[int, tuple[int, ...]] = {}
    for unit in range(len(twin.units)):
        homes = set()
        for node in twin.unit_nodes(unit):
            known = [made_in[name] for name in node.outputs if name in made_in]
            behind = [of_tensor[name] for name in node.inputs if name in of_tensor]
            home = max(known or behind, default=None)
            if home is not None:
                of_tensor |= dict.fromkeys(node.outputs, home)
                if known or node.macs:
                    homes.add(home)
        found[unit] = tuple(sorted(homes))
    last = 0
    for unit in range(len(twin.units)):  # what only moves data goes with what came before it
        found[unit] = found[unit] or (last,)
        last = found[unit][-1]
    return found
