"""Whether what is asked for can be answered: devices with profiles, objectives that are known, constraints that name what there is."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Literal

from edgekit.cluster import Cluster
from edgekit.constraints import Constraints
from edgekit.errors import PlanError
from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.objectives import OBJECTIVES, Objective
from edgekit.profiles import Profiles
from partitioner.cost import idle_w, known_profiles

__all__ = ["FREE", "minimised", "named", "require_few", "require_known", "require_losses", "require_metered", "usable"]

FREE: Literal["free"] = "free"
MOST_SETS = 4096
Order = Sequence[str] | Literal["free"] | None
"""Devices in the order of the pipeline, any order, or that of the cluster."""


def usable(graph: Graph, cluster: Cluster, profiles: Profiles, order: Order, constraints: Constraints) -> tuple[list[str], list[str]]:
    """Devices in order that have a profile and are not forbidden, and those that have none.

    Raises:
        PlanError: there is none, or one that has to be used is not among them.
    """
    given = order is not None and order != FREE
    names = [cluster.device(name).name for name in order or ()] if given else [device.name for device in cluster.devices]
    if len(set(names)) != len(names):
        raise PlanError(f"the order {', '.join(names)} names a device twice; a chain visits each once, so name each once")
    for name in named(constraints):
        cluster.device(name)
    names = [name for name in names if name not in constraints.forbidden]
    found = [name for name in names if profiles.of(name)]
    if not names:
        raise PlanError("no plan: every device is forbidden; allow one")
    if not found:
        raise PlanError(f"no profile for any of {', '.join(names)}; profile {graph.name} on at least one of them first")
    for name in found:
        known_profiles(name, graph, profiles)
    if torn := [name for name in constraints.required if name in constraints.forbidden]:
        raise PlanError(f"no plan: {', '.join(torn)} must be used, and is forbidden; drop one of the two")
    if missing := [name for name in constraints.required if name not in found]:
        raise PlanError(f"no plan: {', '.join(missing)} must be used, and only {', '.join(found)} can be; profile it, or do not require it")
    return found, [name for name in names if name not in found]


def named(constraints: Constraints) -> Iterable[str]:
    """Devices that constraints tell from all others."""
    yield from (*constraints.forbidden, *constraints.required)
    yield from (pin.device for pin in constraints.pins)
    yield from (rule.device for rule in constraints.private)


def minimised(objectives: Sequence[Objective], losses: Losses | None) -> tuple[Objective, ...]:
    """The objectives, and the loss of accuracy where codecs or precisions that lose may be chosen: it is never a silent price."""
    return (*objectives, "loss") if objectives and losses is not None and "loss" not in objectives else tuple(objectives)


def require_known(asked: Sequence[Objective]) -> None:
    """Refuse objectives that do not exist, or none at all.

    Raises:
        PlanError: with what there is.
    """
    if not asked:
        raise PlanError(f"expected at least one objective among {', '.join(OBJECTIVES)}, got none; name one")
    if strange := [objective for objective in asked if objective not in OBJECTIVES]:
        raise PlanError(f"expected objectives among {', '.join(OBJECTIVES)}, got {', '.join(strange)}; leave it out")


def require_few(kinds: Sequence[Sequence[str]], order: Order) -> None:
    """Refuse to try any order of more devices than can be tried: each set of them that may be in use is a state of its own.

    Raises:
        PlanError: with how many kinds there are.
    """
    if order == FREE and (sets := prod(len(kind) + 1 for kind in kinds)) > MOST_SETS:
        raise PlanError(
            f"{len(kinds)} kinds of devices can be used in {sets} ways, {MOST_SETS} at most are tried in any order; "
            "give an order, or forbid some of them"
        )


def require_metered(names: Sequence[str], cluster: Cluster, profiles: Profiles) -> None:
    """Refuse to count joules where a device has no meter.

    Raises:
        PlanError: with the devices that have none.
    """
    dark = [
        name
        for name in names
        if idle_w(cluster.device(name).machine, cluster, profiles) is None or any(profile.active_w is None for profile in profiles.of(name))
    ]
    if dark:
        raise PlanError(f"the joules of {', '.join(dark)} are not known; profile with --energy, or leave energy out of the objectives")


def require_losses(names: Sequence[str], profiles: Profiles, losses: Losses | None, objectives: Iterable[Objective]) -> None:
    """Refuse codecs that no two of the devices are known to write and read, and to count losses that are not known.

    Raises:
        PlanError: with the codec, or the precision.
    """
    precisions = {profile.variant.precision for name in names for profile in profiles.of(name) if profile.twin}
    unknown = precisions - {each.precision for each in losses.stages} if losses else precisions
    if "loss" in objectives and unknown:
        words = ", ".join(sorted(unknown))
        raise PlanError(f"what {words} loses is not known; run edgekit quantize --losses with --twin, or leave loss out of the objectives")
    names = [name for name in names if any(not profile.on_board for profile in profiles.of(name))]  # a board has no codecs
    for codec in losses.codecs if losses else ():
        able = [name for name in names if any(time.codec == codec for profile in profiles.of(name) for time in profile.codecs)]
        if len(able) < min(2, len(names)):
            raise PlanError(f"what {codec} takes on the devices is not known; run edgekit profile --codecs, or leave {codec} out")
