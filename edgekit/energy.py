"""What work took of a machine's energy; absent is None, with the reason."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.quantity import Count, Seconds

__all__ = ["Energy"]


class Energy(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.energy"):
    """The energy of one window of work, as a meter of the machine saw it.

    Attributes:
        meter: its kind; ``rails`` are those added up, which need not be all of the machine.
        window_s: how long the work was watched; ``coverage`` is the share of it that readings cover.
        gross_j: joules of the covered seconds.
        idle_w: watts at rest, measured before.
        net_j: ``gross_j`` less ``idle_w`` over the covered seconds; below zero where rest took more than work.
        inferences: made in the window.
        reason: why ``gross_j``, ``idle_w`` or ``net_j`` is None.
    """

    meter: Literal["ina3221", "ina2xx", "pmic", "rapl", "nvml"] | None = None
    rails: tuple[str, ...] = ()
    window_s: Seconds | None = None
    readings: Count = 0
    coverage: Annotated[float, Meta(ge=0, le=1)] = 0.0
    gross_j: float | None = None
    net_j: float | None = None
    idle_w: float | None = None
    inferences: Annotated[int, Meta(ge=1)] | None = None
    reason: str | None = None
    version: int = 1

    @property
    def gross_j_per_inference(self) -> float | None:
        """Mean joules of one inference, what the machine takes at rest included.

        >>> Energy(gross_j=19.0, coverage=0.95, inferences=10).gross_j_per_inference
        2.0
        """
        return self._each(self.gross_j)

    @property
    def net_j_per_inference(self) -> float | None:
        """Mean joules that one inference adds to what the machine takes at rest."""
        return self._each(self.net_j)

    def _each(self, joules: float | None) -> float | None:
        """The covered seconds stand for the whole window: ``coverage`` of the inferences fell into them."""
        if joules is None or self.inferences is None or self.coverage == 0:
            return None
        return joules / (self.inferences * self.coverage)
