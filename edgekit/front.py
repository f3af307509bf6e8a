"""The plans that no other plan dominates, with the certificate of the method that found them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.constraints import UNCONSTRAINED, Constraints
from edgekit.errors import PlanError
from edgekit.losses import Losses
from edgekit.objectives import Objective
from edgekit.plan import Cost, Plan
from edgekit.quantity import Count, Name

__all__ = ["ANYHOW", "Certificate", "Front", "Question", "cost_of", "value"]


def value(cost: Cost, objective: Objective) -> float:
    """One objective of a cost, in SI units.

    Raises:
        PlanError: its joules, or what its codecs lose, are not known.
    """
    if objective == "energy":
        if cost.energy_j is None:
            raise PlanError("its joules are not known, because a device has no meter; leave energy out of the objectives")
        return cost.energy_j
    if objective == "loss":
        if cost.accuracy_loss is None:
            raise PlanError("what its codecs lose is not known; measure it with edgekit quantize --losses, or leave loss out")
        return cost.accuracy_loss
    return {
        "latency": cost.latency_s,
        "period": cost.period_s,
        "memory": float(cost.peak_memory_bytes),
        "devices": float(cost.device_count),
    }[objective]


class Certificate(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the front: exact under the stated model, with the size of the search.

    Attributes:
        gap: each plan there is has one on the front that is no worse than ``1 + gap`` times its value in every objective;
            None: nothing is known of that.
    """

    kind: Literal["exact", "bounded"]
    model: str
    cuts: Count
    labels: Count
    gap: Annotated[float, Meta(ge=0)] | None = 0.0


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked beside the objectives; a front keeps it, so that it can be asked again under other conditions.

    Attributes:
        order: devices in the order of the pipeline; ``"free"``: any order; None: that of the cluster.
        constraints: what every plan keeps to. Memory caps of devices always hold.
        team: how many devices may take frames in turn in one stage of a chain.
        epsilon: above 0 the front is only found up to a factor of ``1 + epsilon`` in every objective, but sooner.
        split_branches: also cut branches of the graph apart, wherever they stand.
        losses: of the tensors that may be sent in other codecs than raw; each message between two stages then has one codec,
            and every device has to know what it takes there.
        serial_io: devices, and the client, do nothing else while they send or receive.
        direct: the chains of the front are also tried with tensors that pass stages by, instead of being relayed by them.
    """

    order: tuple[Name, ...] | Literal["free"] | None = None
    constraints: Constraints = UNCONSTRAINED
    team: Annotated[int, Meta(ge=1)] = 1
    epsilon: Annotated[float, Meta(ge=0)] = 0.0
    split_branches: bool = False
    losses: Losses | None = None
    serial_io: bool = False
    direct: bool = False


ANYHOW = Question()


class Front(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.front"):
    """Plans sorted by the first objective; ``compared`` holds those that were priced beside them and are dominated."""

    graph: Name
    cluster: Name
    objectives: tuple[Objective, ...]
    plans: tuple[Plan, ...]
    certificate: Certificate
    compared: tuple[Plan, ...] = ()
    question: Question = ANYHOW
    version: int = 1

    def best(self, objective: Objective) -> Plan:
        """The plan that is best in one objective."""
        return min(self.plans, key=lambda plan: value(cost_of(plan), objective))

    def knee(self) -> Plan:
        """The plan nearest to the ideal point, with every objective scaled to the span of the front."""
        spans = {o: [value(cost_of(plan), o) for plan in self.plans] for o in self.objectives}

        def distance(plan: Plan) -> float:
            parts = ((value(cost_of(plan), o) - min(v)) / ((max(v) - min(v)) or 1.0) for o, v in spans.items())
            return sum(part * part for part in parts)

        return min(self.plans, key=distance)


def cost_of(plan: Plan) -> Cost:
    """What a plan is predicted to cost.

    Raises:
        PlanError: it was never priced.
    """
    if plan.predicted is None:
        raise PlanError(f"plan {plan.describe()} carries no prediction; price it first")
    return plan.predicted
