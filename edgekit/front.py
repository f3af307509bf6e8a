"""The plans that no other plan dominates, with the certificate of the method that found them."""

from collections.abc import Sequence
from math import log
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.constraints import UNCONSTRAINED, Constraints
from edgekit.errors import PlanError
from edgekit.losses import Losses
from edgekit.objectives import Objective
from edgekit.plan import Cost, Plan
from edgekit.quantity import Count, Name
from edgekit.wording import counted

__all__ = ["ANYHOW", "Certificate", "Front", "Question", "cost_of", "value"]


SPREAD = 0.05
"""An objective whose largest value on a front is less than this above its least tells no plan from another."""

POINT = 0.01
"""The loss of accuracy that weighs as much as a factor of two in another objective."""


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
        """The plan nearest to the best of every objective, told in ratios: twice the latency is as far as twice the period.

        An objective that spans less than 5 % over the front counts for nothing. A loss of accuracy of 0.01 is as far as a
        factor of two. Of plans that are equally near the first is taken, which is the best in the first objective.
        """
        spans = (_distances(self.plans, objective) for objective in self.objectives)
        telling = [far for far in spans if max(far, default=0.0) >= log(1 + SPREAD)]
        return self.plans[min(range(len(self.plans)), key=lambda number: sum(far[number] ** 2 for far in telling))]

    def number(self, plan: Plan) -> int | None:
        """The place of a plan in ``plans``, whatever it was predicted to cost; None: it is not among them."""
        if plan in self.plans:
            return self.plans.index(plan)
        return next((number for number, each in enumerate(self.plans) if _parts(each) == _parts(plan)), None)

    def alone(self) -> Plan | None:
        """The fastest of the plans, also of those compared, that run the whole network on one device; None: none was priced."""
        whole = [plan for plan in (*self.plans, *self.compared) if len(plan.stages) == len(plan.devices) == 1 and plan.predicted]
        return min(whole, key=lambda plan: value(cost_of(plan), "latency"), default=None)

    def choice(self, plan: Plan) -> str:
        """In one line what is chosen, and over what: ``chose plan 3: 106 ms, 56 frames/s; fastest alone: 98 ms, 21 frames/s``."""
        number, alone = self.number(plan), self.alone()
        chosen = f"{'this plan' if number is None else f'chose plan {number}'}: {cost_of(plan).pace}"
        name, other = ("fastest alone", alone) if alone else ("best in latency", self.best("latency"))
        same = _parts(other) == _parts(plan)
        return f"{chosen}; it is the {name}" if same else f"{chosen}; {name}: {cost_of(other).pace}"

    def table(self) -> list[dict[str, object]]:
        """The plans as rows with SI units in their names, for pandas or a notebook; what is not known is None."""
        return [{"number": number, "plan": plan.describe(), **_figures(cost_of(plan))} for number, plan in enumerate(self.plans)]

    def __repr__(self) -> str:
        """One line, however many plans there are."""
        count = counted(len(self.plans), "plan")
        return f"<Front of {count} on {self.cluster} over {', '.join(self.objectives)}; front.table() lists them>"


def _parts(plan: Plan) -> tuple[object, ...]:
    """What makes a plan that plan."""
    return plan.stages, plan.order, plan.transfers


def _distances(plans: Sequence[Plan], objective: Objective) -> list[float]:
    """How far each plan is from the best in an objective: the logarithm of their ratio.

    Where the best is nothing, the next larger value counts as twice as much.
    """
    values = [value(cost_of(plan), objective) for plan in plans]
    least = min(values, default=0.0)
    shift = POINT if objective == "loss" else 0.0 if least else min(filter(None, values), default=1.0)
    return [log((each + shift) / (least + shift)) for each in values]


def _figures(cost: Cost) -> dict[str, object]:
    return {
        "latency_s": cost.latency_s,
        "period_s": cost.period_s,
        "frames_per_s": 1 / cost.period_s if cost.period_s else None,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "energy_j": cost.energy_j,
        "accuracy_loss": cost.accuracy_loss,
        "device_count": cost.device_count,
        "badge": cost.badge,
        "emulated": cost.emulated,
    }


def cost_of(plan: Plan) -> Cost:
    """What a plan is predicted to cost.

    Raises:
        PlanError: it was never priced.
    """
    if plan.predicted is None:
        raise PlanError(f"plan {plan.describe()} carries no prediction; price it first")
    return plan.predicted
