"""Checks a plan against its graph."""

from itertools import pairwise

from msgspec.structs import replace

from edgekit.codec import FREE, OPSETS, STRAIGHT, takes
from edgekit.device import Variant
from edgekit.errors import PlanError
from edgekit.graph import Graph
from edgekit.plan.plan import CLIENT, End, Plan, Transfer
from edgekit.plan.split import chain, sendable
from edgekit.range import misfit

__all__ = ["validate"]


def validate(plan: Plan, graph: Graph) -> Plan:
    """Check a plan against its graph and fill in transfers and precisions that were left out.

    A plan of a front whose stages were edited gets the transfers of these stages, and loses its prediction.

    Raises:
        PlanError: another graph, units left out or covered twice, a cut that cannot be made, a tensor that
            is sent before it exists, or never reaches a stage that reads it, a precision that is not the graph's.
    """
    if plan.graph != graph.digest:
        raise PlanError(f"the plan is for graph {plan.graph[:12]}, this is {graph.digest[:12]} ({graph.name}); partition this graph again")
    graph = graph.in_order(plan.order)
    position = 0
    for index, stage in enumerate(plan.stages):
        if stage.start != position or stage.stop <= stage.start:
            raise PlanError(f"stage {index} is units [{stage.start}, {stage.stop}), expected it to start at {position} and not be empty")
        if stage.start and (obstacle := graph.cuts[stage.start].obstacle if stage.start < len(graph.cuts) else "there is no such unit"):
            raise PlanError(f"the graph cannot be cut at {stage.start}: {obstacle}; choose among {_some(graph.candidates)}")
        if len(set(stage.devices)) != len(stage.devices):
            raise PlanError(f"stage {index} names a device twice: {', '.join(stage.devices)}; name each replica once")
        position = stage.stop
    if position != len(graph.units):
        raise PlanError(f"the stages cover units [0, {position}), the graph has {len(graph.units)}; let the last stage stop there")
    plan = _in_precision(plan, graph)
    if not plan.transfers:
        return replace(plan, transfers=chain(graph, plan.stages).transfers)
    try:
        _validate_transfers(plan, graph)
    except PlanError as error:
        if plan.predicted is None or not _relayed(plan):
            raise PlanError(f"{error}; or delete all transfers of the plan, so that they are made anew") from error
        return replace(plan, transfers=chain(graph, plan.stages).transfers, predicted=None)  # of a front, but its stages were edited
    return plan


def _relayed(plan: Plan) -> bool:
    """Whether all is sent as it is, from each end to the next."""
    last = max((each.source for each in plan.transfers if isinstance(each.source, int)), default=0)
    ends: list[End] = [CLIENT, *range(last + 1), CLIENT]
    return not plan.coded and set(plan.messages()) <= set(pairwise(ends))


def _in_precision(plan: Plan, graph: Graph) -> Plan:
    """The plan with stages in the precision of the graph, which is the file's, or of a twin; the default means whatever that is."""
    stages = []
    for index, stage in enumerate(plan.stages):
        asked, own = stage.variant.precision, stage.variant.on(graph.precision)
        if own == stage.variant or graph.runs_in(asked, stage.start, stage.stop):
            stages.append(stage)
        elif asked == Variant().precision:
            stages.append(replace(stage, variant=own))
        elif any(twin.precision == asked for twin in graph.twins):
            raise PlanError(f"stage {index}, units [{stage.start}, {stage.stop}), cannot run in {asked}: that network cannot be cut there")
        else:
            raise PlanError(
                f"stage {index} is to run in {asked}, but {graph.name} computes in {graph.precision}; "
                "make a network of that precision first, edgekit quantize, and pass it with --twin"
            )
    return plan if tuple(stages) == plan.stages else replace(plan, stages=tuple(stages))


def _validate_transfers(plan: Plan, graph: Graph) -> None:
    segments = [graph.segment(stage.start, stage.stop) for stage in plan.stages]
    holds: dict[int | str, set[str]] = {i: {t.name for t in segment.outputs} for i, segment in enumerate(segments)}
    holds[CLIENT] = {tensor.name for tensor in graph.cuts[0].tensors}
    arrived: dict[int | str, set[str]] = {end: set() for end in holds}
    seen = set()
    order = {CLIENT: -1} | {i: i for i in range(len(segments))}
    for transfer in sorted(plan.transfers, key=lambda t: order.get(t.source, len(segments))):
        if transfer.source not in holds or transfer.receiver not in holds:
            raise PlanError(f"{transfer.tensor} goes {transfer.source} → {transfer.receiver}, but the plan has {len(segments)} stages")
        if transfer in seen or transfer.tensor in arrived[transfer.receiver]:
            raise PlanError(f"{transfer.tensor} reaches {_named(transfer.receiver)} twice; send it once")
        if CLIENT not in (transfer.source, transfer.receiver) and order[transfer.source] >= order[transfer.receiver]:
            raise PlanError(f"{transfer.tensor} goes backwards, {transfer.source} → {transfer.receiver}")
        if transfer.tensor not in holds[transfer.source] | arrived[transfer.source]:
            raise PlanError(f"{_named(transfer.source)} does not have {transfer.tensor} to send")
        if transfer.codec != "raw":
            _validate_codec(transfer, graph, plan)
        seen.add(transfer)
        arrived[transfer.receiver].add(transfer.tensor)
    wanted: dict[int | str, set[str]] = {i: {t.name for t in segment.inputs} for i, segment in enumerate(segments)}
    wanted[CLIENT] = {tensor.name for tensor in graph.cuts[-1].tensors}
    for end, names in wanted.items():
        if missing := names - arrived[end]:
            raise PlanError(f"{_named(end)} never gets {', '.join(sorted(missing))}; add the transfers")


def _validate_codec(transfer: Transfer, graph: Graph, plan: Plan) -> None:
    what = f"{transfer.tensor} is to go {transfer.source} → {transfer.receiver} in {transfer.codec}"
    if CLIENT in (transfer.source, transfer.receiver):
        raise PlanError(f"{what}, but the client sends and gets tensors as they are; send it raw")
    if not takes(tensor := graph.tensor(transfer.tensor), transfer.codec):
        raise PlanError(f"{what}, but it is of type {tensor.dtype}, expected float32; send it raw")
    if 0 < graph.opset < OPSETS[transfer.codec]:
        raise PlanError(
            f"{what}, which needs opset {OPSETS[transfer.codec]}, but {graph.name} has {graph.opset}; send it raw, or export it anew"
        )
    if not sendable(graph, tensor, transfer.codec, plan.stages, transfer.source, transfer.receiver):
        if transfer.codec not in FREE:
            straight = " or ".join(("raw", *STRAIGHT))
            raise PlanError(f"{what}, but one of the two stages runs on a microcontroller, which has no codecs; send it {straight}")
        raise PlanError(f"{what}, but not both stages hold it so; run both in the precision of one twin, or send it raw")
    found = next((each for each in plan.ranges if each.tensor == tensor.name), None)
    if transfer.codec == "u8c" and (wrong := misfit(found, tensor)):
        raise PlanError(f"{what}, {wrong}")


def _named(end: int | str) -> str:
    return "the client" if end == CLIENT else f"stage {end}"


def _some(positions: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, positions[:12]))
    return f"{shown}, …" if len(positions) > 12 else shown or "no position at all: keep the graph whole"
