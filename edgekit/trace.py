"""What really happened when a plan ran, in the same terms as its prediction."""

from typing import Annotated

from msgspec import Meta, Struct

from edgekit.plan import Cost
from edgekit.quantity import Badge, Count, Name, Rate, Seconds, Share

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
    """Split against unsplit: the worst difference, relative to the magnitude of its tensor (see ``edgekit.stages.equality``)."""

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

    @property
    def errors(self) -> dict[str, float]:
        """The relative error of the predicted latency and period; empty where nothing was predicted."""
        if self.predicted is None:
            return {}
        return {
            "latency": self.predicted.latency_s / self.measured.latency_s - 1,
            "period": self.predicted.period_s / self.measured.period_s - 1,
        }

    def table(self) -> list[dict[str, object]]:
        """The terms as rows, then latency and period, which are what is judged; for pandas or a notebook.

        ``error`` is relative to what was measured; what was not predicted is None.
        """
        expected = {term.name: (term.seconds, term.badge) for term in self.predicted.terms} if self.predicted else {}
        rows = []
        for term in self.measured.terms:
            seconds, trust = expected.get(term.name, (None, None))
            rows.append(_row(term.name, seconds, trust, term.seconds))
        for name in ("latency", "period"):
            there = getattr(self.predicted, f"{name}_s", None)
            badge = self.predicted.badge if self.predicted else None
            rows.append(_row(name, there, badge, getattr(self.measured, f"{name}_s"), judged=True))
        return rows

    def __repr__(self) -> str:
        """One line, however many spans there are."""
        return f"<Trace of {self.measured.pace}, {self.measured.badge}; trace.table() lists its terms>"


def _row(name: str, predicted_s: float | None, badge: Badge | None, measured_s: float, judged: bool = False) -> dict[str, object]:
    error = predicted_s / measured_s - 1 if predicted_s is not None and measured_s else None
    return {"term": name, "predicted_s": predicted_s, "measured_s": measured_s, "error": error, "badge": badge, "judged": judged}
