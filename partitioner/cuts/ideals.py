"""The down-sets of a partial order: every place where a graph that branches can be cut in two.

A stage is the difference of two nested down-sets, and a pipeline a chain of them, so that what cuts are for a network without
branches down-sets are for any (Tarnawski et al. 2020, device placement by dynamic programming over ideals).

    a ─▶ b ─▶ d       {} {a} {ab} {ac} {abc} {abcd}
     ╲─▶ c ──╱
"""

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import PlanError
from partitioner.tables import Floats

__all__ = ["Lattice", "lattice", "merged", "serial_loads"]

MOST = 6000
"""Down-sets beyond which their pairs no longer fit into memory comfortably: 36 million."""


class Lattice(NamedTuple):
    """N down-sets of V elements, smaller ones first.

    Attributes:
        members: [N, V], 1 where an element is in.
        nested: [N, N], whether one is a proper part of the other.
    """

    members: NDArray[np.float32]
    nested: NDArray[np.bool_]

    def sums(self, values: Floats) -> Floats:
        """[N, N]: of a value of each element, the sum over the difference of two nested down-sets; infinite elsewhere."""
        totals = self.members.astype(np.float64) @ values
        return np.where(self.nested, totals[None, :] - totals[:, None], np.inf)


def lattice(count: int, edges: Iterable[tuple[int, int]], most: int = MOST) -> Lattice:
    """All down-sets of elements ``0 … count - 1``, of which edges say which comes before which.

    Raises:
        PlanError: the edges form a circle, or there are more than ``most`` down-sets.
    """
    before = [0] * count
    for source, receiver in edges:
        before[receiver] |= 1 << source
    level, found = {0}, [0]
    for _ in range(count):
        level = {down | 1 << v for down in level for v in range(count) if not down >> v & 1 and before[v] & ~down == 0}
        found += sorted(level)
        if len(found) > most:
            raise PlanError(f"the graph has more than {most} places to be cut; fix an order of its nodes, or keep more of them together")
    if found[-1] != (1 << count) - 1 or not count:
        raise PlanError("the edges of the graph form a circle, or it is empty; a network goes from inputs to outputs")
    width = (count + 7) // 8
    packed = np.frombuffer(b"".join(down.to_bytes(width, "little") for down in found), np.uint8).reshape(-1, width)
    members = np.unpackbits(packed, axis=1, count=count, bitorder="little").astype(np.float32)
    sizes = members.sum(axis=1)
    nested = (members @ members.T == sizes[:, None]) & (sizes[:, None] < sizes[None, :])
    return Lattice(members, nested)


def serial_loads(found: Lattice, compute_s: Floats, send_s: Floats, edges: Sequence[tuple[int, int]]) -> Floats:
    """[N, N]: seconds of a device that computes a stage and in between receives what it needs and sends what others need.

    Each element's result takes ``send_s`` once at its sender, and once at each receiver, however many read it there.
    """
    members, count = found.members.astype(np.float64), len(compute_s)
    readers = np.zeros((count, count))
    for source, receiver in set(edges):
        readers[source, receiver] = 1
    inside = members @ readers.T  # how many of an element's readers a down-set holds
    open_ = members * (inside < readers.sum(axis=1)) * send_s  # made, and read outside
    loads = found.sums(compute_s)
    loads += open_.sum(axis=1)[None, :] - members @ open_.T
    alone = readers.sum(axis=1) == 1
    only = readers * alone[:, None]
    loads += (((members * send_s) @ only) * (1 - members)) @ members.T  # the one reader is outside the first, inside the second
    for element in np.flatnonzero(~alone & (readers.sum(axis=1) > 0) & (send_s > 0)):
        has = members[:, element] > 0
        loads[has] += send_s[element] * (inside[None, :, element] > inside[has, None, element])
    return loads


def merged(count: int, edges: Iterable[tuple[int, int]], together: Iterable[Sequence[int]]) -> list[int]:
    """For each element the number of its group: those that have to stay together, and those that lie between two of a group.

    Groups are numbered in an order in which edges only lead onwards.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = list(edges)
    for group in together:
        links += [pair for a, b in pairwise(group) for pair in ((a, b), (b, a))]
    sources, receivers = np.array(links, np.intp).reshape(-1, 2).T
    matrix = coo_array((np.ones(len(links), bool), (sources, receivers)), shape=(count, count))
    groups = connected_components(matrix, connection="strong")[1].tolist()
    sorter: TopologicalSorter[int] = TopologicalSorter({group: () for group in groups})
    for source, receiver in links:
        if groups[source] != groups[receiver]:
            sorter.add(groups[receiver], groups[source])
    rank = {group: number for number, group in enumerate(sorter.static_order())}
    return [rank[group] for group in groups]
