"""What a plan costs, term by term, predicted or measured."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.quantity import Badge, Bytes, Name, Seconds
from edgekit.wording import ms, three

__all__ = ["Cost", "Load", "Memory", "Term"]


class Term(Struct, frozen=True, forbid_unknown_fields=True):
    """One summand of the latency of a frame alone, such as ``compute 1@pi`` or ``transfer pi→nano``."""

    name: Name
    seconds: Seconds
    badge: Badge


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds per frame for which one resource is busy; the largest is the period."""

    resource: Name
    seconds: Seconds


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """Peak bytes of one host, or of the RAM or the flash of a microcontroller, which is called by its device."""

    host: Name
    nbytes: Bytes
    kind: Literal["host", "ram", "flash"] = "host"


class Cost(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan in numbers: one frame alone, a frame in a full pipeline, the hosts' memory, joules of a frame, accuracy lost.

    Attributes:
        peak_memory_bytes: of the largest memory that holds data: flash does not count.
        energy_j: net joules of the work on one frame, and what the machines take at rest until the next; None where a
            device has no meter. Attributed by time, so never more than estimated.
        accuracy_loss: summed over codecs, in the unit of the measure of accuracy; None where it is not known of one.
        loss_badge: measured where the whole plan was run on data.
        device_count: how many devices are used.
        badge: of the least trusted term of the latency.
    """

    latency_s: Seconds
    period_s: Seconds
    peak_memory_bytes: Bytes
    terms: tuple[Term, ...]
    loads: tuple[Load, ...]
    memory: tuple[Memory, ...]
    badge: Badge = "estimated"
    emulated: bool = False
    energy_j: Annotated[float, Meta(ge=0)] | None = None
    accuracy_loss: Annotated[float, Meta(ge=0)] | None = 0.0
    loss_badge: Badge = "estimated"
    device_count: Annotated[int, Meta(ge=1)] = 1

    @property
    def pace(self) -> str:
        """Latency and throughput, for who reads them.

        >>> Cost(0.106, 0.0178, 0, (), (), ()).pace
        '106 ms, 56.2 frames/s'
        """
        return f"{ms(self.latency_s)}, {three(1 / self.period_s) if self.period_s else 'any number of'} frames/s"
