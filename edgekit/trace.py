"""What really happened when a plan ran, in the same terms as its prediction."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.plan import Cost
from edgekit.quantity import Count, Name, Rate, Seconds, Share

__all__ = ["Equality", "LoadPoint", "Span", "Trace"]


class LoadPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Latency under open-loop arrivals, counted from the intended time of sending."""

    fraction: Share
    rate_per_s: Rate
    frames: Annotated[int, Meta(ge=1)]
    p50_s: Seconds
    p90_s: Seconds
    p99_s: Seconds


class Equality(Struct, frozen=True, forbid_unknown_fields=True):
    """Split against unsplit: the worst difference, relative to the magnitude of its tensor (see ``edgekit.deploy.equality``)."""

    frames: Count
    bit_equal: bool
    worst: float
    tolerance: float
    where: str = ""


class Span(Struct, frozen=True, forbid_unknown_fields=True):
    """One frame in one stage: seconds since the start of the trace."""

    stage: Name
    frame: Count
    start_s: Seconds
    stop_s: Seconds


class Trace(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.trace"):
    """A running plan, measured: latency alone, capacity, latency under load, and the terms behind them.

    ``window`` is the number of frames in flight at which throughput stopped growing.
    """

    graph: Name
    plan: str
    measured: Cost
    equality: Equality
    window: Annotated[int, Meta(ge=1)]
    loads: tuple[LoadPoint, ...] = ()
    spans: tuple[Span, ...] = ()
    predicted: Cost | None = None
    version: int = 1
