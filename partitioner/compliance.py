"""Whether a plan keeps to what is asked of it, said of the plan itself: also of one that was written by hand."""

from collections.abc import Iterator

from edgekit.cluster import Cluster
from edgekit.constraints import Constraints
from edgekit.front import value
from edgekit.plan import Cost, Plan
from edgekit.wording import counted
from partitioner.board_memory import cap, told

__all__ = ["broken"]


def broken(plan: Plan, cost: Cost, cluster: Cluster, constraints: Constraints) -> tuple[str, ...]:
    """What of the constraints and the memory caps a plan with filled-in transfers does not keep, each in words."""
    return (*_costly(cost, cluster, constraints), *_placed(plan, constraints), *_exposed(plan, cluster, constraints))


def _costly(cost: Cost, cluster: Cluster, constraints: Constraints) -> Iterator[str]:
    for memory in cost.memory:
        if memory.nbytes > (most := cap(cluster, memory)):
            yield told(memory, most)
    for limit in constraints.limits:
        if (got := value(cost, limit.objective)) > limit.most:
            yield f"{limit.objective} is {got:.6g}, at most {limit.most:.6g} is allowed"
    if constraints.rate_per_s and cost.period_s * constraints.rate_per_s > 1:
        yield f"it takes {1 / cost.period_s:.6g} frames per second, {constraints.rate_per_s:.6g} come in"


def _placed(plan: Plan, constraints: Constraints) -> Iterator[str]:
    for pin in constraints.pins:
        for stage in plan.stages:
            units = plan.order[stage.start : stage.stop] or range(stage.start, stage.stop)
            if any(pin.start <= unit < pin.stop for unit in units) and set(stage.devices) != {pin.device}:
                yield f"units [{pin.start}, {pin.stop}) are to run on {pin.device}, not on {'|'.join(stage.devices)}"
    for group in constraints.together:
        if len({_stage_of(plan, unit) for unit in group}) > 1:
            yield f"units {', '.join(map(str, group))} are to stay together"
    for name in sorted(set(constraints.forbidden) & set(plan.devices)):
        yield f"{name} is not to be used"
    for name in sorted(set(constraints.required) - set(plan.devices)):
        yield f"{name} is to be used"
    if constraints.most_stages is not None and len(plan.stages) > constraints.most_stages:
        yield f"it has {counted(len(plan.stages), 'stage')}, at most {constraints.most_stages} are allowed"


def _stage_of(plan: Plan, unit: int) -> int:
    position = plan.order.index(unit) if plan.order else unit
    return next(index for index, stage in enumerate(plan.stages) if stage.start <= position < stage.stop)


def _exposed(plan: Plan, cluster: Cluster, constraints: Constraints) -> Iterator[str]:
    only = {rule.tensor: rule.device for rule in constraints.private}
    for transfer in plan.transfers:
        if transfer.tensor in only:
            receivers = (cluster.client,) if isinstance(transfer.receiver, str) else plan.stages[transfer.receiver].devices
            if set(receivers) != {only[transfer.tensor]}:
                yield f"{transfer.tensor} is to stay on {only[transfer.tensor]}, and is sent to {'|'.join(receivers)}"
