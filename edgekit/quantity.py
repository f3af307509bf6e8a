"""Value types shared by the nouns: SI quantities that are finite and not negative, and names."""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

__all__ = ["Badge", "Bytes", "Count", "Name", "Rate", "Seconds", "Share", "least"]

Seconds = Annotated[float, Meta(ge=0)]
Rate = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Bytes = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]

Badge = Literal["spec", "estimated", "measured", "certified"]
"""Where a number comes from: a data sheet or model, kernels, that very segment, the running pipeline."""

TRUST: tuple[Badge, ...] = ("spec", "estimated", "measured", "certified")
"""Badges, the least trusted first."""


def least(badges: Iterable[Badge]) -> Badge:
    """The badge of a whole that is made of such parts."""
    return min(badges, key=TRUST.index)
