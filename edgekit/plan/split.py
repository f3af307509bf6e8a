"""Builds a plan whose stages form a line, and fills in the transfers between the stages."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from msgspec.structs import replace

from edgekit.codec import FREE, STRAIGHT, Codec, carried, takes
from edgekit.device import MCU
from edgekit.graph import Graph, Tensor
from edgekit.plan.plan import CLIENT, End, Plan, Stage, Transfer
from edgekit.range import Range

__all__ = ["chain", "ranged", "sendable", "wired"]


def wired(graph: Graph, transfers: Iterable[Transfer]) -> tuple[Tensor, ...]:
    """The tensors that these transfers put on the link, after their codecs encoded them."""
    return tuple(tensor for transfer in transfers for tensor in carried(graph.tensor(transfer.tensor), transfer.codec))


def chain(graph: Graph, stages: tuple[Stage, ...], *, name: str = "", codecs: Sequence[Codec] = ()) -> Plan:
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
    """Whether a tensor can go in a codec from one stage to another; straight only between two that hold it in whole numbers.

    A microcontroller has no codecs: what it reads and makes goes as it is, or straight.
    """
    if codec not in FREE and any(end != CLIENT and stages[end].variant.engine == MCU for end in (source, receiver)):
        return False
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
