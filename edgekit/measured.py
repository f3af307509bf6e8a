"""What was measured of a cluster: its links and, for each network, the best variant of each device.

It lies beside the cluster file, which stays as a person wrote it: ``cluster.measured.json`` beside
``cluster.toml``. A device that has changed since makes its own measurements stale, and no others.
"""

from collections.abc import Collection, Iterator
from itertools import permutations
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device, Variant
from edgekit.quantity import Name

__all__ = ["Applied", "Measured", "Tuned", "with_measured"]

OF_VARIANTS = ("address", "host", "cores", "speed")
"""Fields of a device whose change makes a tuned variant stale."""

OF_LINKS = (*OF_VARIANTS, "listen")
"""Fields of a device whose change makes its measured links stale."""

UNUSED = "not used, because"

Pair = tuple[Name, Name]


class Tuned(Struct, frozen=True, forbid_unknown_fields=True):
    """The best variant for one graph (its digest) on a device as it was described then."""

    graph: Name
    device: Device
    variant: Variant


class Measured(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="format",
    tag="edgekit.measured",
):
    """The links of one survey, and variants of any number of tunings.

    Attributes:
        apart: pairs of source and receiver that did not reach each other.
        devices: as they were described when the links were measured.
    """

    links: tuple[Link, ...] = ()
    apart: tuple[Pair, ...] = ()
    devices: tuple[Device, ...] = ()
    tuned: tuple[Tuned, ...] = ()
    version: int = 1

    def tuned_to(self, *found: Tuned) -> "Measured":
        """With these variants, in the place of earlier ones for the same graph and device."""
        new = {(each.graph, each.device.name): each for each in found}
        kept = {(each.graph, each.device.name): each for each in self.tuned}
        return replace(self, tuned=tuple((kept | new).values()))


class Applied(NamedTuple):
    """A cluster with what was measured of it, and a sentence about what is not used."""

    cluster: Cluster
    remarks: tuple[str, ...]


def with_measured(
    cluster: Cluster,
    measured: Measured,
    *,
    graph: str | None = None,
    own: Collection[str] = (),
) -> Applied:
    """The cluster with its measured links and, for a graph, with the variants tuned for it.

    ``own``: names of devices whose variant a person wrote, which wins over a tuned one.
    """
    devices, remarks = _tuned(cluster, measured, graph, own)
    links, more = _linked(cluster, measured)
    return Applied(replace(cluster, devices=devices, links=links), (*remarks, *more))


def _tuned(
    cluster: Cluster,
    measured: Measured,
    graph: str | None,
    own: Collection[str],
) -> tuple[tuple[Device, ...], list[str]]:
    found = {each.device.name: each for each in measured.tuned if each.graph == graph}
    devices, remarks = [], []
    for device in cluster.devices:
        best = found.get(device.name)
        if best is None or best.variant == device.variant:
            devices.append(device)
            continue
        what = f"{device.name}: its tuned variant {best.variant}"
        if changed := _changes(best.device, device, OF_VARIANTS):
            remarks.append(f"{what} is {UNUSED} {changed}; run edgekit tune again")
        elif device.name in own:
            why = f"the cluster file says {device.variant}; to use it, remove the variant there"
            remarks.append(f"{what} is {UNUSED} {why}")
        else:
            device = replace(device, variant=best.variant)
        devices.append(device)
    return tuple(devices), remarks


def _linked(cluster: Cluster, measured: Measured) -> tuple[tuple[Link, ...], list[str]]:
    stale = dict(_stale(cluster, measured))
    remarks = [f"{name}: its measured links are {UNUSED} {why}" for name, why in stale.items()]
    links = []
    for link in measured.links:
        written = cluster.link(link.source, link.receiver)
        if {link.source, link.receiver} & set(stale) or (written is None and cluster.links):
            continue
        if why := _disagree(link, written):
            ends = f"{link.source} → {link.receiver}"
            remarks.append(f"{ends}: its measured rate is {UNUSED} {why}")
        else:
            links.append(link)
    valid = (pair for pair in measured.apart if not set(pair) & set(stale))
    apart = {pair for pair in valid if not _forced(cluster.link(*pair))}
    known = {(link.source, link.receiver) for link in links} | apart
    rest = _exact(cluster) if apart else cluster.links  # a link with "*" would join them again
    return (*links, *(link for link in rest if (link.source, link.receiver) not in known)), remarks


def _stale(cluster: Cluster, measured: Measured) -> Iterator[tuple[str, str]]:
    """Names whose measured links say nothing any more, and why."""
    now = {device.name: device for device in cluster.devices}
    before = {device.name: device for device in measured.devices}
    pairs = [*((link.source, link.receiver) for link in measured.links), *measured.apart]
    for name in dict.fromkeys(name for pair in pairs for name in pair):
        if name in now and name in before:
            if changed := _changes(before[name], now[name], OF_LINKS):
                yield name, f"{changed}; run edgekit survey again"
        elif name in now:
            yield name, "it was the client then; run edgekit survey again"
        elif name != cluster.client:
            yield name, "it is not in the cluster file any more"


def _changes(before: Device, now: Device, fields: tuple[str, ...]) -> str:
    """``its speed was 1.0 and is 0.5``"""
    pairs = [(field, getattr(before, field), getattr(now, field)) for field in fields]
    changed = ((field, _word(old), _word(new)) for field, old, new in pairs if old != new)
    return ", ".join(f"its {field} was {old} and is {new}" for field, old, new in changed)


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "not given" if value is None else str(value)


def _disagree(link: Link, written: Link | None) -> str:
    """Why a measured link is not that of the cluster file."""
    written = written or Link(link.source, link.receiver)
    if written.fixed:
        return "the cluster file says fixed = true"
    if (link.relay, link.shaped, link.shape) != (written.relay, written.shaped, written.shape):
        return "the cluster file describes the link differently now; run edgekit survey again"
    return ""


def _forced(written: Link | None) -> bool:
    """Whether a person says that there is a way, whatever a survey found."""
    return written is not None and (written.fixed or written.relay)


def _exact(cluster: Cluster) -> tuple[Link, ...]:
    """A link for each pair of names by itself."""
    found = [link for link in cluster.links if link.source == link.receiver != ANY]
    for pair in permutations((*(device.name for device in cluster.devices), cluster.client), 2):
        if (link := cluster.link(*pair)) is not None:
            found.append(replace(link, source=pair[0], receiver=pair[1]))
    return tuple(found)
