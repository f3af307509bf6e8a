"""What a network loses in accuracy where it is sent or run otherwise than it is."""

from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.codec import CODECS, Codec
from edgekit.quantity import Count, Name
from edgekit.range import Range

__all__ = ["Losses", "StageLoss", "TensorLoss"]


class TensorLoss(Struct, frozen=True, forbid_unknown_fields=True):
    """What is lost in accuracy when this tensor alone is sent in a codec."""

    tensor: Name
    codec: Codec
    loss: Annotated[float, Meta(ge=0)]


class StageLoss(Struct, frozen=True, forbid_unknown_fields=True):
    """What is lost when units ``[start, stop)`` alone run in another precision."""

    start: Count
    stop: Count
    precision: Name
    loss: Annotated[float, Meta(ge=0)]


class Losses(Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="format", tag="edgekit.losses"):
    """What codecs and other precisions lose, each measured alone; sums of it are estimates.

    Attributes:
        measure: ``error``: by how much the share of wrong answers grows; ``disagreement``: share of samples whose largest output is
            another one; ``rms``: root of the mean square of the differences of the outputs, over their standard deviation.
        tensors: those that can be sent so; what is not among them stays as it is.
        stages: units between two neighbouring cuts, of all units in each precision.
        ranges: of tensors that can be sent in u8c, as all samples together have them. Each sample was judged with those of others,
            from five samples on, so that what is clipped of a sample never seen is part of the loss.
    """

    graph: Name
    measure: Literal["error", "disagreement", "rms"]
    samples: Annotated[int, Meta(ge=1)]
    tensors: tuple[TensorLoss, ...]
    stages: tuple[StageLoss, ...] = ()
    ranges: tuple[Range, ...] = ()
    version: int = 1

    @cached_property
    def _known(self) -> dict[tuple[str, Codec], float]:
        return {(each.tensor, each.codec): each.loss for each in self.tensors}

    @cached_property
    def _sums(self) -> dict[tuple[str, int], tuple[int, float]]:
        """For each cut in each precision: where the unbroken row of stages around it begins, and what is lost from there on."""
        sums: dict[tuple[str, int], tuple[int, float]] = {}
        for each in sorted(self.stages, key=lambda stage: stage.start):
            begin, lost = sums.setdefault((each.precision, each.start), (each.start, 0.0))
            sums[each.precision, each.stop] = (begin, lost + each.loss)
        return sums

    def of(self, tensor: str, codec: Codec) -> float | None:
        """What is lost; None: not known, or the tensor cannot be sent so."""
        return 0.0 if codec == "raw" else self._known.get((tensor, codec))

    def of_stage(self, start: int, stop: int, precision: str) -> float | None:
        """The sum of what is lost in units ``[start, stop)``; None: not known of all of them."""
        first, last = (self._sums.get((precision, cut)) for cut in (start, stop))
        return last[1] - first[1] if first and last and first[0] == last[0] else None

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """Those that some tensor can be sent in."""
        found = {each.codec for each in self.tensors}
        return tuple(codec for codec in CODECS if codec in found)
