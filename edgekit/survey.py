"""What was measured of the links of a cluster, sample by sample, so that links can be worked out of it again."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edgekit.cluster import Shape
from edgekit.quantity import Bytes, Count, Name, Seconds

__all__ = ["BARE", "Condition", "Sample", "Survey", "Way"]

BARE = Shape(0.001)
"""A shaped link of which only the delay is emulated: all else that a message takes there is what transport and emulation take."""

Condition = Literal["idle", "queued", "streamed", "computing", "together"]
"""One message at a time; small ones with several in flight; large ones without a pause; both ends busy with a network; several links
at once."""


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """Messages of one size on one link: round trips (where several are in flight, the time from answer to answer), processor seconds for
    each with its answer at both ends, segments sent again (None: the transport does not tell).

    ``with_links``: for ``together``, the links that carried messages at the same time, this one among them.
    """

    source: Name
    receiver: Name
    condition: Condition
    nbytes: Bytes
    round_trips_s: Annotated[tuple[Seconds, ...], Meta(min_length=1)]
    send_cpu_s: Seconds = 0.0
    receive_cpu_s: Seconds = 0.0
    retransmits: Count | None = None
    with_links: tuple[tuple[Name, Name], ...] = ()


class Way(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether and how one name reaches another; ``reason`` is why it does not, interfaces are those in use at the two ends."""

    source: Name
    receiver: Name
    reason: str | None = None
    source_interface: str | None = None
    receiver_interface: str | None = None
    wireless: bool = False
    power_save: bool = False


class Survey(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.survey"):
    """All of it, in the order in which it was measured; ``began`` in ISO 8601.

    ``transport``: what carried the messages, ``secure`` or in clear. ``bare``: the samples of one link that was shaped as ``BARE``; they
    stand for all shaped links that have no samples of their own.
    """

    began: str
    ways: tuple[Way, ...] = ()
    samples: tuple[Sample, ...] = ()
    transport: Name = "socket"
    secure: bool = True
    bare: tuple[Sample, ...] = ()
    version: int = 1
