"""The coordinates of a label, and in which of them one label has to be no worse than another to make it superfluous.

latency period memory active idle loss devices stages | loads … | shared … | held … | rest … | used … | own … | more

loads    of each device of the executor that the label waits at: what it has received so far
shared   of each resource that several links share
held     bytes on each host that several devices share
rest     of each such host: -1 once it is powered, 0 before, so that it is paid for once
used     how many devices of each kind are in use, where their order is free
own      bytes of the stage that has just run, in each of its memories, where stages may have replicas: who is next is not known yet
more     bytes of the rings that each of its processes has for all replicas of its source but the first
"""

from collections.abc import Collection
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.objectives import OBJECTIVES, Objective
from partitioner.tables import Floats, Tables

__all__ = ["Columns"]

ROUNDING = 1e-12
"""By how much sums in another order may differ; priced plans are held to the letter."""


class Columns:
    """Where each coordinate of a label stands.

    Attributes:
        count: of all columns.
        loads, shared: the columns of loads, and those of shared resources.
        own, more: those of rings for replicas; empty where a stage has one device.
        host: for each host the column that holds its bytes; None where one device alone has it.
        matters: for each executor the columns that count in a comparison there.
    """

    LATENCY, PERIOD, MEMORY, ACTIVE, IDLE, LOSS, DEVICES, STAGES = range(8)
    TIMES: ClassVar[dict[Objective, int]] = {"latency": 0, "period": 1, "memory": 2, "loss": 5, "devices": 6}

    def __init__(self, tables: Tables, objectives: Collection[Objective]):
        self.tables = tables
        limited = {objective for objective, most in tables.limits.items() if np.isfinite(most)}
        asked = {*objectives, *limited}
        self.objectives = [objective for objective in OBJECTIVES if objective in objectives]
        self.rested = "energy" in asked and tables.interval_s is None and bool(np.any(tables.idle_w > 0))
        self.powered = "energy" in asked
        self.timed = "period" in asked or self.rested
        self.sized = "memory" in asked
        several = [host for host in range(len(tables.hosts)) if tables.host_of.count(host) > 1]
        stop = self.STAGES + 1 + tables.per_byte.send.shape[2]
        self.loads = slice(self.STAGES + 1, stop)
        self.shared = slice(stop, stop := stop + len(tables.per_byte.shared))
        self.host: list[int | None] = [None] * len(tables.hosts)
        for column, host in enumerate(several, stop):
            self.host[host] = column
        stop += len(several)
        self.rest: list[int | None] = [None] * len(tables.hosts)
        for column, host in enumerate(several if self.powered else (), stop):
            self.rest[host] = column
        stop += len(several) if self.powered else 0
        self.used = slice(stop, stop + len(tables.available))
        replicas = max((len(who.devices) for who in tables.executors), default=1) > 1
        self.own = slice(self.used.stop, self.used.stop + (max(len(who.memory) for who in tables.executors) if replicas else 0))
        self.more = slice(self.own.stop, self.own.stop + int(replicas))
        self.count = self.more.stop
        self.matters = self._matters(asked)
        self.exact = self._exact(limited)

    def _exact(self, limited: set[Objective]) -> set[int]:
        """Columns that are never rounded: numbers of things, and what a limit is held against."""
        exact = {self.DEVICES, self.STAGES, *range(self.shared.stop, self.count)}
        exact |= {self.TIMES[objective] for objective in limited if objective != "energy"}
        if "energy" in limited:
            exact |= {self.ACTIVE, self.IDLE}
        if "period" in limited or ("energy" in limited and self.rested):
            exact |= {self.PERIOD, *range(self.loads.start, self.shared.stop)}
        return exact

    def _matters(self, asked: set[Objective]) -> list[list[int]]:
        """What the future can still touch, by executor."""
        tables, client = self.tables, len(self.tables.executors)
        base = [column for objective, column in self.TIMES.items() if objective in asked and objective != "period"]
        base += [self.PERIOD] if self.timed else []
        base += [self.ACTIVE] if self.powered else []
        base += [self.IDLE] if self.rested else []
        base += [self.STAGES] if tables.most_stages < tables.longest else []
        found = []
        for executor in range(client):
            later = np.flatnonzero(tables.reach[executor, :client])
            live = list(base)
            if self.timed:
                live += range(self.loads.start, self.loads.start + len(tables.executors[executor].devices))
                tolls = zip(tables.per_message.shared, tables.per_byte.shared, strict=True)
                live += [self.shared.start + i for i, toll in enumerate(tolls) if any(table[later].any() for table in toll)]
            for host in {host for number in later for host in tables.executors[number].hosts}:
                live += [c for c in [self.host[host]] if c is not None and (self.sized or np.isfinite(tables.caps[host]))]
                live += [c for c in [self.rest[host]] if c is not None]
            capped = self.sized or any(np.isfinite(tables.caps[host]) for host, _ in tables.executors[executor].memory)
            live += range(self.own.start, self.more.stop) if capped else ()
            found.append([*live, *range(self.used.start, self.used.stop)])
        return found

    def begin(self, values: Floats, receiver: int) -> None:
        """A stage begins at ``receiver``: it counts, and so does what its machine takes at rest."""
        who = self.tables.executors[receiver]
        values[:, self.DEVICES] += len(who.devices)
        values[:, self.STAGES] += 1
        values[:, self.used] += who.needs
        if not self.powered:
            return
        for host in who.hosts:
            watts = self.tables.idle_w[host]
            fresh: Floats = np.ones(len(values))
            if (column := self.rest[host]) is not None:
                fresh = 1.0 + values[:, column]
                values[:, column] = -1.0
            if self.tables.interval_s is None:
                values[:, self.IDLE] += watts * fresh
            else:
                values[:, self.ACTIVE] += watts * self.tables.interval_s * fresh

    def allowed(self, values: Floats, receiver: int) -> NDArray[np.bool_]:
        """Rows that are possible at all, whatever they cost."""
        tables = self.tables
        keep: NDArray[np.bool_] = np.isfinite(values[:, self.LATENCY])
        keep &= values[:, self.STAGES] <= tables.most_stages
        if receiver == len(tables.executors):
            keep &= (values[:, self.used] >= tables.required).all(axis=1)
        keep &= (values[:, self.used] <= tables.available).all(axis=1)
        return keep

    def value(self, values: Floats, objective: Objective) -> Floats:
        """An objective of labels as far as they have come."""
        if objective != "energy":
            return values[:, self.TIMES[objective]]
        rest: Floats = values[:, self.ACTIVE] + values[:, self.PERIOD] * values[:, self.IDLE]
        return rest

    def costs(self, values: Floats) -> Floats:
        """[n, 6], of labels that are complete."""
        return np.column_stack([self.value(values, objective) for objective in OBJECTIVES])

    def asked(self, costs: Floats) -> Floats:
        """[n, m] of costs [n, 6]: those in the objectives of the search."""
        return costs[:, [OBJECTIVES.index(objective) for objective in self.objectives]]

    def judged(self, values: Floats, receiver: int, step: float) -> Floats:
        """What is compared at ``receiver``; with ``step`` times are rounded down to powers of e^step."""
        if receiver == len(self.tables.executors):
            final = np.column_stack([self.value(values, objective) for objective in self.objectives])
            return final if not step else _rounded(final, step)
        columns = self.matters[receiver]
        seen = values[:, columns]
        if step:
            exact = [i for i, column in enumerate(columns) if column in self.exact]
            kept = seen[:, exact]
            seen = _rounded(seen, step)
            seen[:, exact] = kept
        both = [self.used.start + kind for kind in np.flatnonzero(self.tables.required)]  # of what is required, more may be better
        return np.column_stack([seen, -values[:, both]]) if both else seen


def _rounded(values: Floats, step: float) -> Floats:
    with np.errstate(divide="ignore"):
        cells: Floats = np.floor(np.log(np.maximum(values, 0.0)) / step)
    return cells
