"""What would be best if links or devices were other than they are.

The front under one condition is where the search under the next begins: its plans, priced anew, tell which labels lead nowhere.
"""

from collections.abc import Sequence
from itertools import product
from statistics import median

from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.constraints import UNCONSTRAINED
from edgekit.errors import PlanError
from edgekit.front import ANYHOW, Front, Question, cost_of, value
from edgekit.graph import Graph
from edgekit.objectives import USUAL, Objective
from edgekit.plan import Plan
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.progress import Tell, silent
from edgekit.sweep import Condition, Knob, Sweep, Winner
from partitioner.choice import choose
from partitioner.feasibility import minimised
from partitioner.solve.exact import solve

__all__ = ["faster", "sweep"]


def sweep(
    graph: Graph,
    cluster: Cluster,
    profiles: Profiles,
    knobs: Sequence[Knob],
    *,
    objectives: Sequence[Objective] = USUAL,
    question: Question = ANYHOW,
    tell: Tell = silent,
) -> Sweep:
    """The front at every combination of the knobs' values, and the plans that win there.

    Raises:
        PlanError: a knob has no such name, or no plan meets the constraints under any condition.
    """
    known: tuple[Plan, ...] = ()
    conditions = []
    objectives = minimised(objectives, question.losses)
    picks = ("knee", *objectives)
    grid = list(product(*(knob.values for knob in knobs)))
    for done, at in enumerate(grid):
        changed, times = cluster, profiles
        for knob, amount in zip(knobs, at, strict=True):
            changed, times = _set(changed, times, knob.name, amount)
        words = ", ".join(f"{knob.name} {amount:.4g}" for knob, amount in zip(knobs, at, strict=True))
        tell(f"condition {done + 1} of {len(grid)}: {words}", done, len(grid))
        try:
            front = solve(graph, changed, times, objectives=objectives, question=question, known=known)
        except PlanError:
            if known or question.constraints == UNCONSTRAINED:
                raise
            continue
        known = front.plans
        conditions.append(Condition(at, tuple(Winner(pick, choose(front, pick)) for pick in picks), _points(front)))
    if not conditions:
        raise PlanError("no plan meets the constraints under any of the conditions; loosen one of them")
    return Sweep(
        graph.digest, cluster.name, tuple(knobs), tuple(objectives), tuple(conditions), tuple(_here(cluster, each) for each in knobs)
    )


def _here(cluster: Cluster, knob: Knob) -> float:
    """What a knob is set to in the cluster as it is; of links the median."""
    known = {"bandwidth": [link.bytes_per_s for link in cluster.links], "latency": [link.latency_s for link in cluster.links]}
    return median(known.get(knob.name) or [1.0])


def _points(front: Front) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(value(cost_of(plan), objective) for objective in front.objectives) for plan in front.plans)


def _set(cluster: Cluster, profiles: Profiles, name: str, amount: float) -> tuple[Cluster, Profiles]:
    if name == "bandwidth":
        return cluster.relinked(lambda link: replace(link, bytes_per_s=amount, points=(), badge="spec")), profiles
    if name == "latency":
        return cluster.relinked(lambda link: replace(link, latency_s=amount, points=(), badge="spec")), profiles
    word, _, device = name.partition(" ")
    if word != "speed" or not profiles.of(device):
        known = ", ".join(profiles.devices)
        raise PlanError(f"expected bandwidth, latency or speed of a device that is profiled ({known}), got {name!r}; change --sweep")
    return cluster, faster(profiles, device, amount)


def faster(profiles: Profiles, device: str, times: float) -> Profiles:
    """The profiles with one device so many times as fast."""
    return profiles.add(*(_sped_up(profile, times) for profile in profiles.of(device)))


def _sped_up(profile: Profile, times: float) -> Profile:
    segments = tuple(
        replace(
            each,
            p10_s=each.p10_s / times,
            p50_s=each.p50_s / times,
            p90_s=each.p90_s / times,
            mad_s=each.mad_s / times,
            rested_s=None if each.rested_s is None else each.rested_s / times,
        )
        for each in profile.segments
    )
    return replace(profile, segments=segments, badge="spec")
