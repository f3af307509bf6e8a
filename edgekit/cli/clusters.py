"""How every command reads ``-c``: the cluster file, and what was measured beside it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.cluster import Cluster
    from edgekit.graph import Graph

__all__ = ["linked_cluster", "read_cluster"]


def read_cluster(path: Path, graph: "Graph | None" = None, surveyed: bool = True) -> "Cluster":
    """As ``api.read_cluster``; what is not used of the measurements is said on standard error."""
    from edgekit import api

    def note(remark: str) -> None:
        print(f"note: {remark}", file=sys.stderr)

    return api.read_cluster(path, graph=graph, tell=note, surveyed=surveyed)


def linked_cluster(path: Path, graph: "Graph", network: Path) -> "Cluster":
    """A cluster to plan for or to deploy to, which has links.

    Raises:
        UsageError: it has none, and says how to get some.
    """
    from edgekit.errors import UsageError

    found = read_cluster(path, graph)
    if found.links:
        return found
    if all(device.described for device in found.devices):
        raise UsageError(f"{path}: sim: devices have only links that are described; add [[links]]")
    told = "no link is measured or described, so no device can be reached"
    raise UsageError(f"{path}: {told}; run: edgekit survey {network} -c {path}")
