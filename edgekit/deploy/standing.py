"""Pipelines that stay after the command that deployed them: brought, replaced, rolled back, found again, ended.

prepared ──▶ loaded and linked beside what serves ──golden frames are right──▶ written down ──▶ what served before is ended
                          └──────anything else──────▶ ended; what served goes on to serve
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from devices import Connection
from devices.local import find
from devices.owner import me
from edgekit.cluster import Cluster
from edgekit.deploy.checks import check
from edgekit.deploy.observing import Observer
from edgekit.deploy.opening import connect_all
from edgekit.deploy.pipeline import Admit, Pipeline, bring
from edgekit.deploy.record import DEPLOYED, DEPLOYING, Record, deployed, find_record, record
from edgekit.deploy.release import Release, keep_only, keep_release, kept_release, prepare
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError, UsageError
from edgekit.files import read
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import Plan, validate

__all__ = ["attach", "deploy_to_stay", "end", "roll_back"]

END_S = 10.0
"""Time that an agent has to end after it has said that it will."""

KEPT = 3
"""Releases that can be rolled back to."""

Tell = Callable[[str], None]


def deploy_to_stay(
    plan: Plan,
    graph: Graph,
    model: Model,
    cluster: Cluster,
    home: Path,
    tell: Tell = lambda text: None,
    take_over: bool = False,
) -> Pipeline:
    """Start a plan that outlives this process, in the place of what was deployed under ``home`` before.

    Where the same plan serves already, nothing is changed. What served before goes on to until the new stages have
    loaded, linked and answered golden frames; if they do not, nothing of them is left. ``take_over`` ends what others
    have deployed to the same devices.

    Raises:
        EdgekitError: as ``deploy``; or UsageError: the devices serve a pipeline of somebody else.
    """
    plan = validate(plan, graph)
    check(plan, graph, cluster)
    if unchanged := _unchanged(plan, graph, cluster, home):
        return unchanged
    tell("cutting stages")
    release = prepare(plan, graph, model, cluster, _owner(home))
    return _switch(release, home, lambda served: (*served.before, served.release) if served else (), tell, take_over)


def roll_back(home: Path, tell: Tell = lambda text: None) -> Pipeline:
    """Bring the release back that served before this one, in the same careful way.

    Raises:
        UsageError: there is none.
        EdgekitError: it cannot be brought back; what serves goes on.
    """
    served = find_record(home)
    if not served.before:
        raise UsageError(f"nothing was deployed to {served.cluster.name} before what serves now; deploy another plan instead")
    release = kept_release(served.before[-1], home)
    return _switch(release, home, lambda served: served.before[:-1] if served else (), tell, False)


def _switch(release: Release, home: Path, before: Callable[[Record | None], tuple[str, ...]], tell: Tell, take_over: bool) -> Pipeline:
    _clear(home)
    served = find_record(home) if deployed(home) else None
    record(Pipeline(release.plan, release.graph, release.cluster, {}, release.name), home / DEPLOYING)  # what is to be ended if this is
    try:
        with bring(release, home, tell, _admission(home, served, take_over)) as pipeline:
            keep_release(release, home)
            kept = before(served)[-KEPT:]
            record(pipeline, home / DEPLOYING, kept)
            (home / DEPLOYING).replace(home / DEPLOYED)
    except BaseException:
        _clear(home)
        raise
    if served is not None:
        tell("ending what served before")
        _retire(served, release.plan.devices, home)
    keep_only((release.name, *kept), home)
    return pipeline


def _unchanged(plan: Plan, graph: Graph, cluster: Cluster, home: Path) -> Pipeline | None:
    """What serves, all of it, where that is the same plan on the same cluster."""
    if not deployed(home):
        return None
    served = find_record(home)
    if (served.plan, served.cluster, served.graph.digest) != (plan, cluster, graph.digest):
        return None
    with Observer(home) as observer:
        return None if observer.status().degraded else _pipeline(served, {})


def _owner(home: Path) -> str:
    return f"{me()}:{home}"


def _admission(home: Path, served: Record | None, take_over: bool) -> Admit:
    """Ends what is left of our own on the devices, and refuses those that serve somebody else's pipeline."""
    mine, known = _owner(home), () if served is None else (served.release,)

    def admit(pipeline: Pipeline) -> None:
        for name, reply in pipeline.logs().items():
            others = {stage.plan: stage.owner for stage in reply.stages if stage.plan not in known}
            for plan, owner in others.items():
                if owner != mine and not take_over:
                    raise UsageError(
                        f"{name} serves a pipeline of {owner}; have it stopped there, or take over: edgekit deploy --take-over"
                    )
                pipeline.connections[name].stop(plan)

    return admit


