"""The main job in one call: MobileNetV2 over three unequal devices on this machine, chosen, deployed and certified."""

from collections.abc import Callable
from pathlib import Path

from edgekit.api.runs import Run, report
from edgekit.api.steps import export, load, partition, profile
from edgekit.api.surveys import survey
from edgekit.cluster import Cluster, Link
from edgekit.deploy.certify import certify
from edgekit.deploy.pipeline import deploy
from edgekit.device import Device
from edgekit.files import write
from edgekit.front import Front
from edgekit.graph import Graph
from edgekit.plan import Plan
from edgekit.progress import Tell
from edgekit.trace import Trace

__all__ = ["CLUSTER", "NETWORK", "Demo", "demo"]

NETWORK = "edgekit.networks.mobilenetv2:mobilenetv2"

CAMERA = 50e6
RADIO = 6e6
WIRE = 12.5e6
DELAY_S = 0.0005


def _both(one: str, other: str, bytes_per_s: float) -> tuple[Link, ...]:
    return tuple(Link(a, b, DELAY_S, bytes_per_s, shaped=True) for a, b in ((one, other), (other, one)))


# The board beside the camera is slow but close, the better ones are reached from there by radio, and a wire leads
# from board to board. The speeds are shares of one core and add up to well below two cores, so that the devices do
# not slow each other down.
CLUSTER = Cluster(
    name="demo",
    client="camera",
    devices=(Device("near", speed=0.15), Device("middle", speed=0.3), Device("far", speed=0.6)),
    links=(
        *_both("camera", "near", CAMERA),
        *_both("camera", "middle", RADIO),
        *_both("camera", "far", RADIO),
        *_both("near", "middle", WIRE),
        *_both("near", "far", RADIO),
        *_both("middle", "far", WIRE),
    ),
)


class Demo:
    """What the demo found, and where it is kept."""

    def __init__(self, graph: Graph, cluster: Cluster, front: Front, plan: Plan, trace: Trace, pictures: list[Path]):
        self.graph = graph
        self.cluster = cluster
        self.front = front
        self.plan = plan
        self.trace = trace
        self.pictures = pictures


def demo(folder: Path, step: Callable[[str], None], tell: Tell) -> Demo:
    """Export, survey, profile, partition, deploy the knee, verify, report; ``step`` and ``tell`` hear how it goes.

    Raises:
        UsageError: torch is not installed.
        PromiseError: the split network does not give what the unsplit one gives.
    """
    run = Run(folder)
    step("exporting MobileNetV2 from torch")
    export(NETWORK, run.graph)
    graph, model = load(run.graph)
    step("measuring the links")
    cluster = survey(CLUSTER, graph, tell)
    write(run.cluster, cluster)
    step("profiling the devices")
    profiles = profile(graph, model, cluster, budget_s=1.2, tell=tell, keep=run.keep)
    step("partitioning, and measuring what ends on the front")
    front, _ = partition(graph, model, cluster, profiles, ("latency", "period"), measure=True, tell=tell, keep=run.keep)
    write(run.front, front)
    plan = front.knee()
    write(run.plan, plan)
    step("deploying the knee of the front and certifying it")
    with deploy(plan, graph, model, cluster, tell=tell) as pipeline:
        trace = certify(pipeline, seconds=2.5, tell=tell)
    write(run.trace, trace)
    step("drawing")
    return Demo(graph, cluster, front, plan, trace, report(folder))
