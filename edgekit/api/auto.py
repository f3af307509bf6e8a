"""From a network and a cluster file to plans that can be deployed, in one call.

What is known already is not measured again.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from devices import scheme_of
from edgekit.api.clusters import keep_survey, keep_tunings, read_cluster
from edgekit.api.runs import Run, report
from edgekit.api.surveys import take_survey
from edgekit.api.tunings import tune
from edgekit.api.workflow import export, load, partition, profile
from edgekit.cluster import Cluster
from edgekit.deploy.serve.connections import connect_all
from edgekit.device import Device, Variant
from edgekit.errors import DeviceError
from edgekit.files import write
from edgekit.front import Front
from edgekit.graph import Graph
from edgekit.objectives import USUAL
from edgekit.onnxio import Model
from edgekit.profile import Profile
from edgekit.profiles import Profiles, read_profiles
from edgekit.progress import Tell, silent
from profilers.measure.measured_conditions import require_valid

__all__ = ["Auto", "auto"]

TUNE_S = 5.0
"""For each device; each setting is measured once in any case."""

PROFILE_S = 1.0
FRONT_S = 30.0
"""For what ends on the front; each segment there is measured once in any case."""


class Auto(NamedTuple):
    """What was found: the front of a network on a cluster, and its pictures; the run folder holds it all."""

    graph: Graph
    cluster: Cluster
    profiles: Profiles
    front: Front
    pictures: list[Path]


def auto(
    target: str,
    path: Path,
    folder: Path,
    *,
    inputs: Sequence[str] = (),
    data: Path | None = None,
    step: Callable[[str], object] = silent,
    tell: Tell = silent,
) -> Auto:
    """Export, survey, tune threads, profile, partition with measuring, report; ``step`` and ``tell`` hear how it goes.

    ``target``, ``inputs`` and ``data`` are as for ``export``, ``path`` is a cluster file. What the
    folder holds, and what was measured beside the cluster file, is used again where it is of the
    same network, device and conditions.

    Raises:
        UsageError: the cluster file has a mistake; nothing was done.
        GraphError: the network cannot be read, or a shape of it is not fixed.
        DeviceError: a device cannot be asked, or somebody else holds it; what was measured has been kept.
    """
    run = Run(folder)
    read_cluster(path)  # a mistake there shows before the long steps
    step("reading the network")
    if not run.graph.exists() or Path(target).resolve() != run.graph.resolve():
        export(target, run.graph, inputs=inputs, data=data, tell=tell)
    graph, model = load(run.graph, data=data)
    step("measuring the links")
    _survey(path, graph, tell)
    step("trying numbers of threads")
    _tune(path, graph, model, run, tell)
    cluster = read_cluster(path, graph=graph, tell=tell)
    write(run.cluster, cluster)
    step("profiling the devices")
    profiles = _profiles(graph, model, cluster, run, tell)
    step("partitioning, and measuring what ends on the front")
    front, profiles = partition(
        graph,
        model,
        cluster,
        profiles,
        objectives=USUAL,
        measure=True,
        most_s=FRONT_S,
        tell=tell,
        keep=run.keep,
    )
    write(run.front, front)
    write(run.plan, front.knee())
    step("drawing")
    return Auto(graph, cluster, profiles, front, report(folder))


def _survey(path: Path, graph: Graph, tell: Tell) -> None:
    """Measure the links, unless all are known."""
    cluster = read_cluster(path)
    ends = permutations((*(device.name for device in cluster.devices), cluster.client), 2)
    links = [link for link in (cluster.link(*pair) for pair in ends) if link is not None]
    known = links and all(link.fixed or link.badge == "measured" or link.described for link in links)
    if not known and any(not device.described for device in cluster.devices):
        keep_survey(path, take_survey(read_cluster(path, surveyed=False), graph=graph, tell=tell))
    else:
        tell("as they were measured before, or as they are described")


def _tune(path: Path, graph: Graph, model: Model, run: Run, tell: Tell) -> None:
    """Try the threads of each device that has a choice and whose variant nobody gave.

    ``local:`` devices compute at the same time on the same cores: each gets its part of them.
    """
    cluster = read_cluster(path, graph=graph)
    beside = [device for device in cluster.devices if scheme_of(device).here and device.cores is None]
    part = max((os.cpu_count() or 1) // max(len(beside), 1), 1)
    for device in cluster.devices:
        if device.described or device.variant != Variant():
            continue
        most = part if device in beside else None
        if most == 1:
            tell(f"{device.name}: one thread, as {len(beside)} local: devices share the cores of this machine")
            continue
        known, keep = run.tunings(), run.keep_tuning
        found = tune(
            graph, model, cluster, devices=[device.name], batches=(), budget_s=TUNE_S, known=known, tell=tell, keep=keep, most_threads=most
        )
        keep_tunings(path, found)


def _profiles(graph: Graph, model: Model, cluster: Cluster, run: Run, tell: Tell) -> Profiles:
    """The profiles in the folder that still hold, and of the other devices new ones."""
    before, found = read_profiles(run.folder), Profiles()
    for device in cluster.devices:
        wanted = graph.digest, device.variant.on(graph.precision)
        kept = [each for each in before.of(device.name) if (each.graph, each.variant) == wanted and not each.twin]
        if kept and _holds(kept[0], device):
            tell(f"{device.name}: as before")
            found = found.add(kept[0])
        else:
            found = found.add(*profile(graph, model, cluster, devices=[device.name], budget_s=PROFILE_S, tell=tell, keep=run.keep))
    return found


def _holds(profile: Profile, device: Device) -> bool:
    """Whether a device is as it was when it was profiled."""
    with ExitStack() as stack:
        try:
            require_valid(profile, connect_all((device,), stack)[device.name])
        except DeviceError:
            return False
    return True
