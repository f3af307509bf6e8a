"""Pareto label setting over a chain of cuts: every relayed chain that may matter, none that cannot.

A label is a way to run the units before a cut: its costs so far, with the message that crosses the cut already
at the device that runs on from there. Labels meet in states (cut, next device); one that another beats in every
coordinate that the future can still touch is dropped, which is exact because costs only add up or take maxima
(Martins 1984, label setting for multi-objective shortest paths).

    cut        0         p              q            end
    client ────▶ a ──────▶ b ───────────▶ c ────────▶ client
                         │←  segment   →│
                  label at (p, b)   label at (q, c):   b's receive + compute + send is now complete
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.front import Objective
from partitioner.dominance import front
from partitioner.tables import Floats, Tables

__all__ = ["Chain", "Found", "Limits", "chains"]

Chain = tuple[tuple[int, int, int], ...]
"""Stages as (device number, first position, last position)."""

_LATENCY, _PERIOD, _MEMORY, _RECEIVE, _SUMS = range(5)


class Limits(NamedTuple):
    """Bounds that no label may pass. Memory is counted above ``floors`` [K], 0 unless caps are being questioned."""

    latency_s: float
    period_s: float
    memory_bytes: float
    caps: Floats
    floors: Floats


class Found(NamedTuple):
    """Chains with their costs [n, 3] in the order of ``OBJECTIVES``, exact in those asked for, and how many labels were set."""

    chains: list[Chain]
    costs: Floats
    labels: int


class _Shelf:
    """The labels that wait at one device, in the order of their cuts; grows by doubling."""

    def __init__(self, columns: int):
        self.count = 0
        self._values = np.empty((64, columns))
        self._links = np.empty((64, 3), np.intp)  # position, device before, its label there

    @property
    def values(self) -> Floats:
        return self._values[: self.count]

    @property
    def links(self) -> NDArray[np.intp]:
        return self._links[: self.count]

    def add(self, values: Floats, links: NDArray[np.intp]) -> None:
        stop = self.count + len(values)
        while stop > len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
            self._links = np.concatenate([self._links, np.empty_like(self._links)])
        self._values[self.count : stop], self._links[self.count : stop] = values, links
        self.count = stop


class _Search(NamedTuple):
    """What stays the same while labels are set: which columns matter at each receiver, and where hosts keep their sums."""

    tables: Tables
    limits: Limits
    matters: tuple[list[int], ...]
    host_column: tuple[int | None, ...]
    columns: int


def chains(tables: Tables, objectives: Collection[Objective], limits: Limits) -> Found:
    """The chains that no other chain dominates in ``objectives`` within ``limits``.

    Each device runs at most one stage, in the order of the tables. Of chains with equal costs one stays.
    """
    search = _prepare(tables, objectives, limits)
    client, last = len(tables.names), len(tables.positions) - 1
    shelves = [_Shelf(search.columns) for _ in range(client + 1)]
    for device in range(client):
        start = np.zeros((1, search.columns))
        start[:, _MEMORY] = -np.inf
        _settle(search, shelves, device, [_sent(search, start, np.zeros(1), client, device, 0)], [np.array([[0, client, -1]])])
    for position in range(1, last + 1):
        ran = [_run(search, shelves[device], device, position) for device in range(client)]
        for receiver in [client] if position == last else range(1, client):
            arrived, links = [], []
            for device in range(receiver):
                rows, values, load = ran[device]
                if len(rows):
                    arrived.append(_sent(search, values, load, device, receiver, position))
                    links.append(np.column_stack([np.full_like(rows, position), np.full_like(rows, device), rows]))
            _settle(search, shelves, receiver, arrived, links)
    found = [_trace(shelves, client, row, last) for row in range(shelves[client].count)]
    return Found(found, shelves[client].values[:, [_LATENCY, _PERIOD, _MEMORY]], sum(shelf.count for shelf in shelves))


def _run(search: _Search, shelf: _Shelf, device: int, position: int) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Run every waiting label's segment up to ``position``: its rows that fit in memory, their costs, the device's load so far."""
    tables, limits, host = search.tables, search.limits, search.host_column[device]
    starts = shelf.links[:, 0]
    held = tables.memory_bytes[device, starts, position]
    if host is not None:
        held = held + shelf.values[:, host]
    rows = np.flatnonzero(held <= limits.caps[device])
    values, held = shelf.values[rows], held[rows]
    compute = tables.compute_s[device, starts[rows], position]
    values[:, _LATENCY] += compute
    values[:, _MEMORY] = np.maximum(values[:, _MEMORY], held - limits.floors[device])
    if host is not None:
        values[:, host] = held
    return rows, values, values[:, _RECEIVE] + compute


