"""A machine described by a short run on it: what each kind of kernel costs there, and how far that is off.

segment  =  Σ kernels  ( overhead + MACs · s_per_mac[kind] + activation bytes · s_per_byte[kind] )
          + weight bytes · ( weight_s_per_byte, or stream_s_per_byte where the segment's weights exceed cache_bytes )
"""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from edgekit.conditions import Conditions
from edgekit.device import Variant
from edgekit.errors import UsageError
from edgekit.graph.work_kinds import Kind, Part
from edgekit.quantity import Bytes, Name, Seconds

__all__ = ["Calibration", "Fitted", "KindCost", "calibrated_s"]


class KindCost(Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of kernel costs beside its overhead."""

    kind: Kind
    s_per_mac: Seconds
    s_per_byte: Seconds


class Fitted(Struct, frozen=True, forbid_unknown_fields=True):
    """A network that the costs were fitted to: what it took, and what they give."""

    name: Name
    measured_s: Seconds
    fitted_s: Seconds


class Calibration(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.calibration"):
    """What ``sim:FILE.json`` reads: costs of kernels on one machine in one variant, fitted to micro-networks.

    Attributes:
        error: median of how far a fitted network is off, as a share of what it took; ``worst_error`` is the largest.
            Networks that it was not fitted to are further off.
    """

    device: Name
    variant: Variant
    conditions: Conditions
    costs: tuple[KindCost, ...]
    overhead_s: Seconds
    weight_s_per_byte: Seconds
    stream_s_per_byte: Seconds
    cache_bytes: Bytes
    error: Annotated[float, Meta(ge=0)]
    worst_error: Annotated[float, Meta(ge=0)]
    networks: tuple[Fitted, ...]
    memory_bytes: Bytes | None = None
    version: int = 1

    def require(self, variant: Variant) -> None:
        """Refuse a variant that it says nothing of.

        Raises:
            UsageError: it was calibrated in another one.
        """
        if variant != self.variant:
            raise UsageError(f"{self.device} was calibrated as {self.variant}, and is asked for {variant}; calibrate it so, or change it")


def calibrated_s(parts: Iterable[Part], weight_bytes: int, segment_weight_bytes: int, calibration: Calibration) -> float:
    """Seconds of one unit within a segment of so many bytes of weights."""
    costs = {cost.kind: cost for cost in calibration.costs}
    rate = calibration.stream_s_per_byte if segment_weight_bytes > calibration.cache_bytes else calibration.weight_s_per_byte
    return weight_bytes * rate + sum(
        calibration.overhead_s + part.macs * costs[part.kind].s_per_mac + part.nbytes * costs[part.kind].s_per_byte for part in parts
    )
