"""Which part of a graph runs where, what is sent between the parts, and what that is predicted to cost."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from edgekit.codec import OPSETS, STRAIGHT, Codec, carried, takes
from edgekit.device import OF_FP32, Variant
from edgekit.errors import PlanError
from edgekit.graph import Graph, Tensor
from edgekit.quantity import Badge, Bytes, Count, Name, Seconds
from edgekit.range import Range, misfit
from edgekit.wording import ms, three

__all__ = [
    "CLIENT",
    "Cost",
    "End",
    "Load",
    "Memory",
    "Plan",
    "Stage",
    "Term",
    "Transfer",
    "chain",
    "ranged",
    "sendable",
    "validate",
    "wired",
]

CLIENT: Literal["client"] = "client"
"""As source or receiver of a transfer: where inputs come from and results go to."""

End = int | Literal["client"]


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """Units ``[start, stop)`` on a device; on several, frames go to them in turn (frame i to device i mod r)."""

    start: Count
    stop: Annotated[int, Meta(ge=1)]
    devices: Annotated[tuple[Name, ...], Meta(min_length=1)]
    variant: Variant = Variant()


class Transfer(Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor from one stage (by index, or the client) to one receiver."""

    tensor: Name
    source: End
    receiver: End
    codec: Codec = "raw"


class Term(Struct, frozen=True, forbid_unknown_fields=True):
    """One summand of the latency of a frame alone, such as ``compute 1@pi`` or ``transfer pi→nano``."""

    name: Name
    seconds: Seconds
    badge: Badge


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds per frame for which one resource is busy; the largest is the period."""

    resource: Name
    seconds: Seconds


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """Peak bytes of one host."""

    host: Name
    nbytes: Bytes


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan in numbers: one frame alone, a frame in a full pipeline, the hosts' memory, joules of a frame, accuracy lost.

    Attributes:
        energy_j: net joules of the work on one frame, and what the machines take at rest until the next; None where a
            device has no meter. Attributed by time, so never more than estimated.
        accuracy_loss: summed over codecs, in the unit of the measure of accuracy; None where it is not known of one.
        loss_badge: measured where the whole plan was run on data.
        device_count: how many devices are used.
        badge: of the least trusted term of the latency.
    """

    latency_s: Seconds
    period_s: Seconds
    peak_memory_bytes: Bytes
    terms: tuple[Term, ...]
    loads: tuple[Load, ...]
    memory: tuple[Memory, ...]
    badge: Badge = "estimated"
    emulated: bool = False
    energy_j: Annotated[float, Meta(ge=0)] | None = None
    accuracy_loss: Annotated[float, Meta(ge=0)] | None = 0.0
    loss_badge: Badge = "estimated"
    device_count: Annotated[int, Meta(ge=1)] = 1

    @property
    def pace(self) -> str:
        """Latency and throughput, for who reads them.

        >>> Cost(0.106, 0.0178, 0, (), (), ()).pace
        '106 ms, 56.2 frames/s'
        """
        return f"{ms(self.latency_s)}, {three(1 / self.period_s) if self.period_s else 'any number of'} frames/s"


