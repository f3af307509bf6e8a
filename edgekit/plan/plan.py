"""Which part of a graph runs where, what is sent between the parts, and what that is predicted to cost."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.codec import Codec
from edgekit.device import OF_FP32, Variant
from edgekit.plan.predicted_cost import Cost
from edgekit.quantity import Count, Name
from edgekit.range import Range

__all__ = ["CLIENT", "End", "Plan", "Stage", "Transfer"]

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
