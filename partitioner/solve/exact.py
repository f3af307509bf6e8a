"""The exact front of a network on a cluster: every split that nothing beats, and proof that it was worth splitting."""

from collections.abc import Sequence
from math import isfinite
from typing import Literal

from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.errors import PlanError
from edgekit.front import ANYHOW, Certificate, Front, Question, cost_of, value
from edgekit.graph import Graph
from edgekit.objectives import OBJECTIVES, USUAL, Objective
from edgekit.plan import Plan
from edgekit.profiles import Profiles
from partitioner.alternatives import relayed, replicas, sampled_splits, wholes
from partitioner.cuts.chain import cuts
from partitioner.cuts.ideals import MOST
from partitioner.cuts.lattice import branches
from partitioner.cuts.orders import gap, orders
from partitioner.cuts.places import Places
from partitioner.feasibility import FREE, named, require_few, require_known, require_losses, require_metered, usable
from partitioner.pricing import Pricing
from partitioner.refusal import refusal
from partitioner.solve.device_kinds import kinds
from partitioner.solve.dominance import parted
from partitioner.solve.labels import chains
from partitioner.tabulation import tabulate, with_memory

__all__ = ["solve"]

Groups = Sequence[Sequence[int]]


def solve(
    graph: Graph,
    cluster: Cluster,
    profiles: Profiles,
    *,
    objectives: Sequence[Objective] = USUAL,
    question: Question = ANYHOW,
    known: Sequence[Plan] = (),
    most_places: int = MOST,
) -> Front:
    """The plans that no other plan dominates, exact over relayed chains, with whole-network plans in the comparison.

    A chain gives each device at most one stage, in the order asked; any of them may stay unused. Beside the chains stand the
    whole network on each device alone, and round robin on several (every subset up to six devices of one variant,
    beyond that the fastest two, three, …). ``compared`` holds those of them that are dominated, and some dominated
    splits as background. Of plans with equal objectives the simplest is kept.

    Args:
        profiles: of each device in one variant or in several to choose from; a device without one is left out, and the
            certificate says so.
        objectives: what to minimise; the plans are sorted by the first. Memory is a limit also where it is none of them: a
            device's ``memory_bytes``, else what the machine has that it was profiled on.
        question: what else is asked.
        known: plans that may be good, such as those of a front under other conditions; they only save time.
        most_places: where branches may be split, the search is exact over all orders of the units up to so many places to be
            cut, beyond that over some orders, with a proven gap.

    Raises:
        PlanError: no profile at all, or no plan meets the caps, constraints and links; the message says what binds.
    """
    order, constraints, team, losses = question.order, question.constraints, question.team, question.losses
    cluster = with_memory(cluster.serial() if question.serial_io else cluster, profiles)
    names, left_out = usable(graph, cluster, profiles, order, constraints)
    counted = {*objectives, *(limit.objective for limit in constraints.limits)}
    require_known([*counted] if objectives else ())
    require_losses(names, profiles, losses, counted)
    if "energy" in counted:
        require_metered(names, cluster, profiles)
    pricing = Pricing(graph, cluster, profiles, constraints, losses=losses)
    groups = kinds(cluster, profiles, names, apart=[*named(constraints)]) if order == FREE and team == 1 else tuple((n,) for n in names)
    require_few(groups, order)
    ways, exact = _ways(graph, pricing, constraints.together, question.split_branches, most_places)
    given, plans, compared, labels = pricing.kept(known), list[Plan](), list[Plan](), 0
    for places in ways:
        tables = tabulate(places, cluster, profiles, groups, constraints=constraints, ordered=order != FREE, replicas=team, losses=losses)
        found = chains(tables, objectives, epsilon=question.epsilon, known=_points((*given, *plans), objectives))
        labels += found.labels
        if places is ways[0]:
            unsplit = [pricing.priced(plan) for plan in (*wholes(places, tables, groups), *replicas(graph, tables, groups, profiles))]
            plans += filter(pricing.allows, unsplit)
            compared = pricing.kept(sampled_splits(places, tables, groups))
        split = pricing.kept(relayed(places, tables, groups, hops) for hops in sorted(found.chains, key=len) if len(hops) > 1)
        plans += [*split, *(pricing.straight(split) if question.direct else ())]
        if not plans and places is ways[-1]:
            raise PlanError(refusal(tables, constraints, [cost_of(plan) for plan in unsplit], cluster, profiles))
    best, beaten = parted([*plans, *given], objectives)
    shown = {(plan.stages, plan.order) for plan in plans}
    beaten += [plan for plan in compared if (plan.stages, plan.order) not in shown]
    kind: Literal["exact", "bounded"] = "bounded" if question.epsilon else "exact"
    certificate = Certificate(kind, _model(question, left_out), len(ways[0].names) - 2, labels, question.epsilon)
    result = Front(graph.digest, cluster.name, tuple(objectives), tuple(best), certificate, tuple(beaten), question)
    return result if exact else _bounded(result, profiles, len(names), len(ways))


def _ways(graph: Graph, pricing: Pricing, together: Groups, split_branches: bool, most: int) -> tuple[list[Places], bool]:
    """Where the graph can be cut: in one order, in all at once, or in some; and whether that is all there is."""
    own = pricing.view(graph.order)
    if not split_branches:
        return [cuts(*own, together)], True
    try:
        return [branches(*own, together=together, most=most)], True
    except PlanError:
        return [cuts(*pricing.view(order), together) for order in orders(graph)], False


def _points(plans: Sequence[Plan], objectives: Sequence[Objective]) -> list[tuple[float, ...]]:
    """What plans cost, in the order in which a search has its objectives."""
    return [tuple(value(cost_of(plan), objective) for objective in OBJECTIVES if objective in objectives) for plan in plans]


def _bounded(found: Front, profiles: Profiles, devices: int, ways: int) -> Front:
    """The front with how far it can be from one over all orders of the units."""
    share = gap(found, profiles, devices)
    model = found.certificate.model.replace("exact over", f"over {ways} orders of the units:", 1)
    known = max(share, found.question.epsilon) if isfinite(share) else None
    certificate = replace(found.certificate, kind="bounded", model=model, gap=known)
    return replace(found, certificate=certificate)


def _model(asked: Question, left_out: Sequence[str]) -> str:
    model = f"exact over relayed chains in {'any' if asked.order == FREE else 'the given'} device order"
    model += ", of stages that may split branches" if asked.split_branches else ""
    model += f" with up to {asked.team} devices in turn in a stage" if asked.team > 1 else ""
    model += f" and codecs {', '.join(asked.losses.codecs)}" if asked.losses else ""
    model += ", plus whole-network replicas"
    model += ", and those chains with tensors sent straight to their readers" if asked.direct else ""
    model += f"; left out for want of a profile: {', '.join(left_out)}" if left_out else ""
    return model + ("; devices wait while they send and receive" if asked.serial_io else "")
