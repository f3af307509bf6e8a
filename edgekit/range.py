"""What the channels of a tensor were seen to hold, as the steps in which they are then counted."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.graph import Tensor
from edgekit.quantity import Count, Name

__all__ = ["LEAST_SCALE", "STEPS", "Range", "misfit"]

STEPS = 255

LEAST_SCALE = 2.0**-126
"""The smallest number that fp32 holds with all its digits."""

Scale = Annotated[float, Meta(ge=LEAST_SCALE, le=2.0**127)]
Byte = Annotated[int, Meta(ge=0, le=STEPS)]


class Range(Struct, frozen=True, forbid_unknown_fields=True):
    """How the channels of a tensor are written in eight bits: value = (byte - zero) · scale.

    Attributes:
        axis: along which the channels lie.
        channels: scale, a number of fp32, and zero of each; a single one is that of the whole tensor.
    """

    tensor: Name
    axis: Count
    channels: Annotated[tuple[tuple[Scale, Byte], ...], Meta(min_length=1)]


def misfit(found: Range | None, tensor: Tensor) -> str:
    """Why a tensor cannot be written in these ranges, and what to do; empty where it can."""
    if found is None:
        return (
            "but the ranges of its channels are not known; measure them with edgekit quantize --losses on data of yours and "
            "partition with that, or send it in u8"
        )
    shape = tensor.shape or ()
    if len(found.channels) > 1 and (found.axis >= len(shape) or shape[found.axis] != len(found.channels)):
        return f"with {len(found.channels)} ranges along axis {found.axis} of {list(shape)}; measure them again"
    return ""