class Plan(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.plan"):
    """Stages that cover one graph exactly once, and every tensor that is sent between them.

    A plan written by hand may leave ``transfers`` empty: then each cut is relayed along the stages. ``order`` holds the
    graph's units in the order in which the stages count them, where branches are split otherwise than they stand in the graph.
    ``ranges`` are those of the channels of all tensors that are sent in u8c.
    """

    graph: Name
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)]
    transfers: tuple[Transfer, ...] = ()
    predicted: Cost | None = None
    name: str = ""
    order: tuple[Count, ...] = ()
    ranges: tuple[Range, ...] = ()
    version: int = 1

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device used, in order of first use."""
        return tuple(dict.fromkeys(name for stage in self.stages for name in stage.devices))

    def describe(self) -> str:
        """The plan on one line.

        >>> Plan("d", (Stage(0, 5, ("pi",)), Stage(5, 9, ("nano", "tx2")))).describe()
        'pi[0:5] → nano|tx2[5:9]'
        >>> Plan("d", (Stage(0, 5, ("pi",)), Stage(5, 9, ("nano",))), (Transfer("x", 0, 1, "u8"),)).describe()
        'pi[0:5] →u8→ nano[5:9]'
        >>> Plan("d", (Stage(0, 5, ("pi",), Variant("int8")), Stage(5, 9, ("nano",)))).describe()
        'pi[0:5] int8 → nano[5:9]'
        """
        words = []
        for index, stage in enumerate(self.stages):
            codecs = {transfer.codec for transfer in self.transfers if transfer.source == index and transfer.receiver != CLIENT} - {"raw"}
            arrow = f" →{'|'.join(sorted(codecs))}→ " if codecs else " → "
            precision = "" if stage.variant.precision in OF_FP32 else f" {stage.variant.precision}"
            words += [f"{'|'.join(stage.devices)}[{stage.start}:{stage.stop}]{precision}", arrow]
        return "".join(words[:-1])

    def messages(self) -> dict[tuple[End, End], tuple[Transfer, ...]]:
        """Transfers grouped by (source, receiver): what travels as one message."""
        grouped: dict[tuple[End, End], tuple[Transfer, ...]] = {}
        for transfer in self.transfers:
            ends = (transfer.source, transfer.receiver)
            grouped[ends] = (*grouped.get(ends, ()), transfer)
        return grouped

    def __repr__(self) -> str:
        """One line, whatever is predicted."""
        return f"<Plan {self.describe()}{f': {self.predicted.pace}' if self.predicted else ''}>"

    @property
    def coded(self) -> bool:
        """Whether anything travels otherwise than as it is, so that outputs are not those of the whole network."""
        return any(transfer.codec != "raw" for transfer in self.transfers)


def wired(graph: Graph, transfers: Iterable[Transfer]) -> tuple[Tensor, ...]:
    """What travels for transfers, as their codecs write it."""
    return tuple(tensor for transfer in transfers for tensor in carried(graph.tensor(transfer.tensor), transfer.codec))


def chain(graph: Graph, stages: tuple[Stage, ...], name: str = "", codecs: Sequence[Codec] = ()) -> Plan:
    """The plan whose stages form a line: all that crosses a cut goes to the next stage, relayed if need be.

    The stages count units as the graph does, which may be one with its units in another order.

    Args:
        codecs: for each message between two stages, that of all its tensors which can be sent so; none: as they are.
    """
    ends: list[int | Literal["client"]] = [CLIENT, *range(len(stages)), CLIENT]
    cuts = [*(stage.start for stage in stages), len(graph.units)]
    used: list[Codec] = ["raw", *(codecs or ["raw"] * (len(stages) - 1)), "raw"]
    transfers = tuple(
        Transfer(tensor.name, source, receiver, codec if sendable(graph, tensor, codec, stages, source, receiver) else "raw")
        for (source, receiver), cut, codec in zip(pairwise(ends), cuts, used, strict=True)
        if cut <= len(graph.units)
        for tensor in graph.cuts[cut].tensors
    )
    return Plan(graph.digest, stages, transfers, name=name, order=graph.order)


def sendable(graph: Graph, tensor: Tensor, codec: Codec, stages: Sequence[Stage], source: End, receiver: End) -> bool:
    """Whether a tensor can go in a codec from one stage to another; straight only between two that hold it in whole numbers."""
    if codec not in STRAIGHT:
        return takes(tensor, codec)
    if source == CLIENT or receiver == CLIENT:
        return False
    here, there = stages[source], stages[receiver]
    held = graph.held(here.variant.precision, here.stop) if here.variant.precision == there.variant.precision else {}
    return tensor.name in held and held[tensor.name].dtype == codec


def ranged(plan: Plan, ranges: Iterable[Range]) -> Plan:
    """The plan with the ranges of what it sends in u8c, as far as they are known."""
    sent = {transfer.tensor for transfer in plan.transfers if transfer.codec == "u8c"}
    used = tuple(each for each in ranges if each.tensor in sent)
    return plan if plan.ranges == used else replace(plan, ranges=used)


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
        raise PlanError(f"{what}, but not both stages hold it so; run both in the precision of one twin, or send it raw")
    found = next((each for each in plan.ranges if each.tensor == tensor.name), None)
    if transfer.codec == "u8c" and (wrong := misfit(found, tensor)):
        raise PlanError(f"{what}, {wrong}")


def _named(end: int | str) -> str:
    return "the client" if end == CLIENT else f"stage {end}"


def _some(positions: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, positions[:12]))
    return f"{shown}, …" if len(positions) > 12 else shown or "no position at all: keep the graph whole"
