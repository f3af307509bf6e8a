"""What a plan must keep to, beside the memory caps of its devices."""

from msgspec import Struct

from edgekit.objectives import Objective
from edgekit.quantity import Count, Name, Rate

__all__ = ["UNCONSTRAINED", "Constraints", "Limit", "Pin", "Private"]


class Limit(Struct, frozen=True, forbid_unknown_fields=True):
    """The most of an objective, in its SI unit."""

    objective: Objective
    most: float


class Pin(Struct, frozen=True, forbid_unknown_fields=True):
    """Units ``[start, stop)`` run on this device and on no other."""

    start: Count
    stop: Count
    device: Name


class Private(Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor, such as an input of the network, is never sent to a device other than this one."""

    tensor: Name
    device: Name


class Constraints(Struct, frozen=True, forbid_unknown_fields=True):
    """Every one of these holds for every plan that is found.

    Attributes:
        together: units that are not to be parted: each group is within one stage.
        forbidden, required: devices that no plan uses, and that every plan uses.
        most_stages: None: as many as there are devices.
        rate_per_s: at which frames come in, which a plan has to keep up with; None: as fast as it takes them.
    """

    limits: tuple[Limit, ...] = ()
    pins: tuple[Pin, ...] = ()
    private: tuple[Private, ...] = ()
    together: tuple[tuple[Count, ...], ...] = ()
    forbidden: tuple[Name, ...] = ()
    required: tuple[Name, ...] = ()
    most_stages: Count | None = None
    rate_per_s: Rate | None = None

    @property
    def interval_s(self) -> float | None:
        """Seconds between two frames that come in."""
        return 1 / self.rate_per_s if self.rate_per_s else None


UNCONSTRAINED = Constraints()
