"""Devices and the links between them; the client, source of inputs and sink of results, is one of the names."""

from collections.abc import Callable
from functools import cached_property
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from edgekit.device import Device
from edgekit.errors import PlanError, UsageError
from edgekit.mistakes import guess
from edgekit.quantity import Badge, Bytes, Name, Rate, Seconds

__all__ = ["ANY", "Cluster", "Link", "LinkPoint", "Rated", "Shape"]

ANY = "*"
"""As source or receiver of a link: every name that no other link mentions for that direction."""


class LinkPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """One-way time of a message of ``nbytes``, measured through the transport of the pipeline."""

    nbytes: Bytes
    p10_s: Seconds
    p50_s: Seconds
    p90_s: Seconds
    samples: Annotated[int, Meta(ge=1)]

    def at(self, quantile: float) -> float:
        """Seconds that so many of the messages took at most, from 0.1 to 0.9."""
        if quantile <= 0.5:
            return self.p10_s + (self.p50_s - self.p10_s) * (quantile - 0.1) / 0.4
        return self.p50_s + (self.p90_s - self.p50_s) * (quantile - 0.5) / 0.4


class Shape(Struct, frozen=True, forbid_unknown_fields=True):
    """A rate and a delay to emulate."""

    latency_s: Seconds = 0.0
    bytes_per_s: Rate | None = None


class Rated(Struct, frozen=True, forbid_unknown_fields=True):
    """What a message takes under other conditions."""

    latency_s: Seconds
    bytes_per_s: Rate


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """A directed channel: a message of n bytes takes ``latency_s + n / bytes_per_s``, unless it was measured.

    Attributes:
        send_s_per_byte, receive_s_per_byte: processor seconds that the transport costs at each end for every byte.
        send_s_per_message, receive_s_per_message: and those for every message, whatever its size.
        media: names of what it shares with other links (a NIC, a Wi-Fi channel); their loads add up.
        relay: whether it leads through the controller, inside its SSH connections, because nothing else does.
        shaped: whether edgekit has to emulate rate and latency itself, between ``local:`` devices.
        fixed: whether it stays as it is described: a survey leaves it out, and nothing measured takes its place.
        described: what a measured link was described as, which is what a shaped one goes on emulating.
        points: the measurements behind the fit; empty where the link is only described.
        computing: what it was measured as while both ends computed. Plans are not priced with it.
    """

    source: Name
    receiver: Name
    latency_s: Seconds = 0.0
    bytes_per_s: Rate = 1e9
    send_s_per_byte: Seconds = 0.0
    receive_s_per_byte: Seconds = 0.0
    send_s_per_message: Seconds = 0.0
    receive_s_per_message: Seconds = 0.0
    media: tuple[Name, ...] = ()
    relay: bool = False
    shaped: bool = False
    fixed: bool = False
    badge: Badge = "spec"
    points: tuple[LinkPoint, ...] = ()
    described: Shape | None = None
    computing: Rated | None = None

    @property
    def shape(self) -> Shape:
        """What has to be emulated; nothing for a real link."""
        if not self.shaped:
            return Shape()
        return self.described or Shape(self.latency_s, self.bytes_per_s)

    def transfer_s(self, nbytes: int) -> float:
        """Seconds from the first byte sent to the last byte received, of a message that has the link for itself.

        Between measured sizes it is read off the measurements: buffers on the way let the beginning of a message pass
        faster than the rate at which it goes on.
        """
        if not self.points:
            return self.latency_s + nbytes / self.bytes_per_s
        before = [point for point in self.points if point.nbytes <= nbytes] or [self.points[0]]
        after = [point for point in self.points if point.nbytes > nbytes]
        low_s = max(point.p50_s for point in before)  # a larger message is never quicker
        if nbytes <= before[-1].nbytes:
            return low_s
        if not after:
            return low_s + (nbytes - before[-1].nbytes) / self.bytes_per_s
        share = (nbytes - before[-1].nbytes) / (after[0].nbytes - before[-1].nbytes)
        return low_s + share * max(after[0].p50_s - low_s, 0.0)

    def send_s(self, nbytes: float) -> float:
        """Processor seconds of the source for a message; they delay the message itself only as far as its latency says."""
        return self.send_s_per_message + nbytes * self.send_s_per_byte

    def receive_s(self, nbytes: float) -> float:
        """Processor seconds of the receiver for a message."""
        return self.receive_s_per_message + nbytes * self.receive_s_per_byte

    def at_quantile(self, quantile: float) -> "Link":
        """The link with messages as slow as that share of them at most were, as far as they were measured: 0.5 is the median.

        Raises:
            UsageError: between 0.1 and 0.9 is what is kept of the measurements.
        """
        if not 0.1 <= quantile <= 0.9:
            raise UsageError(f"expected a quantile from 0.1 to 0.9, which is what surveys keep, got {quantile:g}; change it")
        points = tuple(replace(point, p50_s=point.at(quantile)) for point in self.points)
        slower = points[-1].p50_s / self.points[-1].p50_s if points and self.points[-1].p50_s else 1.0
        return replace(self, points=points, bytes_per_s=self.bytes_per_s / slower)


