"""Which devices are as good as each other, so that a search need not try both."""

from collections.abc import Sequence

from msgspec.structs import replace

from edgekit.cluster import Cluster, Link
from edgekit.profiles import Profiles

__all__ = ["Kinds", "kinds"]

Kinds = tuple[tuple[str, ...], ...]
"""Names of devices, those of one kind together."""


def kinds(cluster: Cluster, profiles: Profiles, names: Sequence[str], *, apart: Sequence[str] = ()) -> Kinds:
    """Group devices that can be exchanged without any cost changing: equal profiles, caps and links, machines of their own.

    ``apart``: names that something else tells from all others, such as a constraint.
    """
    groups: list[list[str]] = []
    for name in names:
        for group in groups:
            if name not in apart and group[0] not in apart and all(_alike(cluster, profiles, name, other, names) for other in group):
                group.append(name)
                break
        else:
            groups.append([name])
    return tuple(map(tuple, groups))


def _alike(cluster: Cluster, profiles: Profiles, one: str, other: str, names: Sequence[str]) -> bool:
    first, second = cluster.device(one), cluster.device(other)
    capped = (first.memory_bytes, first.flash_bytes) == (second.memory_bytes, second.flash_bytes)
    if not capped or any(_shares(cluster, name) for name in (one, other)):
        return False
    if _unnamed(profiles, one) != _unnamed(profiles, other):
        return False
    links: list[tuple[Link | None, Link | None]] = [(cluster.link(one, other), cluster.link(other, one))]
    for third in (cluster.client, *names):
        if third not in (one, other):
            links.append((cluster.link(one, third), cluster.link(other, third)))
            links.append((cluster.link(third, one), cluster.link(third, other)))
    return all(_anonymous(a) == _anonymous(b) for a, b in links)


def _shares(cluster: Cluster, name: str) -> bool:
    return [device.machine for device in cluster.devices].count(cluster.device(name).machine) > 1


def _unnamed(profiles: Profiles, name: str) -> list[object]:
    return [replace(profile, device="-") for profile in profiles.of(name)]


def _anonymous(link: Link | None) -> Link | None:
    return link and replace(link, source="-", receiver="-")
