"""edgekit: which part of which variant of a network should run where, answered with measurements."""

from typing import TYPE_CHECKING

from edgekit.imports import postpone

if TYPE_CHECKING:  # each is imported when it is first used
    from edgekit.cluster import Cluster, Link
    from edgekit.device import Device, Variant
    from edgekit.front import Front
    from edgekit.graph import Cut, Graph, Node, Segment, Tensor, Unit
    from edgekit.plan import Plan, Stage, Transfer
    from edgekit.profile import Profile
    from edgekit.trace import Trace

__all__ = [
    "Cluster",
    "Cut",
    "Device",
    "Front",
    "Graph",
    "Link",
    "Node",
    "Plan",
    "Profile",
    "Segment",
    "Stage",
    "Tensor",
    "Trace",
    "Transfer",
    "Unit",
    "Variant",
]

__version__ = "0.1.0"

postpone(__name__)
