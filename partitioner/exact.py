"""The exact front of a network on a cluster: every split that nothing beats, and proof that it was worth splitting."""

from collections.abc import Sequence
from math import isfinite

from msgspec.structs import replace

from edgekit.cluster import Cluster
from edgekit.constraints import UNCONSTRAINED, Constraints
from edgekit.errors import PlanError
from edgekit.front import Certificate, Front, Question, cost_of, value
from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.objectives import OBJECTIVES, USUAL, Objective
from edgekit.plan import Plan
from edgekit.profile import Profiles
from partitioner.alternatives import relayed, replicas, sampled_splits, wholes
from partitioner.asking import FREE, Order, named, require_few, require_known, require_losses, require_metered, usable
from partitioner.branches import branches
from partitioner.dominance import parted
from partitioner.ideals import MOST
from partitioner.kinds import kinds
from partitioner.labels import chains
from partitioner.places import Places, cuts
from partitioner.pricing import Pricing
from partitioner.refusal import refusal
from partitioner.slicing import gap, orders
from partitioner.tabulating import tabulate

__all__ = ["solve"]

Groups = Sequence[Sequence[int]]


def solve(
    graph: Graph,
    cluster: Cluster,
    profiles: Profiles,
    order: Order = None,
    objectives: Sequence[Objective] = USUAL,
    constraints: Constraints = UNCONSTRAINED,
    team: int = 1,
    epsilon: float = 0.0,
    known: Sequence[Plan] = (),
    split_branches: bool = False,
    most_places: int = MOST,
    losses: Losses | None = None,
    serial_io: bool = False,
) -> Front:
    """The plans that no other plan dominates, exact over relayed chains, with whole-network plans in the comparison.

    A chain gives each device at most one stage, in ``order``; any of them may stay unused. Beside the chains stand the
    whole network on each device alone, and round robin on several (every subset up to six devices of one variant,
    beyond that the fastest two, three, …). ``compared`` holds those of them that are dominated, and some dominated
    splits as background. Of plans with equal objectives the simplest is kept.

    Args:
        profiles: by device name, in one variant or in several to choose from; a device without one is left out, and the
            certificate says so.
        order: devices in the order of the pipeline; ``"free"``: any order; default: that of the cluster.
        objectives: what to minimise; the plans are sorted by the first.
        constraints: what every plan keeps to. Memory caps of devices always hold.
        team: how many devices may take frames in turn in one stage of a chain.
        epsilon: above 0 the front is only found up to a factor of ``1 + epsilon`` in every objective, but sooner.
        known: plans that may be good, such as those of a front under other conditions; they only save time.
        split_branches: also cut branches of the graph apart, wherever they stand: exact over all orders of its units up to
            ``most_places`` places to be cut, beyond that over some orders, with a proven gap.
        losses: of the tensors that may be sent in other codecs than raw; each message between two stages then has one codec,
            and every device has to know what it takes there.
        serial_io: devices, and the client, do nothing else while they send or receive.

    Raises:
        PlanError: no profile at all, or no plan meets the caps, constraints and links; the message says what binds.
    """
    cluster = cluster.serial() if serial_io else cluster
    names, left_out = usable(graph, cluster, profiles, order, constraints)
    require_losses(names, profiles, losses, {*objectives, *(limit.objective for limit in constraints.limits)})
    require_known([*objectives, *(limit.objective for limit in constraints.limits)] if objectives else ())
    if "energy" in objectives or any(limit.objective == "energy" for limit in constraints.limits):
        require_metered(names, cluster, profiles)
    pricing = Pricing(graph, cluster, profiles, constraints, losses)
    groups = kinds(cluster, profiles, names, [*named(constraints)]) if order == FREE and team == 1 else tuple((n,) for n in names)
    require_few(groups, order)
    ways, exact = _ways(graph, pricing, constraints.together, split_branches, most_places)
    given, plans, compared, labels = pricing.kept(known), list[Plan](), list[Plan](), 0
    for places in ways:
        tables = tabulate(places, cluster, profiles, groups, constraints, order != FREE, team, losses)
        found = chains(tables, objectives, epsilon, _points((*given, *plans), objectives))
        labels += found.labels
        if places is ways[0]:
            unsplit = [pricing.priced(plan) for plan in (*wholes(places, tables, groups), *replicas(graph, tables, groups, profiles))]
            plans += filter(pricing.allows, unsplit)
            compared = pricing.kept(sampled_splits(places, tables, groups))
        plans += pricing.kept(relayed(places, tables, groups, hops) for hops in sorted(found.chains, key=len) if len(hops) > 1)
        if not plans and places is ways[-1]:
            raise PlanError(refusal(tables, constraints, [cost_of(plan) for plan in unsplit], cluster))
    best, beaten = parted([*plans, *given], objectives)
    shown = {(plan.stages, plan.order) for plan in plans}
    beaten += [plan for plan in compared if (plan.stages, plan.order) not in shown]
    model = _model(order, team, split_branches, losses, left_out) + ("; devices wait while they send and receive" if serial_io else "")
    certificate = Certificate("bounded" if epsilon else "exact", model, len(ways[0].names) - 2, labels, epsilon)
    told = order if order is None or order == FREE else tuple(order)
    question = Question(told, constraints, team, epsilon, split_branches, losses, serial_io)
    result = Front(graph.digest, cluster.name, tuple(objectives), tuple(best), certificate, tuple(beaten), question)
    return result if exact else _bounded(result, profiles, len(names), len(ways), epsilon)


def _ways(graph: Graph, pricing: Pricing, together: Groups, split_branches: bool, most: int) -> tuple[list[Places], bool]:
    """Where the graph can be cut: in one order, in all at once, or in some; and whether that is all there is."""
    own = pricing.view(graph.order)
    if not split_branches:
        return [cuts(*own, together)], True
    try:
        return [branches(*own, together, most)], True
    except PlanError:
        return [cuts(*pricing.view(order), together) for order in orders(graph)], False


def _points(plans: Sequence[Plan], objectives: Sequence[Objective]) -> list[tuple[float, ...]]:
    """What plans cost, in the order in which a search has its objectives."""
    return [tuple(value(cost_of(plan), objective) for objective in OBJECTIVES if objective in objectives) for plan in plans]


def _bounded(found: Front, profiles: Profiles, devices: int, ways: int, epsilon: float) -> Front:
    """The front with how far it can be from one over all orders of the units."""
    share = gap(found, profiles, devices)
    model = found.certificate.model.replace("exact over", f"over {ways} orders of the units:", 1)
    known = max(share, epsilon) if isfinite(share) else None
    certificate = replace(found.certificate, kind="bounded", model=model, gap=known)
    return replace(found, certificate=certificate)


def _model(order: Order, team: int, split_branches: bool, losses: Losses | None, left_out: Sequence[str]) -> str:
    model = f"exact over relayed chains in {'any' if order == FREE else 'the given'} device order"
    model += ", of stages that may split branches" if split_branches else ""
    model += f" with up to {team} devices in turn in a stage" if team > 1 else ""
    model += f" and codecs {', '.join(losses.codecs)}" if losses else ""
    model += ", plus whole-network replicas"
    return model + (f"; left out for want of a profile: {', '.join(left_out)}" if left_out else "")
