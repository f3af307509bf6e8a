"""The next best plans, for when devices are gone."""

from collections.abc import Iterator
from itertools import combinations

from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.errors import PlanError
from edgekit.front import ANYHOW, Question
from edgekit.graph import Graph
from edgekit.objectives import USUAL, Objective
from edgekit.plan import Plan
from edgekit.profiles import Profiles
from partitioner.choice import choose
from partitioner.solve.exact import solve

__all__ = ["fallbacks"]

MOST_LOST = 2


def fallbacks(
    plan: Plan,
    graph: Graph,
    cluster: Cluster,
    profiles: Profiles,
    *,
    objectives: tuple[Objective, ...] = USUAL,
    question: Question = ANYHOW,
    pick: str = "knee",
) -> dict[frozenset[str], Plan]:
    """For every one and two devices of a plan, the plan that would be picked without them, by what it does without.

    Where there is none, or none that keeps to the question, there is no entry.
    """
    pick = "knee" if pick.isdecimal() else pick  # the number of a plan on another front
    found = {}
    for gone in _losses(plan):
        try:
            found[gone] = choose(solve(graph, cluster, profiles, objectives=objectives, question=_without(question, gone)), pick)
        except PlanError:
            continue
    return found


def _losses(plan: Plan) -> Iterator[frozenset[str]]:
    for count in range(1, MOST_LOST + 1):
        yield from map(frozenset, combinations(plan.devices, count))


def _without(question: Question, gone: frozenset[str]) -> Question:
    asked = question.constraints
    required = tuple(name for name in asked.required if name not in gone)
    return replace(question, constraints=replace(asked, forbidden=(*asked.forbidden, *sorted(gone)), required=required))
