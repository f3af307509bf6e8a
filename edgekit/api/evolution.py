"""Plans judged end to end and bred from there: what a plan loses does not add up, so the exact front is where the search begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from edgekit.accuracy.judge import Judge
from edgekit.accuracy.measured_losses import loss_of
from edgekit.api.workflow import load
from edgekit.cluster import Cluster
from edgekit.codec import CODECS, STRAIGHT, Codec
from edgekit.errors import PlanError
from edgekit.files import encode
from edgekit.front import Front, Question, cost_of, value
from edgekit.graph import Graph
from edgekit.objectives import Objective
from edgekit.plan import Plan, Stage, chain, ranged, validate
from edgekit.profiles import Profiles
from edgekit.progress import Tell, silent
from edgekit.runtime.agent.store import digest_of
from partitioner.evolve import Choice, Space, evolve
from partitioner.pricing import Pricing
from partitioner.solve.dominance import parted

__all__ = ["Trial", "evolved", "trial_of"]


@dataclass(frozen=True)
class Trial:
    """All that a choice is judged by; small enough to be handed from process to process, each of which loads the files once.

    ``cluster`` is as the plans are priced on it, ``names`` the devices that may be used, in the order of a chain.
    """

    network: Path
    twins: tuple[Path, ...]
    data: Path
    labels: Path | None
    cluster: Cluster
    profiles: Profiles
    names: tuple[str, ...]
    objectives: tuple[Objective, ...]
    question: Question

    def __call__(self, choice: Choice) -> tuple[float, ...] | None:
        """What a choice costs in the objectives, its loss measured; None: it is no plan, or none that is allowed."""
        plan = self.plan(choice)
        if plan is None:
            return None
        return tuple(value(cost_of(plan), objective) for objective in self.objectives)

    @property
    def digest(self) -> str:
        """Of everything that costs depend on."""
        given = [self.network, *self.twins, self.data, *([self.labels] if self.labels else [])]
        files = [file.read_bytes() for path in given for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
        nouns = [encode(profile) for name in self.names for profile in self.profiles.of(name)]
        return digest_of(b"".join([*files, *nouns, encode(self.cluster), encode(self.question), repr(self.objectives).encode()]))

    def plan(self, choice: Choice) -> Plan | None:
        """The plan of a choice, priced and judged."""
        judge = _judge(self.network, self.twins, self.data, self.labels)
        stages = self._stages(choice)
        if stages is None:
            return None
        codecs = [codec for i in range(len(stages) - 1) for codec in (*CODECS, *STRAIGHT) if codec == choice[f"codec {i}"]]
        asked = self.question
        plan = ranged(chain(judge.graph, stages, codecs=codecs), asked.losses.ranges if asked.losses else ())
        try:
            plan = validate(plan, judge.graph)
            plan = Pricing(judge.graph, self.cluster, self.profiles, replace(asked.constraints, limits=())).kept([plan])[0]
        except (PlanError, IndexError):  # no link, no profile, no range, not within a cap
            return None
        loss = loss_of(plan, judge)
        if loss is None:
            return None
        plan = replace(plan, predicted=replace(cost_of(plan), accuracy_loss=loss, loss_badge="measured"))
        within = all(value(cost_of(plan), limit.objective) <= limit.most for limit in asked.constraints.limits)
        return plan if within else None

    def _stages(self, choice: Choice) -> tuple[Stage, ...] | None:
        graph = _judge(self.network, self.twins, self.data, self.labels).graph
        count = int(choice["stages"])
        cuts = [graph.candidates[int(choice[f"cut {i}"])] for i in range(count - 1)]
        used = [str(choice[f"device {i}"]) for i in range(count)]
        places = [self.names.index(name) for name in used]
        ordered = self.question.order == "free" or places == sorted(places)
        if cuts != sorted(set(cuts)) or len(set(used)) < count or not ordered:
            return None
        stages = []
        for i, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(graph.units)], strict=True)):
            known = self.profiles.of(used[i])
            if (which := int(choice[f"variant {i}"])) >= len(known):
                return None
            stages.append(Stage(start, stop, (used[i],), known[which].variant))
        return tuple(stages)


def trial_of(
    front: Front,
    network: Path,
    twins: Sequence[Path],
    data: Path,
    labels: Path | None,
    cluster: Cluster,
    profiles: Profiles,
) -> Trial:
    """A trial of plans like those of a front, which these profiles and this cluster gave."""
    asked = front.question
    given = asked.order if isinstance(asked.order, tuple) else tuple(device.name for device in cluster.devices)
    names = tuple(name for name in given if profiles.of(name) and name not in asked.constraints.forbidden)
    there = cluster.serial() if asked.serial_io else cluster
    return Trial(network, tuple(twins), data, labels, there, profiles, names, front.objectives, asked)


@cache
def _judge(network: Path, twins: tuple[Path, ...], data: Path, labels: Path | None) -> Judge:
    return Judge(*load(network, twins), data, labels=labels)


def evolved(
    front: Front,
    trial: Trial,
    evaluations: int,
    *,
    seed: int = 0,
    workers: int = 1,
    ray: str | None = None,
    memory: Path | None = None,
    tell: Tell = silent,
) -> Front:
    """The front with what was bred from its chains, each plan judged end to end; what it had stays unless something beats it.

    Args:
        evaluations: how many different choices are judged, those that ``memory`` holds included.

    Raises:
        UsageError: pymoo (or ray) is not installed.
    """
    graph = _judge(trial.network, trial.twins, trial.data, trial.labels).graph
    most = min(len(trial.names), trial.question.constraints.most_stages or len(trial.names), len(graph.candidates) + 1)
    space = _space(trial, graph, most)
    seeds = [choice for plan in front.plans if (choice := _choice(plan, trial, graph.candidates, most)) is not None]
    found = evolve(
        space,
        trial,
        len(trial.objectives),
        seeds=seeds,
        evaluations=evaluations,
        seed=seed,
        workers=workers,
        ray=ray,
        memory=memory,
        tell=tell,
    )
    bred = [plan for each in found if (plan := trial.plan(each.choice)) is not None]
    best, _ = parted([*front.plans, *bred], front.objectives)
    model = f"{front.certificate.model}, then up to {evaluations} choices judged end to end"
    certificate = replace(front.certificate, kind="bounded", gap=None, model=model)
    if best == list(front.plans):  # nothing that was bred is better
        certificate = replace(front.certificate, model=model)
    beaten = tuple(plan for plan in front.plans if plan not in best)
    return replace(front, plans=tuple(best), certificate=certificate, compared=(*front.compared, *beaten))


def _space(trial: Trial, graph: Graph, most: int) -> Space:
    several = max(len(trial.profiles.of(name)) for name in trial.names)
    space: dict[str, Sequence[str | int | float]] = {"stages": range(1, most + 1)}
    for i in range(most):
        space[f"device {i}"] = list(trial.names)
        space[f"variant {i}"] = list(range(several))
    for i in range(most - 1):
        space[f"cut {i}"] = range(len(graph.candidates))
        space[f"codec {i}"] = _codecs(trial, graph)
    return space


def _codecs(trial: Trial, graph: Graph) -> list[Codec]:
    """All but those that need ranges which are not known, or twins that hold something so."""
    losses = trial.question.losses
    held = {each.dtype for twin in graph.twins for each in twin.held}
    usual = [codec for codec in CODECS if codec != "u8c" or (losses and losses.ranges)]
    return [*usual, *(codec for codec in STRAIGHT if codec in held)]


def _choice(plan: Plan, trial: Trial, candidates: Sequence[int], most: int) -> Choice | None:
    """A chain as a choice; None where it is none, such as replicas."""
    if len(plan.stages) > most or plan.order or any(len(stage.devices) > 1 for stage in plan.stages):
        return None
    choice: dict[str, str | int | float] = {"stages": len(plan.stages)}
    for i in range(most):
        stage = plan.stages[min(i, len(plan.stages) - 1)]
        known = [profile.variant for profile in trial.profiles.of(stage.devices[0])]
        choice |= {f"device {i}": stage.devices[0], f"variant {i}": known.index(stage.variant)}
    for i in range(most - 1):
        inner = i < len(plan.stages) - 1
        codecs = {each.codec for each in plan.transfers if each.source == i and each.receiver == i + 1} - {"raw"}
        choice |= {f"cut {i}": candidates.index(plan.stages[i].stop) if inner else 0, f"codec {i}": codecs.pop() if codecs else "raw"}
    return choice