def _retire(served: Record, still: Iterable[str], home: Path) -> None:
    """End a release that another has taken over from; a device that cannot be reached is rid of it at the next deployment."""
    for device in served.devices:
        with contextlib.suppress(DeviceError):
            _end_stages(device, served.release, home)
        if device.scheme == "local" and device.name not in still:
            _end_agents([device], home)


def _clear(home: Path) -> None:
    """End what a deployment has left that did not come to its end; what serves is left alone."""
    begun, served = _readable(home / DEPLOYING), _readable(home / DEPLOYED)
    if begun is not None:
        for device in begun.devices:
            if device.scheme != "local":
                with contextlib.suppress(DeviceError):  # the one that cannot be reached, usually
                    _end_stages(device, begun.release, home)
            elif find(device, home):
                _end_stages(device, begun.release, home)
                if served is None or device.name not in served.plan.devices:
                    _end_agents([device], home)
    (home / DEPLOYING).unlink(missing_ok=True)


@contextmanager
def attach(home: Path) -> Iterator[Pipeline]:
    """The pipeline that was deployed under ``home``.

    Raises:
        UsageError: none was.
        DeviceError: it was, but an agent of it has gone.
    """
    kept = find_record(home)
    gone = [device.name for device in kept.devices if device.scheme == "local" and not find(device, home)]
    if gone:
        raise DeviceError(f"the agent of {', '.join(gone)} has gone; run: edgekit stop -n {kept.cluster.name}, then edgekit deploy")
    with ExitStack() as stack:
        yield _pipeline(kept, connect_all(kept.devices, stack, home))


def _pipeline(kept: Record, connections: Mapping[str, Connection]) -> Pipeline:
    pipeline = Pipeline(kept.plan, kept.graph, kept.cluster, connections, kept.release)
    pipeline.addresses = {(a, b, c, d): (host, port) for a, b, c, d, host, port in kept.addresses}
    pipeline.loaded = {(stage, replica): loaded for stage, replica, loaded in kept.loaded}
    pipeline.equality = kept.equality
    return pipeline


def end(home: Path) -> tuple[str, ...]:
    """End what was deployed under ``home`` and remove the record; the names of the devices that it ran on.

    Agents of this machine end with it. They are looked for by their sockets, so that those of a deployment that was
    killed half-way are found too. Agents of other machines stay, and end the stages.

    Raises:
        DeviceError: an agent says that it ends, and does not; or a machine cannot be reached to end its stages.
    """
    elsewhere = []
    for path in (home / DEPLOYING, home / DEPLOYED):
        if (kept := _readable(path)) is not None:
            for device in kept.devices:
                if device.scheme != "local":
                    _end_stages(device, kept.release, home)
                    elsewhere.append(device.name)
    folders = sorted(folder for folder in home.iterdir() if folder.is_dir()) if home.is_dir() else []
    running = [device for device in (Device(folder.name) for folder in folders) if find(device, home)]
    _end_agents(running, home)
    for folder in folders:
        (folder / "agent.sock").unlink(missing_ok=True)
    for path in (home / DEPLOYING, home / DEPLOYED):
        path.unlink(missing_ok=True)
    keep_only((), home)
    return tuple(dict.fromkeys((*elsewhere, *(device.name for device in running))))


def _readable(path: Path) -> Record | None:
    """A record; one that an edgekit of another version wrote is as good as none."""
    with contextlib.suppress(EdgekitError):
        return read(path, Record) if path.is_file() else None
    return None


def _end_stages(device: Device, release: str, home: Path) -> None:
    with ExitStack() as stack:
        for connection in connect_all([device], stack, home).values():
            connection.stop(release)


def _end_agents(devices: Iterable[Device], home: Path) -> None:
    running = [device for device in devices if find(device, home)]
    with ExitStack() as stack:
        for connection in connect_all(running, stack, home).values():
            connection.stop()
    until = time.monotonic() + END_S
    for device in running:
        while find(device, home):
            if time.monotonic() > until:
                raise DeviceError(f"the agent of {device.name} does not end; see {home / device.name / 'agent.log'}, then kill its process")
            time.sleep(0.01)
