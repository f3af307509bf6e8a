"""How little the rest of a chain can cost, and whether a label can still lead to anything new.

What is left after a cut is at least what the best chain from there takes in one objective alone, whatever the others then cost:
one backward pass for each. A label whose costs so far plus that are beaten by a plan that is known already leads nowhere.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.objectives import Objective
from partitioner.solve.columns import ROUNDING, Columns
from partitioner.solve.corners import Corners
from partitioner.solve.dominance import front
from partitioner.tables import Floats, Tables

__all__ = ["Bounds"]

LONG_S = 1e30
"""A period that stands for none."""

MOST_KNOWN = 64
"""Known plans that a label of three objectives or more is held against."""


class Bounds:
    """Bounds from below on every way from a state to the end, and plans that are known.

    Args:
        known: [n, m], what attainable plans cost in the objectives of the search, in the order of ``OBJECTIVES``.
        slack: share by which what is found has to be better than what is known, to be worth finding.
    """

    def __init__(self, tables: Tables, columns: Columns, known: Floats, *, slack: float = 0.0):
        self._tables, self._columns, self._slack = tables, columns, max(slack, -ROUNDING)
        self._known = known[front(known)]
        self._known = self._known[np.argsort(self._known[:, 0])]
        if len(self._known) > MOST_KNOWN and self._known.shape[1] > 2:
            self._known = self._known[np.linspace(0, len(self._known) - 1, MOST_KNOWN).astype(int)]
        asked = {*columns.objectives, *tables.limits}
        ways = {name: _backwards(tables, *parts) for name, parts in _parts(tables, columns, asked).items()}
        self._to_go = {name: to_go for name, (to_go, _) in ways.items()}
        self._onwards = {name: onwards for name, (_, onwards) in ways.items()}
        together = columns.objectives == ["latency", "period"] and len(self._known) > 1
        self._corners = Corners(tables, self._known) if together else None

    def hopeless(self, values: Floats, executor: int, position: int, *, ran: bool = False) -> NDArray[np.bool_]:
        """Which labels that wait at an executor, or have run there, cannot end within the limits, or beside the plans that are known."""
        columns = self._columns
        left = {name: float(table[position, executor]) for name, table in (self._onwards if ran else self._to_go).items()}
        loads = values[:, columns.loads].max(axis=1, initial=0.0)
        period: Floats = np.maximum(np.maximum(values[:, columns.PERIOD], loads), left.get("period", 0.0))

        def least(objective: Objective) -> Floats:
            if objective == "energy":
                idle_j = np.minimum(period, LONG_S) * values[:, columns.IDLE]
                joules: Floats = values[:, columns.ACTIVE] + left["active"] + idle_j
                return joules
            if objective == "period":
                return period
            so_far = values[:, columns.TIMES[objective]]
            if objective == "memory":
                return np.maximum(so_far, left["memory"])
            total: Floats = so_far + left[objective]
            return total

        over = np.zeros(len(values), bool)
        for objective, most in self._tables.limits.items():
            over |= least(objective) > most * (1 + ROUNDING)
        scale = (1 - ROUNDING) * (1 + self._slack)
        if self._corners is not None:
            ways = (self._corners.onwards if ran else self._corners.to_go)[position, executor]
            return over | self._corners.behind(values[:, columns.LATENCY] * scale, period * scale, ways * scale)
        return over | _beaten(np.column_stack([least(objective) for objective in columns.objectives]) * scale, self._known)


def _beaten(points: Floats, by: Floats) -> NDArray[np.bool_]:
    """Whether one of ``by`` [n, m], a front in the order of its first column, is nowhere larger and somewhere smaller."""
    if not len(by) or not len(points):
        return np.zeros(len(points), bool)
    beaten: NDArray[np.bool_]
    if by.shape[1] == 1:
        beaten = points[:, 0] > by[0, 0]
        return beaten
    if by.shape[1] == 2:
        at = np.searchsorted(by[:, 0], points[:, 0], side="right") - 1
        nearest = by[at]
        beaten = (at >= 0) & (nearest <= points).all(axis=1) & (nearest < points).any(axis=1)
        return beaten
    found = np.zeros(len(points), bool)
    for point in by:
        found |= (point <= points).all(axis=1) & (point < points).any(axis=1)
    return found


Part = tuple[Sequence[Floats], Floats, Callable[[Floats, Floats], Floats]]
"""Of a segment by executor [P, P], of a message with the beginning of the next stage [P, E + 1, E + 1], and how they join."""


def _parts(tables: Tables, columns: Columns, asked: set[Objective]) -> dict[str, Part]:
    size = len(tables.executors) + 1
    free = np.zeros((len(tables.positions), size, size))
    channels = tables.channels
    found: dict[str, Part] = {}
    if "latency" in asked:
        found["latency"] = ([who.latency_s for who in tables.executors], np.minimum.reduce([c.seconds for c in channels]), np.add)
    if columns.timed:
        loads = [np.where(np.isfinite(who.latency_s), np.maximum.reduce(who.load_s), np.inf) for who in tables.executors]
        carried = np.minimum.reduce([np.where(np.isfinite(c.message_s), c.link_load_s, np.inf) for c in channels])
        found["period"] = (loads, carried, np.maximum)
    possible = [np.where(np.isfinite(who.latency_s), 0.0, np.inf) for who in tables.executors]
    if "memory" in asked:
        held = [
            np.where(np.isfinite(who.latency_s), np.maximum.reduce([nbytes - tables.floors[host] for host, nbytes in who.memory]), np.inf)
            for who in tables.executors
        ]
        found["memory"] = (held, free, np.maximum)
    if "loss" in asked:
        lost = [(who.loss if who.loss is not None else 0.0) + p for who, p in zip(tables.executors, possible, strict=True)]
        found["loss"] = (lost, free + np.minimum.reduce([c.loss for c in channels])[:, None, None], np.add)
    if "devices" in asked:
        crew = np.array([*(len(who.devices) for who in tables.executors), 0.0])
        found["devices"] = (possible, free + crew[None, None, :], np.add)
    if "energy" in asked:
        joules = [(who.active_j if who.active_j is not None else 0.0) + p for who, p in zip(tables.executors, possible, strict=True)]
        found["active"] = (joules, free, np.add)
    return found


def _backwards(
    tables: Tables, segment: Sequence[Floats], message: Floats, join: Callable[[Floats, Floats], Floats]
) -> tuple[Floats, Floats]:
    """[P, E + 1] each: the least from a stage that begins at a position to the end, and from one that ends there."""
    last, client = len(tables.positions) - 1, len(tables.executors)
    message = np.where(tables.follows[None], message, np.inf)
    to_go = np.full((last + 1, client + 1), np.inf)
    to_go[last, client] = 0.0 if join is np.add else -np.inf
    onwards = np.full((last + 1, client + 1), np.inf)  # from a stage that ends there
    onwards[last] = join(message[last, :, client], to_go[last, client])
    for position in range(last - 1, -1, -1):
        for executor in range(client):
            to_go[position, executor] = join(segment[executor][position, position + 1 :], onwards[position + 1 :, executor]).min()
        onwards[position] = join(message[position], to_go[position][None, :]).min(axis=1)
    return to_go, onwards
