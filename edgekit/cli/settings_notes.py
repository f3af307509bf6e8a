"""Notes on the settings of devices: who cannot take turns, and whose profile has other settings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.cluster import Cluster
    from edgekit.graph import Graph
    from edgekit.profiles import Profiles

__all__ = ["settings_notes"]


def settings_notes(graph: "Graph", cluster: "Cluster", profiles: "Profiles") -> Iterator[str]:
    """A sentence for each device that was profiled in other settings than the cluster has now.

    And one where not all devices share a variant: a stage has one, so they take no turns in it.
    """
    names = [device.name for device in cluster.devices if device.name in profiles]
    taken = {name: {each.variant for each in profiles.of(name)} for name in names}
    for name in names:
        wanted = cluster.device(name).variant.on(graph.precision)
        own = [each.variant for each in profiles.of(name) if not each.twin]
        if own and wanted not in own:
            yield (
                f"{name} was profiled as {own[0].words}; by the cluster file and what was tuned beside "
                f"it, it is {wanted.words} now: profile it again, or the plan runs as it was profiled"
            )
    if len(names) > 1 and not set.intersection(*taken.values()):
        each = "; ".join(f"{name}: {_words(profiles, name)}" for name in names)
        yield (
            "devices take frames in turn only in one variant, and these have none in common "
            f"({each}); to try it, give them the same variant in cluster.toml and profile again"
        )


def _words(profiles: "Profiles", name: str) -> str:
    return " or ".join(each.variant.words for each in profiles.of(name))
