"""Losses in accuracy, measured with the progress shown, and fronts whose plans are run end to end and filtered again."""

from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from edgekit.accuracy import measured_losses
from edgekit.accuracy.channel_ranges import FOLDS
from edgekit.accuracy.judge import Judge
from edgekit.accuracy.measured_losses import loss_of
from edgekit.api.display import showing
from edgekit.errors import PlanError
from edgekit.front import Front, cost_of
from edgekit.plan import Plan
from edgekit.progress import Tell, silent
from edgekit.stages.composed_run import as_unsplit
from partitioner.solve.dominance import parted

__all__ = ["FOLDS", "Evaluated", "evaluate", "measure_losses"]

measure_losses = showing("measuring losses")(measured_losses.measure_losses)


class Evaluated(NamedTuple):
    """A front whose losses were measured on whole plans, and of each that loses something what was estimated and what was measured."""

    front: Front
    losses: tuple[tuple[Plan, float | None, float | None], ...]


@showing("running plans")
def evaluate(front: Front, judge: Judge, tell: Tell = silent) -> Evaluated:
    """Run every plan with codecs or other precisions end to end, and leave on the front what is still not dominated.

    A plan whose outputs are no longer finite is dropped, and one that loses more than was allowed.

    Raises:
        PlanError: none is left.
    """
    most = min((limit.most for limit in front.question.constraints.limits if limit.objective == "loss"), default=np.inf)
    known: dict[object, float | None] = {}
    plans, told = [], []
    for number, plan in enumerate(front.plans):
        tell(f"plan {number + 1} of {len(front.plans)}", number, len(front.plans))
        key = (plan.order, tuple((stage.stop, stage.variant.precision) for stage in plan.stages), plan.transfers)
        if key not in known:
            known[key] = loss_of(plan, judge)
        cost, loss = cost_of(plan), known[key]
        if not as_unsplit(plan, judge.model):
            told.append((plan, cost.accuracy_loss, loss))
        if loss is not None and loss <= most:
            plans.append(replace(plan, predicted=replace(cost, accuracy_loss=loss, loss_badge="measured")))
    if not plans:
        raise PlanError(f"every plan of the front loses more than {most:g} when it is run; estimates are sums: allow more, or fewer codecs")
    best, beaten = parted(plans, front.objectives)
    return Evaluated(replace(front, plans=tuple(best), compared=(*front.compared, *beaten)), tuple(told))