class Cluster(Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="format", tag="edgekit.cluster"):
    """What a plan may use. Pairs without a link, exact or by wildcard, cannot reach each other."""

    devices: Annotated[tuple[Device, ...], Meta(min_length=1)]
    links: tuple[Link, ...] = ()
    client: Name = "client"
    name: Name = "cluster"
    version: int = 1

    def __post_init__(self) -> None:
        if both := next((link for link in self.links if link.relay and link.shaped), None):
            raise UsageError(f"link {both.source} → {both.receiver} is relayed and shaped, of which only one can be; remove one")
        names = [device.name for device in self.devices]
        twice = {name for name in (*names, self.client) if (*names, self.client).count(name) > 1}
        if twice:
            raise UsageError(f"cluster {self.name}: {', '.join(sorted(twice))} named more than once; give each a name of its own")
        if ANY in (*names, self.client):
            raise UsageError(f"cluster {self.name}: no device can be called {ANY}, which stands for all others in links; name it otherwise")
        known = {*names, self.client, ANY}
        pairs: set[tuple[str, str]] = set()
        for link in self.links:
            if unknown := {link.source, link.receiver} - known:
                meant = guess(min(unknown), [*names, self.client])
                raise UsageError(f"link {link.source} → {link.receiver}: add the device, or name one of {', '.join(sorted(known))}{meant}")
            if (link.source, link.receiver) in pairs:
                raise UsageError(f"link {link.source} → {link.receiver} is given twice; keep one")
            pairs.add((link.source, link.receiver))

    @cached_property
    def _links(self) -> dict[tuple[str, str], Link]:
        return {(link.source, link.receiver): link for link in self.links}

    @cached_property
    def _devices(self) -> dict[str, Device]:
        return {device.name: device for device in self.devices}

    def serial(self) -> "Cluster":
        """As it is where devices do nothing else while they send or receive: what occupies a link occupies both its ends."""

        def busy(link: Link) -> Link:
            each = 1 / link.bytes_per_s
            return replace(link, send_s_per_byte=link.send_s_per_byte + each, receive_s_per_byte=link.receive_s_per_byte + each)

        return self.relinked(busy)

    def relinked(self, change: Callable[[Link], Link]) -> "Cluster":
        """The cluster with every link changed."""
        return replace(self, links=tuple(change(link) for link in self.links))

    def device(self, name: str) -> Device:
        """The device called ``name``."""
        if name == self.client and name not in self._devices:
            raise PlanError(f"{name} is the client of cluster {self.name}, which computes nothing; name one of {', '.join(self._devices)}")
        if name not in self._devices:
            meant = guess(name, list(self._devices))
            raise PlanError(f"no device {name!r} in cluster {self.name}; it has {', '.join(self._devices)}{meant}")
        return self._devices[name]

    def link(self, source: str, receiver: str) -> Link | None:
        """The channel between two names, or None where they cannot reach each other."""
        for pair in ((source, receiver), (source, ANY), (ANY, receiver), (ANY, ANY)):
            if pair in self._links:
                return self._links[pair]
        return None

    def channel(self, source: str, receiver: str) -> Link | None:
        """The link between two names; None from a device to itself, unless a link says otherwise by its exact name.

        Raises:
            PlanError: two different names without a link.
        """
        link = self.link(source, receiver)
        if source == receiver:
            return link if link and (link.source, link.receiver) == (source, receiver) else None
        if link is None:
            raise PlanError(f"{receiver} is unreachable from {source}: cluster {self.name} has no link {source} → {receiver}; add one")
        return link
