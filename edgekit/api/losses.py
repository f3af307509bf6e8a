"""What codecs and other precisions lose in accuracy: each measured alone to choose by, then whole plans to be sure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgekit.accuracy.channel_ranges import FOLDS, Spread, everywhere, observe
from edgekit.accuracy.output_error import difference
from edgekit.api.display import showing
from edgekit.cluster import Cluster
from edgekit.codec import CODECS, OPSETS, Codec, takes
from edgekit.deploy.client.frame_files import read_frames
from edgekit.device import Device, Variant
from edgekit.errors import FrameError, GraphError, PlanError, UsageError
from edgekit.front import Front, cost_of
from edgekit.graph import Graph
from edgekit.losses import Losses, StageLoss, TensorLoss
from edgekit.onnxio import Model
from edgekit.plan import Plan, Stage, Transfer, chain, ranged, validate
from edgekit.progress import Tell, silent
from edgekit.runtime.engine.executor import open_session
from edgekit.stages.composed_run import Composed, as_unsplit
from edgekit.stages.parts import part
from partitioner.solve.dominance import parted

__all__ = ["FOLDS", "Evaluated", "Judge", "evaluate", "loss_of", "measure_losses"]

Arrays = Mapping[str, NDArray[np.generic]]
Run = Callable[[Arrays], Arrays]
Measure = Literal["error", "disagreement", "rms"]

HERE, BETWEEN, THERE = "here", "between", "there"


class Judge:
    """Frames, what the unsplit network makes of them, and what they are, where that is known.

    ``measure``: how accuracy is told: by wrong answers where there are labels, by other answers where outputs look like class
    scores, else by the size of the differences.

    Raises:
        FrameError: the data does not fit the network's inputs, or the labels do not fit the data.
        UsageError: there are labels, but no scores that they could be held against.
    """

    def __init__(self, graph: Graph, model: Model, data: str | Path, labels: str | Path | None = None):
        self.graph, self.model = graph, model
        self.frames = [frame for _, frame in read_frames(str(data), graph.cuts[0].tensors)]
        self._names = [tensor.name for tensor in graph.cuts[-1].tensors if tensor.dtype.startswith("float")]
        session = open_session(model.serialized, Variant())
        self._want = self._outputs([lambda frame: dict(zip(self._names, session.run(self._names, dict(frame)), strict=True))])
        scored = all(difference(name, held, held).agreement is not None for name, held in self._want.items())
        self._labels = _labels(labels, len(self.frames)) if labels is not None else None
        if self._labels is not None and not (scored and len(self._names) == 1):
            raise UsageError(f"labels need one output of class scores, {graph.name} has {', '.join(graph.outputs)}; leave --labels out")
        self.measure: Measure = "error" if self._labels is not None else "disagreement" if scored and self._names else "rms"

    @property
    def right(self) -> float | None:
        """The share of frames that the unsplit network tells right; None: there are no labels."""
        return None if self._labels is None else 1 - self._wrong(self._want)

    def loss(self, run: Run) -> float | None:
        """What another way to run the network loses; None: it makes values that are no longer finite."""
        return self.loss_in_folds([run], 1)

    def loss_in_folds(self, runs: Iterable[Run], folds: int) -> float | None:
        """The same where each fold of the frames, as ``observe`` has them, is run in a way of its own; one is made at a time."""
        got = self._outputs(runs, folds)
        try:
            found = [difference(name, got[name], want) for name, want in self._want.items()]
        except GraphError:
            return None
        if self._labels is not None:
            return max(0.0, self._wrong(got) - self._wrong(self._want))
        if self.measure == "disagreement":
            return max(1.0 - (each.agreement or 0.0) for each in found)
        return max((each.rms for each in found), default=0.0)

    def _outputs(self, runs: Iterable[Run], folds: int = 1) -> dict[str, list[NDArray[np.generic]]]:
        found: list[Arrays] = [{}] * len(self.frames)
        for fold, run in enumerate(runs):
            found[fold::folds] = [{name: outputs[name] for name in self._names} for outputs in map(run, self.frames[fold::folds])]
        return {name: [each[name] for each in found] for name in self._names}

    def _wrong(self, outputs: Mapping[str, list[NDArray[np.generic]]]) -> float:
        scores = np.stack([held.reshape(-1) for held in outputs[self._names[0]]])
        return float(np.mean(scores.argmax(-1) != self._labels))


def _labels(path: str | Path, count: int) -> NDArray[np.int64]:
    try:
        held = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FrameError(f"{path}: expected an .npy file of class numbers ({error}); save it with numpy.save") from error
    if not isinstance(held, np.ndarray) or held.shape != (count,) or held.dtype.kind not in "iu":
        raise FrameError(f"{path}: expected {count} class numbers, one for each frame; save them with numpy.save as one row of integers")
    return held.astype(np.int64)


@showing("measuring losses")
def measure_losses(judge: Judge, codecs: Sequence[Codec] = CODECS[1:], tell: Tell = silent, cuts: Collection[int] | None = None) -> Losses:
    """The loss of every tensor that can cross a cut, in every codec, and of units in the precisions of twins, each alone.

    ``cuts``: only what crosses these, and only the units between them; None: every candidate.
    In u8c each frame is judged with ranges that other frames gave, where there are five or more.
    """
    graph = judge.graph
    tensors, stages = [], []
    able = [codec for codec in codecs if not 0 < graph.opset < OPSETS[codec]]
    spreads = _spreads(judge, tell) if "u8c" in able and graph.candidates else {}
    positions = [position for position in graph.candidates if cuts is None or position in cuts]
    sent = [each for each in _sent(graph, able, positions) if each[1] != "u8c" or each[0] in spreads]
    run = list(_run(graph, positions))
    count = len(sent) + len(run)
    for number, (tensor, codec, plan) in enumerate(sent):
        tell(f"{number + 1} of {count}: {tensor} in {codec}", number, count)
        loss = _ranged_loss(plan, spreads[tensor], judge) if codec == "u8c" else judge.loss(_composed(plan, judge))
        if loss is not None:
            tensors.append(TensorLoss(tensor, codec, loss))
    for number, (start, stop, precision, plan) in enumerate(run, len(sent)):
        tell(f"{number + 1} of {count}: units [{start}, {stop}) in {precision}", number, count)
        if (loss := judge.loss(_composed(plan, judge))) is not None:
            stages.append(StageLoss(start, stop, precision, loss))
    ranges = [spreads[each.tensor].range for each in tensors if each.codec == "u8c"]
    known = tuple(each for each in ranges if each is not None)
    return Losses(graph.digest, judge.measure, len(judge.frames), tuple(tensors), tuple(stages), known)


def _spreads(judge: Judge, tell: Tell) -> dict[str, Spread]:
    """Of all tensors that have a range in every fold."""
    tell("ranges of channels")
    found = observe(judge.graph, _composed(everywhere(judge.graph, HERE), judge), judge.frames)
    return {name: spread for name, spread in found.items() if all(spread.without_each())}


def _ranged_loss(plan: Plan, spread: Spread, judge: Judge) -> float | None:
    plans = (ranged(plan, [each]) for each in spread.without_each() if each is not None)
    return judge.loss_in_folds((_composed(each, judge) for each in plans), len(spread.low))


def _sent(graph: Graph, codecs: Sequence[Codec], positions: Iterable[int]) -> Iterator[tuple[str, Codec, Plan]]:
    """Each tensor in each codec, with a plan that sends it so where it first crosses, and everything else as it is."""
    seen = set()
    for position in positions:
        stages = (Stage(0, position, (HERE,)), Stage(position, len(graph.units), (THERE,)))
        plan = chain(graph, stages)
        for tensor in graph.cuts[position].tensors:
            if tensor.name in seen or not takes(tensor, "fp16"):
                continue
            seen.add(tensor.name)
            for codec in codecs:
                sent = Transfer(tensor.name, 0, 1)
                transfers = tuple(replace(each, codec=codec) if each == sent else each for each in plan.transfers)
                yield tensor.name, codec, replace(plan, transfers=transfers)


def _run(graph: Graph, positions: Collection[int]) -> Iterator[tuple[int, int, str, Plan]]:
    """The units between two neighbouring cuts of a twin, with a plan in which they alone run so."""
    for twin in graph.twins:
        count = len(graph.units)
        for start, stop in pairwise((0, *(cut for cut in twin.cuts if cut in positions), count)):
            changed = Stage(start, stop, (BETWEEN,), Variant(twin.precision))
            around = ((Stage(0, start, (HERE,)) if start else None), changed, (Stage(stop, count, (THERE,)) if stop < count else None))
            yield start, stop, twin.precision, validate(chain(graph, tuple(stage for stage in around if stage)), graph)


def _composed(plan: Plan, judge: Judge) -> Callable[[Arrays], Arrays]:
    graph = judge.graph.in_order(plan.order)
    names = [Device(name) for name in plan.devices]
    return Composed(part(plan, graph, judge.model, Cluster(tuple(names), ()), "losses")).run


def loss_of(plan: Plan, judge: Judge) -> float | None:
    """What a whole plan loses, run end to end; None: its outputs are no longer finite."""
    return 0.0 if as_unsplit(plan, judge.model) else judge.loss(_composed(plan, judge))


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
