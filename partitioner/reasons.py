"""Why a plan is on the front, what holds it up, and which change of the cluster would help most: each is solved for anew."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from edgekit.cluster import Cluster, Link
from edgekit.constraints import Constraints
from edgekit.device import Device
from edgekit.errors import PlanError
from edgekit.explanation import Explanation, Help, Neighbour
from edgekit.front import Front, cost_of, value
from edgekit.graph import Graph
from edgekit.objectives import Objective
from edgekit.plan import Plan
from edgekit.profiles import Profiles
from edgekit.progress import Tell, silent
from partitioner.solve.exact import solve
from partitioner.whatif import faster

__all__ = ["explain"]

TIMES = 2.0
"""By how much a link or a device is made faster."""


def explain(
    plan: Plan,
    front: Front,
    graph: Graph,
    cluster: Cluster,
    profiles: Profiles,
    *,
    tell: Tell = silent,
) -> Explanation:
    """Explain a plan against a front, which these profiles and this cluster gave: what was asked then is asked again.

    The plan may also be one that is not on the front.

    Raises:
        PlanError: the plan carries no prediction, or the front is of another cluster or graph.
    """
    if (front.cluster, front.graph) != (cluster.name, graph.digest):
        raise PlanError(
            f"the front is of cluster {front.cluster}, this is {cluster.name}, or of another network; name those it was made of"
        )
    cost = cost_of(plan)
    loads = tuple(sorted(cost.loads, key=lambda load: -load.seconds))
    now = {objective: value(cost_of(front.best(objective)), objective) for objective in front.objectives}
    helps = []
    asked = front.question
    changes = list(_changes(plan, cluster, profiles, asked.constraints))
    for done, (change, other, times, rules) in enumerate(changes):
        tell(f"change {done + 1} of {len(changes)}: {change}", done, len(changes))
        try:
            then = solve(graph, other, times, objectives=front.objectives, question=replace(asked, constraints=rules))
        except PlanError:  # without that device there is no plan
            continue
        ratios = tuple((o, _ratio(value(cost_of(then.best(o)), o), now[o])) for o in front.objectives)
        helps.append(Help(change, ratios))
    helps.sort(key=lambda each: min(ratio for _, ratio in each.ratios))
    barred = tuple(sentence for profile in profiles for sentence in profile.barred)
    return Explanation(plan, loads, tuple(_neighbours(plan, front)), tuple(helps), barred)


def _changes(
    plan: Plan, cluster: Cluster, profiles: Profiles, constraints: Constraints
) -> Iterator[tuple[str, Cluster, Profiles, Constraints]]:
    """One thing at a time: links and devices in use twice as fast, the memory caps doubled, devices taken away."""
    ends = [cluster.client, *plan.devices]
    for source in ends:
        for receiver in ends:
            if source != receiver and cluster.link(source, receiver) is not None:
                yield f"link {source} → {receiver} twice as fast", _quick(cluster, source, receiver), profiles, constraints
    yield "all links twice as fast", cluster.relinked(_doubled), profiles, constraints
    for name in plan.devices:
        yield f"{name} twice as fast", cluster, faster(profiles, name, TIMES), constraints
    if any(device.memory_bytes is not None or device.flash_bytes is not None for device in cluster.devices):
        devices = tuple(map(_roomier, cluster.devices))
        yield "twice the memory", replace(cluster, devices=devices), profiles, constraints
    for name in profiles.devices if len(profiles.devices) > 1 else ():
        if name not in constraints.required:
            yield f"without {name}", cluster, profiles, replace(constraints, forbidden=(*constraints.forbidden, name))


def _roomier(device: Device) -> Device:
    """A device with twice the memory, and twice the flash where it has one."""
    memory_bytes = device.memory_bytes and 2 * device.memory_bytes
    return replace(device, memory_bytes=memory_bytes, flash_bytes=device.flash_bytes and 2 * device.flash_bytes)


def _quick(cluster: Cluster, source: str, receiver: str) -> Cluster:
    """The cluster with this one link faster, also where it is described together with others."""
    link = cluster.link(source, receiver)
    assert link is not None
    own = replace(_doubled(link), source=source, receiver=receiver)
    others = tuple(each for each in cluster.links if (each.source, each.receiver) != (source, receiver))
    return replace(cluster, links=(*others, own))


def _doubled(link: Link) -> Link:
    points = tuple(replace(each, p10_s=each.p10_s / TIMES, p50_s=each.p50_s / TIMES, p90_s=each.p90_s / TIMES) for each in link.points)
    return replace(link, bytes_per_s=link.bytes_per_s * TIMES, points=points, badge="spec")


def _neighbours(plan: Plan, front: Front) -> Iterator[Neighbour]:
    """In each objective the plan of the front before it and the one behind it, each once."""
    number = front.number(plan)
    seen = {number}
    for objective in front.objectives:
        order = sorted(range(len(front.plans)), key=lambda each: value(cost_of(front.plans[each]), objective))
        if number is None:
            at = sum(value(cost_of(each), objective) <= value(cost_of(plan), objective) for each in front.plans)
            beside = order[max(at - 1, 0) : at + 1]
        else:
            at = order.index(number)
            beside = [*order[max(at - 1, 0) : at], *order[at + 1 : at + 2]]
        for each in beside:
            if each not in seen:
                seen.add(each)
                yield Neighbour(front.plans[each], _ratios(front.plans[each], plan, front.objectives))


def _ratios(one: Plan, other: Plan, objectives: Sequence[Objective]) -> tuple[tuple[Objective, float], ...]:
    return tuple((o, _ratio(value(cost_of(one), o), value(cost_of(other), o))) for o in objectives)


def _ratio(one: float, other: float) -> float:
    return one / other if other else 1.0
