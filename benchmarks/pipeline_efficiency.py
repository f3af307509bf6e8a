"""Claim: a pipeline is as fast as its slowest stage is alone, and over a slow link as fast as the link allows.

    python benchmarks/pipeline_efficiency.py [--case gigabit --case varying --case slow] [--stages 2 --stages 3 --stages 4]

A chain of twelve equal convolution blocks is cut into equal stages. Each stage is first deployed alone, in a stage process of its own
with its own input and output over the same links, then all of them in a row, over TLS each time. Printed for each case, as a line of
JSON: the periods of the stages alone, the largest over the least of them (stages count as balanced up to 1.1), the period of the
pipeline, and its throughput over that of its slowest stage; beside it the same of a runtime like ParetoPipe's (pickled_stages.py), its
throughput over that of the same slowest stage.

    gigabit   1 Gbit/s, 0.2 ms: bar 0.95
    varying   the same, and every stage's time varies from frame to frame by a coefficient of variation of 0.2: bar 0.85
    slow      5 Mbit/s, 200 ms there and back: throughput over that of a link with nothing but tensors on it, bar 0.9

Four stages at full speed would need more processors than most machines have, and whatever else runs there would show in the times of
each. So stages compute, and then sleep: an engine stretches each run of onnxruntime to 60 ms, or to the time that is drawn for the frame
(varying_engine.py). All figures are emulated in this sense, and in that links are those of the cluster, played by proxies in a process
of their own. A case that misses its bar is run again, up to three times: on a machine that is shared a single run may be robbed of its
time. Every run is printed, with the share of the processors' time that the machine's own host took away meanwhile. Exit code 1 where a
case misses its bar each time.
"""

import argparse
import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # networks are drawn as in the tests

import numpy as np
from pickled_stages import streamed
from varying_engine import MEAN_S, VARIATION

from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.pipeline import deploy
from edgekit.deploy.serve.release import prepare
from edgekit.device import Device, Variant
from edgekit.onnxio import cut, load, normalise, read
from edgekit.plan import Plan, Stage, chain
from edgekit.runtime.machine.stolen_time import Stolen
from tests.models import CONV, Net, draw, net

BLOCKS, CHANNELS, SIZE = 12, 64, 28
STAGE_S = 0.06
SLOW = Variant(engine="varying")
WINDOW = 16
TRIES = 3
WARM = 10

Arrays = Mapping[str, np.ndarray]


class Case(NamedTuple):
    bar: float
    bytes_per_s: float
    latency_s: float
    frames: int
    variation: float = 0.0


CASES = {
    "gigabit": Case(0.95, 125e6, 0.0002, 100),
    "varying": Case(0.85, 125e6, 0.0002, 200, 0.2),
    "slow": Case(0.9, 625e3, 0.1, 40),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    parser.add_argument("--stages", action="append", type=int, choices=(2, 3, 4))
    arguments = parser.parse_args()
    whole = blocks()
    missed = []
    with installed():
        for name, stages in itertools.product(arguments.case or CASES, arguments.stages or (2, 3, 4)):
            for _ in range(TRIES):
                found = run(whole, name, stages)
                print(json.dumps(found), flush=True)
                if found["met"]:
                    break
            else:
                missed.append(f"{name} in {stages}")
    print(json.dumps({"missed": missed}))
    return 1 if missed else 0


def blocks() -> Net:
    """Convolutions of equal work, whose tensors are all of one size."""
    names = ["x", *(f"t{block}" for block in range(1, BLOCKS)), "y"]
    lines = [f"Conv {names[i]},w{i} > c{i}\nRelu c{i} > {names[i + 1]}" for i in range(BLOCKS)]
    shape, weight = [1, CHANNELS, SIZE, SIZE], [CHANNELS, CHANNELS, 3, 3]
    return net(draw("\n".join(lines), {"x": shape}, {"y": shape}, {f"w{i}": weight for i in range(BLOCKS)}, **CONV))


def run(whole: Net, name: str, count: int) -> dict[str, object]:
    """One case, once."""
    case, stolen = CASES[name], Stolen()
    each = len(whole.graph.units) // count
    os.environ |= {MEAN_S: str(STAGE_S), VARIATION: str(case.variation)}
    names = [f"s{index}" for index in range(count)]
    links = (Link(ANY, ANY, case.latency_s, case.bytes_per_s, shaped=True),)
    cluster = Cluster(tuple(Device(device, variant=SLOW) for device in names), links)
    plan = chain(whole.graph, tuple(Stage(i * each, (i + 1) * each, (device,), SLOW) for i, device in enumerate(names)))
    alone = [] if name == "slow" else [period_s(*lone(whole, stage), cluster, case.frames) for stage in plan.stages]
    linked = whole.graph.cuts[0].nbytes / case.bytes_per_s
    least = max(alone, default=linked)
    together = period_s(whole, plan, cluster, case.frames)
    pickled = pickled_s(whole, plan, cluster, links[0], case.frames)
    balance = max(alone) / min(alone) if alone else 1.0
    return {
        "case": name,
        "stages": count,
        "alone_ms": [round(period * 1e3, 2) for period in alone],
        "link_alone_ms": round(linked * 1e3, 2),
        "balance": round(balance, 3),
        "period_ms": round(together * 1e3, 2),
        "ratio": round(least / together, 3),
        "bar": case.bar,
        "met": least / together >= case.bar and balance <= 1.1,
        "as_paretopipe": round(least / pickled, 3),
        "stolen": round(stolen.share(), 3),
    }


def lone(whole: Net, stage: Stage) -> tuple[Net, Plan]:
    """A stage of a plan as a network of its own, and the plan to run it where it belongs."""
    model = load(normalise(cut(whole.model, whole.graph, stage.start, stage.stop)))
    part = Net(read(model), model)
    return part, chain(part.graph, (Stage(0, len(part.graph.units), stage.devices, SLOW),))


def period_s(part: Net, plan: Plan, cluster: Cluster, frames: int) -> float:
    """Seconds between results once the pipeline is full."""
    with deploy(plan, part.graph, part.model, cluster) as pipeline, pipeline.client() as client:
        results = list(client.stream(itertools.repeat(part.inputs(), frames), window=WINDOW))
    for result in results:
        result.value()
    return between([result.done_s for result in results])


def pickled_s(whole: Net, plan: Plan, cluster: Cluster, link: Link, frames: int) -> float:
    """The same of stages like ParetoPipe's."""
    with tempfile.TemporaryDirectory() as folder:
        parts = prepare(plan, whole.graph, whole.model, cluster).parts
        return between(streamed(parts, link.shape, whole.inputs(), frames, Path(folder)))


def between(times: list[float]) -> float:
    """After those that were made while it filled; before those that ran out of it, which wait for nobody."""
    steady = times[WARM:-4]
    return (steady[-1] - steady[0]) / (len(steady) - 1)


@contextmanager
def installed() -> Iterator[None]:
    """The engine where pip would put it, for the stage processes that are started meanwhile."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        facts = Path(folder, "edgekit_varying-1.0.dist-info")
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: edgekit-varying\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text("[edgekit.engines]\nvarying = varying_engine:ENGINE\n")
        before = os.environ.get("PYTHONPATH")
        stack.callback(lambda: os.environ.pop("PYTHONPATH") if before is None else os.environ.__setitem__("PYTHONPATH", before))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, str(Path(__file__).parent), before)))
        yield


if __name__ == "__main__":
    sys.exit(main())
