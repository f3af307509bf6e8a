"""Value types shared by the nouns: SI quantities that are finite and not negative, and names."""

from typing import Annotated, Literal

from msgspec import Meta

__all__ = ["Badge", "Bytes", "Count", "Name", "Rate", "Seconds", "Share"]

Seconds = Annotated[float, Meta(ge=0)]
Rate = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, le=1)]
Bytes = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]

Badge = Literal["spec", "estimated", "measured", "certified"]
"""Where a number comes from: a data sheet or model, kernels, that very segment, the running pipeline."""
