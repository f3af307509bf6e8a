"""Prices many plans of one graph, and keeps those that keep to what is asked."""

from collections.abc import Iterable
from contextlib import suppress

from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.constraints import Constraints
from edgekit.errors import PlanError
from edgekit.front import cost_of
from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.plan import Plan, ranged
from edgekit.profiles import Profiles
from partitioner.alternatives import direct
from partitioner.compliance import broken
from partitioner.cost import price_valid
from partitioner.footprints import Footprints

__all__ = ["Pricing"]


class Pricing:
    """A graph on a cluster under constraints; what is the same for all plans in one order of the units is worked out once."""

    def __init__(self, graph: Graph, cluster: Cluster, profiles: Profiles, constraints: Constraints, *, losses: Losses | None = None):
        self._cluster, self._profiles, self._constraints, self._losses = cluster, profiles, constraints, losses
        self._views = {graph.order: (graph, Footprints(graph))}
        self._own = graph.order

    def view(self, order: tuple[int, ...]) -> tuple[Graph, Footprints]:
        """The graph with its units in that order, and its footprints."""
        if order not in self._views:
            own, footprints = self._views[self._own]
            ordered = own.in_order(order)
            self._views[order] = (ordered, Footprints(ordered, footprints))
        return self._views[order]

    def priced(self, plan: Plan) -> Plan:
        """A valid plan with its predicted cost, and the ranges of what it sends in u8c."""
        graph, footprints = self.view(plan.order)
        plan = ranged(plan, self._losses.ranges) if self._losses else plan
        interval_s = self._constraints.interval_s
        return replace(
            plan, predicted=price_valid(plan, graph, self._cluster, self._profiles, footprints, interval_s=interval_s, losses=self._losses)
        )

    def allows(self, plan: Plan) -> bool:
        """Whether a priced plan keeps to caps and constraints, and what it loses is known where losses are."""
        cost = cost_of(plan)
        known = self._losses is None or cost.accuracy_loss is not None
        return known and not broken(plan, cost, self._cluster, self._constraints)

    def kept(self, plans: Iterable[Plan]) -> list[Plan]:
        """Those that do, priced."""
        return [plan for plan in map(self.priced, plans) if self.allows(plan)]

    def straight(self, plans: Iterable[Plan]) -> list[Plan]:
        """Those chains whose tensors can go straight to where they are read, priced so."""
        found = []
        for plan in plans:
            other = direct(plan, self.view(plan.order)[0])
            with suppress(PlanError):  # two of the devices have no link
                found += self.kept([other] if other else [])
        return found
