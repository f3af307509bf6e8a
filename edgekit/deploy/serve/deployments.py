"""Pipelines that stay after the command that deployed them: brought, replaced, rolled back, ended.

prepared ──▶ loaded and linked beside what serves ──golden frames are right──▶ written down ──▶ what served before is ended
                          └──────anything else──────▶ ended; what served goes on to serve
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from msgspec.structs import replace

from devices import NotSetUp, agent_runs, scheme_of
from devices.authority import Authority
from devices.owner import me
from edgekit.cluster import Cluster
from edgekit.deploy.observe.status import Observer
from edgekit.deploy.serve.connections import connect_all
from edgekit.deploy.serve.deployment_record import DEPLOYED, DEPLOYING, Left, Record, deployed, find_record, record
from edgekit.deploy.serve.pipeline import Admit, Pipeline, bring
from edgekit.deploy.serve.preflight import check
from edgekit.deploy.serve.reconnection import restored
from edgekit.deploy.serve.release import Fallback, Release, keep_only, keep_release, kept_fallbacks, kept_release, prepare
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError, UsageError
from edgekit.files import read, write
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import Plan, validate
from edgekit.progress import Tell, silent
from edgekit.runtime.verbs import Transport

__all__ = ["deploy_to_stay", "end", "fall_back", "roll_back"]

END_S = 10.0
"""Time that an agent has to end after it has said that it will."""

DRAIN_S = 10.0
"""Time that clients have to go over to the next release, with what is under way at its end."""

KEPT = 3
"""Releases that can be rolled back to."""

Carried = tuple[bool, Transport]
"""Whether links are encrypted, and what carries them."""
Fallbacks = Mapping[frozenset[str], Plan]
"""Plans by the devices that they are to do without."""

NONE: Fallbacks = {}


def deploy_to_stay(
    plan: Plan,
    graph: Graph,
    model: Model,
    cluster: Cluster,
    home: Path,
    *,
    tell: Tell = silent,
    take_over: bool = False,
    secure: bool = True,
    transport: Transport = "socket",
    fallbacks: Fallbacks = NONE,
    renew: bool = False,
) -> Pipeline:
    """Start a plan that outlives this process, in the place of what was deployed under ``home`` before.

    Where the same plan serves already, nothing is changed. What served before goes on to until the new stages have
    loaded, linked and answered golden frames; if they do not, nothing of them is left. ``take_over`` ends what others
    have deployed to the same devices. ``secure``: what travels is encrypted, and every machine shows its certificate.
    ``transport``: what carries the links. ``fallbacks`` are plans that do without some of the devices, kept for when those are gone
    (see ``fall_back``). ``renew``: certificates are made anew also where nothing is changed, and those before are refused from then
    on; that is done in any case once two thirds of their time are over.

    Raises:
        EdgekitError: as ``deploy``; or UsageError: the devices serve a pipeline of somebody else.
    """
    plan = validate(plan, graph)
    check(plan, graph, cluster)
    spare = {without: validate(each, graph) for without, each in fallbacks.items()}
    if not renew and (unchanged := _unchanged(plan, graph, cluster, home, (secure, transport), spare)):
        return unchanged
    tell("cutting stages")
    release = _with_fallbacks(prepare(plan, graph, model, cluster, owner=_owner(home)), model, spare, home)
    return _switch(release, home, _behind_it, tell, take_over, (secure, transport))


def roll_back(home: Path, tell: Tell = silent) -> Pipeline:
    """Bring the release back that served before this one, in the same careful way.

    Raises:
        UsageError: there is none.
        EdgekitError: it cannot be brought back; what serves goes on.
    """
    served = find_record(home)
    if not served.before:
        raise UsageError(f"nothing was deployed to {served.cluster.name} before what serves now; deploy another plan instead")
    release = kept_release(served.before[-1], home)
    return _switch(release, home, lambda served: served.before[:-1] if served else (), tell, False, (served.secure, served.transport))


def fall_back(home: Path, gone: Collection[str], tell: Tell = silent) -> Pipeline:
    """Bring a plan that was kept for it in the place of one whose devices are gone.

    Raises:
        UsageError: none was kept that does without them.
        EdgekitError: it cannot be brought.
    """
    served = find_record(home)
    fitting = [each for each in kept_fallbacks(served.release, home) if not set(each.plan.devices) & set(gone)]
    if not fitting:
        raise UsageError(f"no plan was kept that does without {', '.join(gone)}; deploy one: edgekit deploy --on-loss replan")
    chosen = min(fitting, key=lambda each: set(each.without) != set(gone))
    return _switch(kept_release(chosen.release, home), home, _behind_it, tell, False, (served.secure, served.transport))


def _with_fallbacks(release: Release, model: Model, plans: Fallbacks, home: Path) -> Release:
    """A release whose fallbacks are made ready and kept, so that neither the network nor a search is needed when they are."""
    found = [(without, prepare(plan, release.graph, model, release.cluster, owner=_owner(home))) for without, plan in plans.items()]
    names = tuple(Fallback(tuple(sorted(without)), spare.name, spare.plan) for without, spare in found)
    for _, spare in found:
        keep_release(spare._replace(fallbacks=tuple(each for each in names if each.release != spare.name)), home)
    return release._replace(fallbacks=names)


def _behind_it(served: Record | None) -> tuple[str, ...]:
    """What can be rolled back to once another release has taken over."""
    return (*served.before, served.release) if served else ()


def _switch(
    release: Release, home: Path, before: Callable[[Record | None], tuple[str, ...]], tell: Tell, take_over: bool, carried: Carried
) -> Pipeline:
    _clear(home)
    served = find_record(home) if deployed(home) else None
    secure, transport = carried
    record(Pipeline(release.plan, release.graph, release.cluster, {}, release.name), home / DEPLOYING)  # what is to be ended if this is
    try:
        with bring(
            release, home=home, tell=tell, admit=_admission(home, served, take_over), secure=secure, transport=transport
        ) as pipeline:
            keep_release(release, home)
            kept = before(served)[-KEPT:]
            made = record(pipeline, home / DEPLOYING, before=kept, left=_left_by(served))
            (home / DEPLOYING).replace(home / DEPLOYED)
    except BaseException:
        _clear(home)
        raise
    if served is not None:
        tell(f"letting clients go over to it, for {DRAIN_S:g} s at most")
        _drain(served, home)
        tell("ending what served before")
        _retire(made, home)
    keep_only((release.name, *kept), home)
    Authority.forget(home, but=release.name)
    return pipeline


def _unchanged(plan: Plan, graph: Graph, cluster: Cluster, home: Path, carried: Carried, fallbacks: Fallbacks) -> Pipeline | None:
    """What serves, all of it, where that is the same plan on the same cluster, with the same fallbacks."""
    if not deployed(home):
        return None
    served = find_record(home)
    if (served.plan, served.cluster, served.graph.digest, (served.secure, served.transport)) != (plan, cluster, graph.digest, carried):
        return None
    try:
        kept = {frozenset(each.without): each.plan for each in kept_fallbacks(served.release, home)}
    except UsageError:  # another edgekit kept it
        return None
    if kept != fallbacks:
        return None
    pipeline = restored(served, {}, home)
    if pipeline.authority is not None and pipeline.authority.due:
        return None
    with Observer(home) as observer:
        return None if observer.status().degraded else pipeline


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


def _drain(served: Record, home: Path) -> None:
    """Wait until nobody uses a release any more that another has taken over from; not for ever."""
    until = time.monotonic() + DRAIN_S
    with Observer(home, served) as observer:
        while any(stage.clients for stage in observer.status().stages) and time.monotonic() < until:
            time.sleep(DRAIN_S / 100)


def _left_by(served: Record | None) -> tuple[Left, ...]:
    """What is to be ended once another release has taken over."""
    return (*served.left, *(Left(device, served.release) for device in served.devices)) if served else ()


def _retire(kept: Record, home: Path) -> None:
    """End the releases that this one has taken over from; a device that cannot be reached is rid of them at the next deployment."""
    left = tuple(each for each in kept.left if not _ended(each, kept.plan.devices, home))
    write(home / DEPLOYED, replace(kept, left=left))


def _ended(left: Left, still: Collection[str], home: Path) -> bool:
    device = left.device
    if agent_runs(device, home) is False:
        return True
    try:
        _end_stages(device, left.release, home)
        if device.name not in still:
            _end_agents([device], home)
    except DeviceError:
        return False
    return True


def _clear(home: Path) -> None:
    """End what a deployment has left that did not come to its end; what serves is left alone."""
    begun, served = _readable(home / DEPLOYING), _readable(home / DEPLOYED)
    if begun is not None:
        for device in begun.devices:
            running = agent_runs(device, home)
            if running is None:
                with contextlib.suppress(DeviceError):  # the one that cannot be reached, usually
                    _end_stages(device, begun.release, home)
            elif running:
                _end_stages(device, begun.release, home)
                if served is None or device.name not in served.plan.devices:
                    _end_agents([device], home)
    (home / DEPLOYING).unlink(missing_ok=True)


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
            for each in kept.left:
                if not scheme_of(each.device).here:
                    _ended(each, (), home)  # of no use any more, and perhaps gone
            for device in kept.devices:
                if not scheme_of(device).here:
                    _end_stages(device, kept.release, home)
                    elsewhere.append(device.name)
    folders = sorted(folder for folder in home.iterdir() if folder.is_dir()) if home.is_dir() else []
    running = [device for device in (Device(folder.name) for folder in folders) if agent_runs(device, home)]
    _end_agents(running, home)
    for folder in folders:
        (folder / "agent.sock").unlink(missing_ok=True)
    for path in (home / DEPLOYING, home / DEPLOYED):
        path.unlink(missing_ok=True)
    keep_only((), home)
    Authority.forget(home)
    return tuple(dict.fromkeys((*elsewhere, *(device.name for device in running))))


def _readable(path: Path) -> Record | None:
    """A record; one that an edgekit of another version wrote is as good as none."""
    with contextlib.suppress(EdgekitError):
        return read(path, Record) if path.is_file() else None
    return None


def _end_stages(device: Device, release: str, home: Path) -> None:
    """End the stages of a release on a device; one without an agent has none."""
    with ExitStack() as stack, contextlib.suppress(NotSetUp):
        for connection in connect_all([device], stack, home=home).values():
            connection.stop(release)


def _end_agents(devices: Iterable[Device], home: Path) -> None:
    """End those that run on this machine; agents of others stay."""
    running = [device for device in devices if agent_runs(device, home)]
    with ExitStack() as stack:
        for connection in connect_all(running, stack, home=home).values():
            connection.stop()
    until = time.monotonic() + END_S
    for device in running:
        while agent_runs(device, home):
            if time.monotonic() > until:
                raise DeviceError(f"the agent of {device.name} does not end; see {home / device.name / 'agent.log'}, then kill its process")
            time.sleep(0.01)
