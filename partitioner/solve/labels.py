"""Pareto label setting over cuts: every relayed chain that may matter, none that cannot.

A label is a way to run the units before a cut: its costs so far, with the message that crosses the cut already
at the executor that runs on from there. Labels meet in states (cut, next executor); one that another beats in every
coordinate that the future can still touch is dropped, which is exact because costs only add up or take maxima
(Martins 1984, label setting for multi-objective shortest paths).

    cut        0         p              q            end
    client ────▶ a ──────▶ b ───────────▶ c ────────▶ client
                         │←  segment   →│
                  label at (p, b)   label at (q, c):   b's receive + compute + send is now complete

Cuts may be those of a chain or the down-sets of a graph; what is not nested takes infinitely long. Where the order of the
devices is free, how many of each kind are in use is a coordinate too: who has used fewer can do whatever others can.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.objectives import OBJECTIVES, Objective
from partitioner.solve.bounds import Bounds
from partitioner.solve.columns import Columns
from partitioner.solve.dominance import front
from partitioner.tables import Channel, Floats, Tables, thinned

__all__ = ["Chain", "Found", "Hop", "chains"]


class Hop(NamedTuple):
    """A stage by numbers: its executor, its two positions, and the channel by which its results go on."""

    executor: int
    start: int
    stop: int
    channel: int = 0


Chain = tuple[Hop, ...]
Indices = NDArray[np.intp]

MERGE = 32
"""From so many labels on, those that have just run are screened before they are sent to every receiver."""

COARSER = 4
"""One in so many positions is searched first: its plans tell which labels of the whole lead nowhere."""

FEW = 20
"""Positions that are searched at once."""


class Found(NamedTuple):
    """Chains with their costs [n, 6] in the order of ``OBJECTIVES``, exact in those asked for, and how many labels were set."""

    chains: list[Chain]
    costs: Floats
    labels: int


class _Shelf:
    """The labels that wait at one executor, in the order of their cuts; grows by doubling."""

    def __init__(self, columns: int):
        self.count = 0
        self._values = np.empty((64, columns))
        self._links = np.empty((64, 4), np.intp)  # position, executor before, its label there, channel

    @property
    def values(self) -> Floats:
        return self._values[: self.count]

    @property
    def links(self) -> Indices:
        return self._links[: self.count]

    def add(self, values: Floats, links: Indices) -> None:
        stop = self.count + len(values)
        while stop > len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
            self._links = np.concatenate([self._links, np.empty_like(self._links)])
        self._values[self.count : stop], self._links[self.count : stop] = values, links
        self.count = stop


def chains(tables: Tables, objectives: Collection[Objective], *, epsilon: float = 0.0, known: Sequence[Sequence[float]] = ()) -> Found:
    """The chains that no other chain dominates in ``objectives`` within the limits of the tables.

    Of chains with equal costs one stays. With ``epsilon`` each chain that is left out is within a factor of
    ``1 + epsilon`` of one that stays, in every objective (Warburton 1987).

    Args:
        known: what chains that there are cost, in the objectives as ``OBJECTIVES`` has them in order; it only saves time.
    """
    columns = Columns(tables, objectives)
    half = float(np.sqrt(1 + epsilon) - 1)  # what is lost among labels, and what is lost beside plans that are known, multiply
    coarse = Found([], np.empty((0, len(OBJECTIVES))), 0) if known else _coarse(tables, objectives, epsilon)
    points = np.concatenate([np.array(known, np.float64).reshape(-1, len(columns.objectives)), columns.asked(coarse.costs)])
    search = _Search(tables, columns, Bounds(tables, columns, points, slack=half), half)
    client, last = len(tables.executors), len(tables.positions) - 1
    begin = np.zeros((1, search.columns.count))
    begin[:, Columns.MEMORY] = -np.inf
    search.send(0, begin, np.array([client]), np.array([-1]), range(client))
    for position in range(1, last + 1):
        ran = [search.run(executor, position) for executor in range(client)]
        values = np.concatenate([values for _, values in ran])
        if len(values):
            rows = np.concatenate([rows for rows, _ in ran])
            sources = np.repeat(np.arange(client), [len(rows) for rows, _ in ran])
            search.send(position, values, sources, rows, [client] if position == last else range(client))
    shelf = search.shelves[client]
    found = [search.trace(row) for row in range(shelf.count)]
    costs, labels = search.columns.costs(shelf.values), sum(shelf.count for shelf in search.shelves)
    found, costs = found + coarse.chains, np.concatenate([costs, coarse.costs])  # what is known stands for what was left out
    best = front(columns.asked(costs)).tolist()
    return Found([found[i] for i in best], costs[best], labels)


def _coarse(tables: Tables, objectives: Collection[Objective], epsilon: float) -> Found:
    """Chains that are cut at some of the positions only."""
    last = len(tables.positions) - 1
    if last < FEW:
        return Found([], np.empty((0, len(OBJECTIVES))), 0)
    at = [*range(0, last, COARSER), last]
    found = chains(thinned(tables, np.array(at)), objectives, epsilon=epsilon)
    placed = [tuple(hop._replace(start=at[hop.start], stop=at[hop.stop]) for hop in hops) for hops in found.chains]
    return found._replace(chains=placed)


class _Search:
    """Labels in the making."""

    def __init__(self, tables: Tables, columns: Columns, bounds: Bounds, epsilon: float):
        self.tables, self.columns, self.bounds = tables, columns, bounds
        self.step = np.log1p(epsilon) / (tables.most_stages + 1)
        self.shelves = [_Shelf(columns.count) for _ in range(len(tables.executors) + 1)]

    def run(self, executor: int, position: int) -> tuple[Indices, Floats]:
        """Run every waiting label's segment up to ``position``: its rows that fit in memory, with the executor's load so far."""
        columns, shelf, who = self.columns, self.shelves[executor], self.tables.executors[executor]
        starts = shelf.links[:, 0]
        seconds = who.latency_s[starts, position]
        fits = np.isfinite(seconds)
        held = []
        for (host, nbytes), processes in zip(who.memory, who.processes, strict=True):
            sums = columns.host[host]
            rings = shelf.values[:, columns.more].sum(axis=1) * processes
            held.append(nbytes[starts, position] + rings + (shelf.values[:, sums] if sums is not None else 0.0))
            fits &= held[-1] <= self.tables.caps[host]
        rows = np.flatnonzero(fits)
        starts, values = starts[rows], shelf.values[rows]
        if not len(rows):
            return rows, values
        values[:, Columns.LATENCY] += seconds[rows]
        for number, ((host, _), nbytes) in enumerate(zip(who.memory, held, strict=True)):
            if columns.more.stop > columns.more.start:
                values[:, columns.own.start + number] = nbytes[rows]
            values[:, Columns.MEMORY] = np.maximum(values[:, Columns.MEMORY], nbytes[rows] - self.tables.floors[host])
            if (sums := columns.host[host]) is not None:
                values[:, sums] = nbytes[rows]
        for number, load in enumerate(who.load_s):
            values[:, columns.loads.start + number] += load[starts, position]
        if who.active_j is not None:
            values[:, Columns.ACTIVE] += who.active_j[starts, position]
        if who.loss is not None:
            values[:, Columns.LOSS] += who.loss[starts, position]
        hopes = np.flatnonzero(~self.bounds.hopeless(values, executor, position, ran=True))
        rows, values = rows[hopes], values[hopes]
        if len(rows) >= MERGE:
            kept = front(columns.judged(values, executor, 0.0))
            rows, values = rows[kept], values[kept]
        return rows, values

    def send(self, position: int, values: Floats, sources: Indices, rows: Indices, receivers: Collection[int]) -> None:
        """Send what crosses ``position`` to each receiver that may follow, and keep what nothing beats there."""
        for receiver in receivers:
            may = np.flatnonzero(self.tables.follows[sources, receiver])
            arrived, links = [], []
            for number, channel in enumerate(self.tables.channels) if len(may) else ():
                came = self._sent(position, values[may], sources[may], receiver, channel)
                allowed = np.flatnonzero(self.columns.allowed(came, receiver))
                if not len(allowed):
                    continue
                came = came[allowed]
                hopes = np.flatnonzero(~self.bounds.hopeless(came, receiver, position))
                arrived.append(came[hopes])
                origin = may[allowed[hopes]]
                one = np.ones_like(origin)
                links.append(np.column_stack([position * one, sources[origin], rows[origin], number * one]))
            if arrived:
                self._settle(receiver, np.concatenate(arrived), np.concatenate(links))

    def _sent(self, position: int, values: Floats, sources: Indices, receiver: int, channel: Channel) -> Floats:
        """The source's load and memory are complete, the receiver's begin. Unreachable is infinite."""
        tables, columns = self.tables, self.columns
        self._share_rings(position, values, sources, receiver)
        tolls = ((tables.messages[position], tables.per_message), (channel.nbytes[position], tables.per_byte))
        values[:, Columns.LATENCY] += channel.message_s[position, sources, receiver]
        loads, shared = values[:, columns.loads], values[:, columns.shared]
        for amount, toll in tolls:
            loads += amount * toll.send[sources, receiver]
            shared += amount * toll.shared[:, sources, receiver].T
        if channel.encode is not None:
            values[:, Columns.LATENCY] += channel.encode.seconds[position, sources]
            values[:, Columns.ACTIVE] += channel.encode.active_j[position, sources]
            loads += channel.encode.load_s[position, sources]
        busiest = [values[:, Columns.PERIOD], channel.link_load_s[position, sources, receiver], loads.max(axis=1, initial=0.0)]
        values[:, Columns.PERIOD] = np.maximum.reduce([*busiest, shared.max(axis=1, initial=0.0)])
        loads[:] = sum(amount * toll.receive[sources, receiver] for amount, toll in tolls)
        if channel.decode is not None:
            values[:, Columns.LATENCY] += channel.decode.seconds[position, receiver]
            values[:, Columns.ACTIVE] += channel.decode.active_j[position, receiver]
            loads += channel.decode.load_s[position, receiver]
        values[:, Columns.LOSS] += channel.loss[position]
        if receiver < len(tables.executors):
            columns.begin(values, receiver)
        return values

    def _share_rings(self, position: int, values: Floats, sources: Indices, receiver: int) -> None:
        """Count the rings that both ends have for all replicas of the other but the first; what does not fit is unreachable."""
        tables, columns, client = self.tables, self.columns, len(self.tables.executors)
        if columns.more.start == columns.more.stop:
            return
        more = tables.rings[position] * (len(tables.executors[receiver].devices) - 1 if receiver < client else 0)
        for source in np.unique(sources[sources < client]).tolist() if more else ():
            who, rows = tables.executors[source], np.flatnonzero(sources == source)
            for number, ((host, _), processes) in enumerate(zip(who.memory, who.processes, strict=True)):
                held = values[rows, columns.own.start + number] + more * processes
                values[rows, Columns.MEMORY] = np.maximum(values[rows, Columns.MEMORY], held - tables.floors[host])
                values[rows[held > tables.caps[host]], Columns.LATENCY] = np.inf
                if (sums := columns.host[host]) is not None:
                    values[rows, sums] = held
        crews = np.array([*(len(who.devices) for who in tables.executors), 1])
        values[:, columns.own] = 0.0
        values[:, columns.more] = (tables.rings[position] * (crews[sources] - 1))[:, None]

    def _settle(self, receiver: int, values: Floats, links: Indices) -> None:
        """Keep the labels of one state that are not dominated."""
        rows = front(self.columns.judged(values, receiver, self.step))
        self.shelves[receiver].add(values[rows], links[rows])

    def trace(self, row: int) -> Chain:
        """Follow a label back to the client."""
        client, hops = len(self.tables.executors), []
        stop, executor, row, channel = (int(value) for value in self.shelves[client].links[row])
        while executor != client:
            start, before, row, carried = (int(value) for value in self.shelves[executor].links[row])
            hops.append(Hop(executor, start, stop, channel))
            stop, executor, channel = start, before, carried
        return tuple(reversed(hops))
