"""The exact front of a network on an ordered line of devices: every split that nothing beats, and proof that it was worth splitting."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import structs

from edgekit.cluster import Cluster
from edgekit.errors import PlanError
from edgekit.front import OBJECTIVES, Certificate, Front, Objective, value
from edgekit.graph import Graph
from edgekit.plan import Cost, Plan
from edgekit.profile import Profile
from partitioner.alternatives import relayed, replicas, sampled_splits, wholes
from partitioner.cost import known_profile, price_valid
from partitioner.dominance import front
from partitioner.labels import Limits, chains
from partitioner.memory import Footprints
from partitioner.refusal import refusal
from partitioner.tables import Tables, tabulate

__all__ = ["solve"]


def solve(
    graph: Graph,
    cluster: Cluster,
    profiles: Mapping[str, Profile],
    order: Sequence[str] | None = None,
    objectives: Sequence[Objective] = OBJECTIVES,
    limits: Mapping[Objective, float] | None = None,
) -> Front:
    """The plans that no other plan dominates, exact over relayed chains, with whole-network plans in the comparison.

    A chain gives each device at most one stage, in ``order``; any of them may stay unused. Beside the chains stand the
    whole network on each device alone, and round robin on several (every subset up to six devices of one variant,
    beyond that the fastest two, three, …). ``compared`` holds those of them that are dominated, and some dominated
    splits as background. Of plans with equal objectives the simplest is kept.

    Args:
        profiles: by device name; a device without one is left out, and the certificate says so.
        order: devices in the order of the pipeline; default: that of the cluster.
        objectives: what to minimise; the plans are sorted by the first.
        limits: the most of an objective that a plan may have, in its SI unit. Memory caps of devices always hold.

    Raises:
        PlanError: no profile at all, or no plan meets the caps, limits and links; the message says what binds.
    """
    if not objectives:
        raise PlanError(f"expected at least one objective among {', '.join(OBJECTIVES)}, got none; name one")
    names, left_out = _usable(graph, cluster, profiles, order)
    limits = dict(limits or {})
    footprints = Footprints(graph)
    tables = tabulate(graph, cluster, profiles, names, footprints)

    def priced(plan: Plan) -> Plan:
        cost = price_valid(plan, graph, cluster, profiles, footprints)
        return structs.replace(plan, predicted=cost)

    found = chains(tables, {*_known(objectives), *_known(limits)}, _bounds(tables, limits))
    splits = sorted((stages for stages in found.chains if len(stages) > 1), key=len)
    unsplit = [priced(plan) for plan in (*wholes(graph, tables, profiles), *replicas(graph, tables, profiles))]
    unsplit = [plan for plan in unsplit if _fits(plan, tables)]
    plans = _within(limits, (*unsplit, *(priced(relayed(graph, tables, profiles, stages)) for stages in splits)))
    if not plans:
        raise PlanError(refusal(tables, limits, [_cost(plan) for plan in unsplit]))
    best, beaten = _parted(plans, objectives)
    shown = {plan.stages for plan in plans}
    samples = [priced(plan) for plan in sampled_splits(graph, tables, profiles) if plan.stages not in shown]
    beaten += _within(limits, [plan for plan in samples if _fits(plan, tables)])
    model = "exact over relayed chains in the given device order, plus whole-network replicas"
    model += f"; left out for want of a profile: {', '.join(left_out)}" if left_out else ""
    certificate = Certificate("exact", model, len(graph.candidates), found.labels)
    return Front(graph.digest, cluster.name, tuple(objectives), tuple(best), certificate, tuple(beaten))


def _usable(graph: Graph, cluster: Cluster, profiles: Mapping[str, Profile], order: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Devices in order that have a profile, and those that have none."""
    names = [cluster.device(name).name for name in order] if order is not None else [device.name for device in cluster.devices]
    if len(set(names)) != len(names):
        raise PlanError(f"the order {', '.join(names)} names a device twice; a chain visits each once, so name each once")
    usable = [name for name in names if name in profiles]
    if not usable:
        raise PlanError(f"no profile for any of {', '.join(names) or 'no devices'}; profile {graph.name} on at least one of them first")
    for name in usable:
        known_profile(name, graph, profiles)
    return usable, [name for name in names if name not in profiles]


def _known(objectives: Iterable[Objective]) -> list[Objective]:
    asked = list(objectives)
    if strange := [objective for objective in asked if objective not in OBJECTIVES]:
        raise PlanError(f"expected objectives among {', '.join(OBJECTIVES)}, got {', '.join(strange)}; leave it out")
    return asked


def _bounds(tables: Tables, limits: Mapping[Objective, float]) -> Limits:
    """Limits for the search, wider by what sums in another order may differ; priced plans are held to the letter."""
    latency_s, period_s, memory_bytes = (limits.get(objective, np.inf) * (1 + 1e-12) for objective in OBJECTIVES)
    return Limits(latency_s, period_s, memory_bytes, tables.caps, np.zeros(len(tables.names)))


def _fits(plan: Plan, tables: Tables) -> bool:
    caps = dict(zip(tables.hosts, tables.caps, strict=True))
    return all(memory.nbytes <= caps[memory.host] for memory in _cost(plan).memory)


def _within(limits: Mapping[Objective, float], plans: Iterable[Plan]) -> list[Plan]:
    return [plan for plan in plans if all(value(_cost(plan), objective) <= most for objective, most in limits.items())]


def _parted(plans: list[Plan], objectives: Sequence[Objective]) -> tuple[list[Plan], list[Plan]]:
    """The plans that none dominates, sorted, and the others; of equal ones the first stays."""
    points = np.array([[value(_cost(plan), objective) for objective in objectives] for plan in plans])
    kept = front(points).tolist()
    best = sorted(kept, key=lambda i: points[i].tolist())
    return [plans[i] for i in best], [plan for i, plan in enumerate(plans) if i not in set(kept)]


def _cost(plan: Plan) -> Cost:
    assert plan.predicted is not None
    return plan.predicted
