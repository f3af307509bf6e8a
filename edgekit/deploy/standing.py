"""Pipelines that stay after the command that deployed them: written down, found again, ended."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from devices.local import find
from edgekit.cluster import Cluster
from edgekit.deploy.checks import check
from edgekit.deploy.opening import connect_all
from edgekit.deploy.pipeline import Pipeline, deploy
from edgekit.device import Device
from edgekit.errors import DeviceError, UsageError
from edgekit.files import encode, read, write
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import Plan, validate
from edgekit.runtime.store import digest_of
from edgekit.runtime.verbs import Loaded
from edgekit.trace import Equality

__all__ = ["attach", "deploy_to_stay", "deployed", "end", "home_of"]

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


def deploy_to_stay(
    plan: Plan, graph: Graph, model: Model, cluster: Cluster, home: Path, tell: Callable[[str], None] = lambda text: None
) -> Pipeline:
    """Start a plan that outlives this process, and write down how to find it. If that fails, nothing of it is left.

    Raises:
        UsageError: something is deployed there already.
        EdgekitError: as ``deploy``.
    """
    if deployed(home):
        raise UsageError(f"a pipeline is already deployed to {cluster.name}; run: edgekit stop -n {cluster.name}")
    plan = validate(plan, graph)
    check(plan, graph, cluster)
    try:
        _record(Pipeline(plan, graph, cluster, {}, digest_of(encode(plan))), home)  # what is to be ended if this is
        with deploy(plan, graph, model, cluster, home, tell=tell) as pipeline:
            _record(pipeline, home)
    except BaseException:
        end(home)
        raise
    return pipeline


def _record(pipeline: Pipeline, home: Path) -> None:
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
    gone = [device.name for device in map(kept.cluster.device, kept.plan.devices) if device.scheme == "local" and not find(device, home)]
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
    """End what was deployed under ``home`` and remove the record; the names of the devices that it ran on.

    Agents of this machine end with it. They are looked for by their sockets, so that those of a deployment that was
    killed half-way are found too. Agents of other machines stay, and end the stages.

    Raises:
        DeviceError: an agent says that it ends, and does not; or a machine cannot be reached to end its stages.
    """
    elsewhere = _end_elsewhere(home)
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
    return tuple(dict.fromkeys((*elsewhere, *(device.name for device in running))))


def _end_elsewhere(home: Path) -> tuple[str, ...]:
    """End the stages on other machines than this one; the names of their devices."""
    if not deployed(home):
        return ()
    kept = read(home / RECORD, _Deployment)
    devices = [device for device in map(kept.cluster.device, kept.plan.devices) if device.scheme != "local"]
    with ExitStack() as stack:
        for connection in connect_all(devices, stack, home).values():
            connection.stop(kept.digest)
    return tuple(device.name for device in devices)


def _wait(device: Device, home: Path) -> None:
    until = time.monotonic() + END_S
    while find(device, home):
        if time.monotonic() > until:
            raise DeviceError(f"the agent of {device.name} does not end; see {home / device.name / 'agent.log'}, then kill its process")
        time.sleep(0.01)
