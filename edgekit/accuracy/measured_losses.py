"""What codecs and other precisions lose in accuracy: each measured alone to choose by, and whole plans to be sure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec.structs import replace

from edgekit.accuracy.channel_ranges import Spread, everywhere, observe
from edgekit.accuracy.judge import Judge, Run
from edgekit.cluster import Cluster
from edgekit.codec import CODECS, OPSETS, Codec, takes
from edgekit.device import Device, Variant
from edgekit.graph import Graph
from edgekit.losses import Losses, StageLoss, TensorLoss
from edgekit.plan import Plan, Stage, Transfer, chain, ranged, validate
from edgekit.progress import Tell, silent
from edgekit.stages.composed_run import Composed, as_unsplit
from edgekit.stages.parts import part

__all__ = ["loss_of", "measure_losses"]

HERE, BETWEEN, THERE = "here", "between", "there"


def measure_losses(
    judge: Judge, *, codecs: Sequence[Codec] = CODECS[1:], tell: Tell = silent, cuts: Collection[int] | None = None
) -> Losses:
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


def _composed(plan: Plan, judge: Judge) -> Run:
    graph = judge.graph.in_order(plan.order)
    names = [Device(name) for name in plan.devices]
    return Composed(part(plan, graph, judge.model, Cluster(tuple(names), ()), "losses")).run


def loss_of(plan: Plan, judge: Judge) -> float | None:
    """What a whole plan loses, run end to end; None: its outputs are no longer finite."""
    return 0.0 if as_unsplit(plan, judge.model) else judge.loss(_composed(plan, judge))