def _sent(search: _Search, values: Floats, load: Floats, source: int, receiver: int, position: int) -> Floats:
    """Send what crosses ``position``: the source's load is complete, the receiver's begins. Unreachable is infinite."""
    tables = search.tables
    nbytes = tables.cut_bytes[position]
    values = values.copy()
    values[:, _LATENCY] += tables.message_s[position, source, receiver]
    shared = slice(_SUMS, _SUMS + len(tables.shared_s_per_byte))
    values[:, shared] += nbytes * tables.shared_s_per_byte[:, source, receiver]
    period = np.maximum(load + nbytes * tables.send_s_per_byte[source, receiver], tables.link_load_s[position, source, receiver])
    values[:, _PERIOD] = np.max(np.column_stack([values[:, _PERIOD], period, values[:, shared]]), axis=1)
    values[:, _RECEIVE] = nbytes * tables.receive_s_per_byte[source, receiver]
    return values


def _settle(search: _Search, shelves: list[_Shelf], receiver: int, arrived: list[Floats], links: list[NDArray[np.intp]]) -> None:
    """Keep the labels of one state that are within limits and not dominated."""
    if not arrived:
        return
    values, limits = np.concatenate(arrived), search.limits
    bounds = (limits.latency_s, limits.period_s, limits.memory_bytes)
    allowed = np.isfinite(values[:, _LATENCY]) & (values[:, [_LATENCY, _PERIOD, _MEMORY]] <= bounds).all(axis=1)
    rows = np.flatnonzero(allowed)
    rows = rows[front(values[rows][:, search.matters[receiver]])]
    shelves[receiver].add(values[rows], np.concatenate(links)[rows])


def _prepare(tables: Tables, objectives: Collection[Objective], limits: Limits) -> _Search:
    """Choose the columns: sums of what several links or devices share, as far as an objective or a bound asks for them."""
    client, shared = len(tables.names), len(tables.shared_s_per_byte)
    timed = "period" in objectives or limits.period_s < np.inf
    sized = "memory" in objectives or limits.memory_bytes < np.inf
    several = dict.fromkeys(host for host in tables.hosts if tables.hosts.count(host) > 1)
    column = {host: _SUMS + shared + i for i, host in enumerate(several)}
    base = [_LATENCY] if "latency" in objectives or limits.latency_s < np.inf else []
    base += [_PERIOD] if timed else []
    base += [_MEMORY] if sized else []
    matters = []
    for receiver in range(client + 1):
        later = [*range(receiver, client)]
        live = [_SUMS + i for i in range(shared) if timed and tables.shared_s_per_byte[i, later].any()]
        live += [column[h] for h in several if any(tables.hosts[d] == h and (sized or limits.caps[d] < np.inf) for d in later)]
        matters.append(base if receiver == client else [*base, *([_RECEIVE] if timed else []), *live])
    columns = _SUMS + shared + len(column)
    return _Search(tables, limits, tuple(matters), tuple(column.get(h) for h in tables.hosts), columns)


def _trace(shelves: list[_Shelf], client: int, row: int, last: int) -> Chain:
    """Follow a label back to the client."""
    stages: list[tuple[int, int, int]] = []
    position, device, row = (int(value) for value in shelves[client].links[row])
    while device != client:
        before, source, row = (int(value) for value in shelves[device].links[row])
        stages.append((device, before, position))
        position, device = before, source
    return tuple(reversed(stages))
