"""The main job in one call: a network that reads digits, split over three unlike devices of this machine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekit.accuracy.judge import Judge
from edgekit.api.evaluation import Evaluated, evaluate, measure_losses
from edgekit.api.precisions import quantize
from edgekit.api.runs import Run, report
from edgekit.api.surveys import survey
from edgekit.api.workflow import export, load, partition, profile
from edgekit.cluster import Cluster, Link
from edgekit.codec import Codec
from edgekit.constraints import Constraints
from edgekit.deploy.observe.certify import certify
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device
from edgekit.files import write
from edgekit.front import Front, Question
from edgekit.graph import Graph
from edgekit.losses import Losses
from edgekit.onnxio import Model
from edgekit.plan import Plan
from edgekit.profiles import Profiles
from edgekit.progress import Tell, at_once, prefixed
from edgekit.trace import Trace

__all__ = ["CLUSTER", "CODECS", "CUTS", "WITHIN", "Demo", "demo", "question"]

NETWORK = "edgekit.networks.digits:mobilenetv2_digits"
CODECS: tuple[Codec, ...] = ("u8",)
CUTS = (6, 21)
"""Where the network may be cut: it has just made its images smaller there, to 55 and 9 kB."""

CALIBRATING = 60
STEERING = (600, 750)
JUDGING = (1200, 1400)
"""Digits: some of those that the network was fitted to calibrate int8; others, which it never saw,
steer the search for plans; yet others judge the plans that were found."""

FRONT_S = 12.0
"""For what ends on the front; each part there is measured once in any case."""

WITHIN = 0.15
"""How far off the predictions of latency and period may be."""

CABLE = (25e6, 0.0005)
WIFI = (6e6, 0.004)
MOBILE = (1.5e6, 0.02)
WIRE = (6e6, 0.0005)
"""Bytes per second, and seconds of delay."""


def _both(one: str, other: str, bytes_per_s: float, delay_s: float) -> tuple[Link, ...]:
    return tuple(Link(a, b, delay_s, bytes_per_s, shaped=True) for a, b in ((one, other), (other, one)))


# A cable leads from the camera to the board, which is slow and holds the whole network in int8 at
# most. The gateway is reached by Wi-Fi, the server over a mobile network or through the gateway.
# The speeds are shares of one core. Their sum is far below two cores: no device slows another down.
CLUSTER = Cluster(
    name="demo",
    client="camera",
    devices=(
        Device("board", speed=0.08, memory_bytes=91_000_000),
        Device("gateway", speed=0.2),
        Device("server", speed=0.25),
    ),
    links=(
        *_both("camera", "board", *CABLE),
        *_both("camera", "gateway", *WIFI),
        *_both("camera", "server", *MOBILE),
        *_both("board", "gateway", *WIFI),
        *_both("board", "server", *MOBILE),
        *_both("gateway", "server", *WIRE),
    ),
)


class Demo(NamedTuple):
    """What the demo found, and where it is kept.

    ``right``: the share of ``judged`` digits that the unsplit network reads right. ``trace`` is that of the
    second of two certifications where the first was more than ``WITHIN`` off: ``certified`` says how many.
    """

    graph: Graph
    cluster: Cluster
    judged: int
    right: float
    evaluated: Evaluated
    plan: Plan
    trace: Trace
    pictures: list[Path]
    certified: int = 1

    @property
    def front(self) -> Front:
        return self.evaluated.front


def demo(folder: Path, step: Callable[[str], None], tell: Tell) -> Demo:
    """Export, survey, profile, partition, deploy the knee, verify, report; ``step`` and ``tell`` hear how it goes.

    Raises:
        UsageError: torch or scikit-learn is not installed.
        PromiseError: the split network does not give what the unsplit one gives.
    """
    run = Run(folder)
    step("fitting MobileNetV2 to handwritten digits, and exporting it from torch")
    export(NETWORK, run.graph, tell=tell)
    graph, _ = load(run.graph)
    step("measuring the links")
    cluster = survey(CLUSTER, graph, tell=tell)
    write(run.cluster, cluster)
    step("making an int8 twin, and measuring what it loses")
    graph, model, losses = _with_twin(run, tell)
    step("profiling the devices")
    profiles = _profiles(graph, model, cluster, run, tell)
    step("partitioning, and measuring what ends on the front")
    asked = question(graph, losses)
    front, _ = partition(graph, model, cluster, profiles, question=asked, measure=True, most_s=FRONT_S, tell=tell, keep=run.keep)
    judge = _judge(graph, model, folder, "judging")
    evaluated = evaluate(front, judge, tell)
    write(run.front, evaluated.front)
    plan = evaluated.front.knee()
    write(run.plan, plan)
    step("deploying the knee of the front and certifying it")
    with deploy(plan, graph, model, cluster, tell=tell) as pipeline:
        trace, certified = certify(pipeline, seconds=1.0, tell=tell), 1
        if any(abs(error) > WITHIN for error in trace.errors.values()):  # other work on this machine is the usual cause, and passes
            trace, certified = certify(pipeline, seconds=1.0, tell=tell), 2
    write(run.trace, trace)
    step("drawing")
    right = judge.right or 0.0
    pictures = report(folder)
    return Demo(graph, cluster, len(judge.frames), right, evaluated, plan, trace, pictures, certified)


def _with_twin(run: Run, tell: Tell) -> tuple[Graph, Model, Losses]:
    """The network beside its int8 twin, and what the twin and codecs lose on unseen digits."""
    from edgekit.networks.digits import FITTED, digits

    known = digits()
    fitted = slice(0, FITTED, FITTED // CALIBRATING)
    for part, which in (("calibrating", fitted), ("steering", slice(*STEERING)), ("judging", slice(*JUDGING))):
        data, labels = _files(run.folder, part)
        np.save(data, known.images[which])
        np.save(labels, known.labels[which])
    twin = run.folder / "net.int8.onnx"
    calibrating = _files(run.folder, "calibrating")[0]
    quantize(run.graph, twin, "int8", data=calibrating, tell=tell, accept=True)  # what it loses is measured on digits, below
    graph, model = load(run.graph, [twin])
    losses = measure_losses(_judge(graph, model, run.folder, "steering"), codecs=CODECS, tell=tell, cuts=CUTS)
    write(run.folder / "net.losses.json", losses)
    return graph, model, losses


def _profiles(graph: Graph, model: Model, cluster: Cluster, run: Run, tell: Tell) -> Profiles:
    """The profiles of all devices, measured at once: together they take less than one core, as in the pipeline."""
    names = [device.name for device in cluster.devices]

    def measured(name: str, tell: Tell) -> Profiles:
        return profile(graph, model, cluster, devices=[name], budget_s=0.5, tell=prefixed(tell, name), keep=run.keep, codecs=CODECS)

    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(measured, names, at_once(tell, [1.0] * len(names))))
    return Profiles(tuple(each for profiles in found for each in profiles))


def _files(folder: Path, part: str) -> tuple[Path, Path]:
    return folder / f"{part}.npy", folder / f"{part}.labels.npy"


def _judge(graph: Graph, model: Model, folder: Path, part: str) -> Judge:
    data, labels = _files(folder, part)
    return Judge(graph, model, data, labels=labels)


def question(graph: Graph, losses: Losses) -> Question:
    """What the demo asks of the partitioner: cuts at two places alone, and these losses."""
    parts = pairwise((0, *CUTS, len(graph.units)))
    together = tuple(tuple(range(start, stop)) for start, stop in parts if stop - start > 1)
    return Question(constraints=Constraints(together=together), losses=losses)
