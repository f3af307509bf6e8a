"""What can be known to go wrong before any device is asked: ends that nothing reaches, links that are not there."""

import os
from collections.abc import Iterable, Iterator
from math import gcd
from pathlib import Path

from edgekit.cluster import Cluster
from edgekit.errors import PlanError, UsageError
from edgekit.graph import Graph
from edgekit.plan import CLIENT, Plan

__all__ = ["check", "check_home", "meeting"]

SOCKET_PATH_BYTES = 107
"""The longest path of a Unix socket on Linux."""


def meeting(sources: int, receivers: int) -> Iterator[tuple[int, int]]:
    """Pairs of replicas that share a frame: a of r and b of s where some i is a modulo r and b modulo s.

    >>> list(meeting(2, 4))
    [(0, 0), (0, 2), (1, 1), (1, 3)]
    """
    step = gcd(sources, receivers)
    return ((a, b) for a in range(sources) for b in range(receivers) if (a - b) % step == 0)


def check(plan: Plan, graph: Graph, cluster: Cluster) -> None:
    """Refuse a valid plan that these devices cannot serve.

    Raises:
        PlanError: unknown devices, sim: devices among real ones, a stage that no frame reaches, or two devices that
            have to talk and have no link.
    """
    if len({cluster.device(name).described for name in plan.devices}) > 1:
        raise PlanError("the plan mixes sim: devices with real ones, whose clocks cannot be joined; use one kind")
    if not graph.cuts[0].tensors:
        raise PlanError(f"{graph.name} reads no input, so no frame can be sent through it; compute its outputs once instead")
    messages = plan.messages()
    fed, read = {receiver for _, receiver in messages}, {source for source, _ in messages}
    for index, stage in enumerate(plan.stages):
        if index not in fed:
            raise PlanError(f"nothing is sent to stage {index}, so no frame reaches it; move its start at unit {stage.start}")
        if index not in read:
            raise PlanError(f"stage {index} sends nothing to anyone; move its end at unit {stage.stop}, or add its transfers")
    for source, receiver in messages:
        heres, theres = ((cluster.client,) if end == CLIENT else plan.stages[end].devices for end in (source, receiver))
        for a, b in meeting(len(heres), len(theres)):
            cluster.channel(heres[a], theres[b])


def check_home(home: Path, names: Iterable[str]) -> None:
    """Refuse a folder in which the agents of these devices cannot open their sockets.

    Raises:
        UsageError: a name that is no folder's, or a path longer than a socket may have.
    """
    for name in names:
        if "/" in name or name in (".", ".."):
            raise UsageError(f"device {name!r} cannot have a folder of its name; call it something without a /")
        if len(os.fsencode(path := home / name / "agent.sock")) > SOCKET_PATH_BYTES:
            remedy = "set XDG_STATE_HOME to a shorter folder, or give the cluster a shorter name"
            raise UsageError(f"{path} is too long for a socket ({SOCKET_PATH_BYTES} bytes at most); {remedy}")
