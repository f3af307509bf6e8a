"""Pipelines that stay after the command that deployed them: written down, found again, ended."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from devices.local import find
from edgekit.cluster import Cluster
from edgekit.deploy.opening import connect_all
from edgekit.deploy.pipeline import Pipeline
from edgekit.device import Device
from edgekit.errors import DeviceError, UsageError
from edgekit.files import read, write
from edgekit.graph import Graph
from edgekit.plan import Plan
from edgekit.runtime.verbs import Loaded
from edgekit.trace import Equality

__all__ = ["attach", "deployed", "end", "home_of", "record"]

RECORD = "deployment.json"
END_S = 10.0
"""Time that an agent has to end after it has said that it will."""


class _Deployment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.deployment"):
    """What has to be remembered of a running pipeline."""

    plan: Plan
    graph: Graph
    cluster: Cluster
    digest: str
    addresses: tuple[tuple[Any, int, Any, int, str, int], ...]
    loaded: tuple[tuple[int, int, Loaded], ...]
    equality: Equality | None = None
    version: int = 1


def home_of(cluster: str) -> Path:
    """Where the agents and the record of a cluster's pipeline are kept, by the XDG convention.

    Raises:
        UsageError: the cluster's name is no folder's.
    """
    if "/" in cluster or cluster in ("", ".", ".."):
        raise UsageError(f"cluster {cluster!r} cannot have a folder of its name; call it something without a /")
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "edgekit" / cluster


def record(pipeline: Pipeline, home: Path) -> None:
    """Write a running pipeline down, so that other commands find it."""
    addresses = tuple((*edge, *address) for edge, address in pipeline.addresses.items())
    loaded = tuple((*key, value) for key, value in pipeline.loaded.items())
    write(
        home / RECORD,
        _Deployment(pipeline.plan, pipeline.graph, pipeline.cluster, pipeline.digest, addresses, loaded, pipeline.equality),
    )


def deployed(home: Path) -> bool:
    """Whether a pipeline has been written down under ``home``."""
    return (home / RECORD).is_file()


@contextmanager
def attach(home: Path) -> Iterator[Pipeline]:
    """The pipeline that was deployed under ``home``.

    Raises:
        UsageError: none was.
        DeviceError: it was, but an agent of it has gone.
    """
    if not deployed(home):
        raise UsageError(f"no pipeline is deployed under {home}; run: edgekit deploy, or name a plan")
    kept = read(home / RECORD, _Deployment)
    gone = [name for name in kept.plan.devices if not find(kept.cluster.device(name), home)]
    if gone:
        raise DeviceError(f"the agent of {', '.join(gone)} has gone; run: edgekit stop -n {kept.cluster.name}, then edgekit deploy")
    with ExitStack() as stack:
        connections = connect_all(map(kept.cluster.device, kept.plan.devices), stack, home)
        pipeline = Pipeline(kept.plan, kept.graph, kept.cluster, connections, kept.digest)
        pipeline.addresses = {(a, b, c, d): (host, port) for a, b, c, d, host, port in kept.addresses}
        pipeline.loaded = {(stage, replica): loaded for stage, replica, loaded in kept.loaded}
        pipeline.equality = kept.equality
        yield pipeline


def end(home: Path) -> tuple[str, ...]:
    """End every agent under ``home`` with its stages, and remove the record; the names of the devices they ran for.

    Agents are looked for by their sockets, so that those of a deployment that was killed half-way are found too.

    Raises:
        DeviceError: an agent says that it ends, and does not.
    """
    folders = sorted(folder for folder in home.iterdir() if folder.is_dir()) if home.is_dir() else []
    running = [device for device in (Device(folder.name) for folder in folders) if find(device, home)]
    with ExitStack() as stack:
        for connection in connect_all(running, stack, home).values():
            connection.stop()
    for device in running:
        _wait(device, home)
    for folder in folders:
        (folder / "agent.sock").unlink(missing_ok=True)
    (home / RECORD).unlink(missing_ok=True)
    return tuple(device.name for device in running)


def _wait(device: Device, home: Path) -> None:
    until = time.monotonic() + END_S
    while find(device, home):
        if time.monotonic() > until:
            raise DeviceError(f"the agent of {device.name} does not end; see {home / device.name / 'agent.log'}, then kill its process")
        time.sleep(0.01)
