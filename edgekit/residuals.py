"""How far off earlier predictions were, and so how far off the next one may be."""

from collections.abc import Sequence
from math import ceil, exp, log
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct, structs

from edgekit.quantity import Name
from edgekit.trace import Trace

__all__ = ["Interval", "Residual", "Residuals", "interval"]

Ratio = Annotated[float, Meta(gt=0)]


class Interval(NamedTuple):
    """What a quantity will lie in, with a stated chance."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and self.low <= value <= self.high


class Residual(Struct, frozen=True, forbid_unknown_fields=True):
    """Measured over predicted latency and period of a pipeline that was certified; ``plan`` is the digest of its plan."""

    plan: Name
    latency: Ratio
    period: Ratio


class Residuals(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.residuals"):
    """Those of all pipelines that were certified from one run folder, the latest last."""

    found: tuple[Residual, ...] = ()
    version: int = 1

    def joined(self, trace: Trace) -> "Residuals":
        """With those of another pipeline, if it was predicted; of a plan that was certified before the newer ones count."""
        if trace.predicted is None:
            return self
        latency = trace.measured.latency_s / trace.predicted.latency_s
        others = tuple(residual for residual in self.found if residual.plan != trace.plan)
        return structs.replace(self, found=(*others, Residual(trace.plan, latency, trace.measured.period_s / trace.predicted.period_s)))


def interval(predicted: float, ratios: Sequence[float], share: float = 0.9) -> Interval | None:
    """Where the measured value will lie in ``share`` of all cases, if this prediction is as good as earlier ones; None if they are too few.

    Split conformal prediction (Papadopoulos et al., 2002; Lei et al., 2018, arXiv:1604.04173) on the magnitude of the
    logarithm of ``ratios``, each measured / predicted. For nine in ten it needs nine of them.

    >>> low, high = interval(10.0, [1.01, 0.99, 1.02, 0.98, 1.0, 1.0, 1.03, 1.05, 0.97])
    >>> round(low, 3), round(high, 3)
    (9.524, 10.5)
    >>> interval(10.0, [1.01, 0.99])
    """
    scores = sorted(abs(log(ratio)) for ratio in ratios)
    rank = ceil((len(scores) + 1) * share)
    if not 0 < rank <= len(scores):
        return None
    width = exp(scores[rank - 1])
    return Interval(predicted / width, predicted * width)
