"""Who is at the end of a link: a stage by its index, or the client."""

from typing import Literal

__all__ = ["End", "end_name"]

End = int | Literal["client"]
"""A stage by its index, or the client."""


def end_name(end: End) -> str:
    """``stage 2`` or ``client``."""
    return end if isinstance(end, str) else f"stage {end}"
