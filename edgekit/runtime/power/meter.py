"""One meter of power or energy, open for reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Meter"]


@dataclass(frozen=True)
class Meter:
    """A meter and its rails.

    Attributes:
        kind: ina3221, ina2xx, pmic, rapl or nvml.
        path: where it is read.
        unit: what ``read`` tells of every rail: watts at this moment, or joules since some time in the past.
        rails: all that can be read.
        counted: those that add up to what the meter sees, each watt once: no rail that another one of them feeds.
        read: values by rail; a rail that does not answer is left out.
        range_j: by rail, the joules after which a counter begins again at 0.
    """

    kind: str
    path: str
    unit: str
    rails: tuple[str, ...]
    counted: tuple[str, ...]
    read: Callable[[], dict[str, float]]
    range_j: Mapping[str, float] = field(default_factory=dict)

    def values(self) -> tuple[float, ...] | None:
        """The counted rails in their order; None unless every one of them answers, since a part is no sum."""
        found = self.read()
        values = tuple(found[rail] for rail in self.counted if rail in found)
        return values if len(values) == len(self.counted) else None
