"""The plans that no other plan dominates, with the certificate of the method that found them."""

from typing import Literal

from msgspec import Struct

from edgekit.errors import PlanError
from edgekit.plan import Cost, Plan
from edgekit.quantity import Count, Name

__all__ = ["OBJECTIVES", "Certificate", "Front", "Objective", "value"]

Objective = Literal["latency", "period", "memory"]

OBJECTIVES: tuple[Objective, ...] = ("latency", "period", "memory")
"""Quantities to minimise: seconds of a frame alone, seconds per frame in a full pipeline, peak bytes of a host."""


def value(cost: Cost, objective: Objective) -> float:
    """One objective of a cost, in SI units."""
    return {"latency": cost.latency_s, "period": cost.period_s, "memory": float(cost.peak_memory_bytes)}[objective]


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the front: exact under the stated model, with the size of the search."""

    kind: Literal["exact", "bounded"]
    model: str
    cuts: Count
    labels: Count


class Front(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.front"):
    """Plans sorted by the first objective; ``compared`` holds those that were priced beside them and are dominated."""

    graph: Name
    cluster: Name
    objectives: tuple[Objective, ...]
    plans: tuple[Plan, ...]
    certificate: Certificate
    compared: tuple[Plan, ...] = ()
    version: int = 1

    def best(self, objective: Objective) -> Plan:
        """The plan that is best in one objective."""
        return min(self.plans, key=lambda plan: value(_cost(plan), objective))

    def knee(self) -> Plan:
        """The plan nearest to the ideal point, with every objective scaled to the span of the front."""
        spans = {o: [value(_cost(plan), o) for plan in self.plans] for o in self.objectives}

        def distance(plan: Plan) -> float:
            parts = ((value(_cost(plan), o) - min(v)) / ((max(v) - min(v)) or 1.0) for o, v in spans.items())
            return sum(part * part for part in parts)

        return min(self.plans, key=distance)


def _cost(plan: Plan) -> Cost:
    if plan.predicted is None:
        raise PlanError(f"plan {plan.describe()} carries no prediction; price it first")
    return plan.predicted
