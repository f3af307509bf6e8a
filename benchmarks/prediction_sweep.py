"""Claim: the plan that edgekit chooses is as good as the best of all, found by running all of them.

    python benchmarks/prediction_sweep.py [--network mobilenetv2 --network vit_tiny] [--keep FOLDER]

A network is split in two over local devices of unequal speed (emulated) at every cut there is, and every split is
deployed and certified; so is the unsplit network on each device, and what else is on the front that ``edgekit partition --measure``
finds: the network on both devices in turn, or the slower one last. Printed for latency and period:

    regret        measured value of the chosen plan over the best measured one                     at most 1.03
    hypervolume   of what the plans of the predicted front measure, over that of all plans         at least 0.98
    tau           Kendall's, of predicted and measured among plans within 1.5 of the best           at least 0.8
    covered       share of plans in the interval for nine in ten that is told from those before

A sentinel runs between the pipelines, and one beside which the machine was more than 3 % from what it was at the segments, or was robbed
of more than 4 % of its time by a hypervisor, is done again. What was measured is kept in FOLDER, and another run goes on from
there, with the pipelines again during which the machine was not steady. The last line is JSON; exit code 1 where a bar is missed.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numpy.typing import NDArray

from benchmarks.prediction_accuracy import NETWORKS, Point, Points, Sentinel, certified, cost_of, covered, steady, wait_for_calm
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device
from edgekit.files import read, write
from edgekit.front import Front
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import Plan, Stage, chain
from edgekit.profile import Profile

CLUSTER = Cluster(devices=(Device("slow", speed=0.3), Device("quick", speed=0.5)), links=(Link(ANY, ANY, 0.0005, 25e6, shaped=True),))
NEAR = 1.5
SECONDS = 1.0


def every_plan(graph: Graph) -> list[Plan]:
    """Split in two at every cut, and unsplit on each device."""
    first, second = (device.name for device in CLUSTER.devices)
    last = len(graph.units)
    splits = [(Stage(0, cut, (first,)), Stage(cut, last, (second,))) for cut in graph.candidates]
    return [chain(graph, stages) for stages in (*splits, (Stage(0, last, (first,)),), (Stage(0, last, (second,)),))]


def hypervolume(points: list[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The area that points of two quantities, both to be small, dominate up to a reference."""
    area, lowest = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < lowest:
            area += (reference[0] - x) * (lowest - y)
            lowest = y
    return area


def kendall_tau(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Kendall's tau-b: pairs in the same order less those in opposite order, over all pairs that are no tie (1 for a single value)."""
    first, second = (np.sign(values[:, None] - values[None, :]) for values in (one, other))
    pairs = np.sqrt(np.abs(first).sum() * np.abs(second).sum())
    return float((first * second).sum() / pairs) if pairs else 1.0


def chosen_by_edgekit(graph: Graph, model: Model, folder: Path, sentinel: Sentinel) -> tuple[Front, dict[str, Profile], Cluster]:
    """The way a user goes: survey, profile, partition --measure."""
    run = api.Run(folder)
    if run.front.is_file():
        return read(run.front, Front), run.profiles(), read(run.cluster, Cluster)
    wait_for_calm()
    cluster = api.survey(CLUSTER, graph)
    profiles = api.profile(graph, model, cluster)
    beside = sentinel.beside(partial(print, flush=True))
    front, profiles = api.partition(
        graph, model, cluster, profiles, objectives=("latency", "period"), measure=True, doubt_s=90, tell=beside, keep=run.keep
    )
    write(run.cluster, cluster)
    write(run.front, front)
    return front, profiles, cluster


def sweep(name: str, folder: Path) -> list[Point]:
    """Every plan, certified; those on the front have it written beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "net.onnx"
    if not path.is_file():
        api.export(NETWORKS[name], path)
    graph, model = api.load(path)
    sentinel = Sentinel(graph, path.read_bytes(), folder / "sentinel.json")
    front, profiles, cluster = chosen_by_edgekit(graph, model, folder, sentinel)
    points = Points(folder / "points.json")
    for plan in {plan.describe(): plan for plan in (*every_plan(graph), *front.plans)}.values():
        if plan in points:
            continue
        predicted = {"segments": cost_of(plan, graph, cluster, profiles)}
        points.add(certified(name, plan, graph, model, cluster, predicted, sentinel, SECONDS))
        point = points[plan]
        latency, period = predicted["segments"]
        print(
            f"{point.plan:32} latency {latency * 1e3:7.2f} {point.latency_s * 1e3:7.2f} ms  "
            f"period {period * 1e3:7.2f} {point.period_s * 1e3:7.2f} ms  drift {point.drift:.1%} stolen {point.stolen:.1%}",
            flush=True,
        )
    return points.all


def judge(points: list[Point], front: Front) -> dict[str, float]:
    """Regret, tau, covered and hypervolume."""
    measured = np.array([(point.latency_s, point.period_s) for point in points])
    predicted = np.array([point.predicted["segments"] for point in points])
    names = [point.plan for point in points]
    found = {}
    for which, objective in enumerate(front.objectives):
        chosen = names.index(front.best(objective).describe())
        found[f"{objective} regret"] = float(measured[chosen, which] / measured[:, which].min())
        near = measured[:, which] <= NEAR * measured[:, which].min()
        found[f"{objective} tau"] = kendall_tau(predicted[near, which], measured[near, which])
        found[f"{objective} near"] = int(near.sum())
        inside, told = covered(points, which)
        found[f"{objective} covered"] = inside / max(1, told)
    reference = (float(measured[:, 0].max()), float(measured[:, 1].max()))
    described = {plan.describe() for plan in front.plans}
    on_front = [(float(x), float(y)) for (x, y), name in zip(measured, names, strict=True) if name in described]
    found["hypervolume"] = hypervolume(on_front, reference) / hypervolume([(float(x), float(y)) for x, y in measured], reference)
    found["drifted"] = sum(not steady(point) for point in points)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS))
    parser.add_argument("--keep", type=Path, default=Path("runs/prediction_sweep"))
    arguments = parser.parse_args()
    found = {}
    for name in arguments.network or ("mobilenetv2", "vit_tiny"):
        points = sweep(name, arguments.keep / name)
        found[name] = judge(points, read(api.Run(arguments.keep / name).front, Front))
        print(f"{name}: {len(points)} plans, " + ", ".join(f"{key} {value:.3f}" for key, value in found[name].items()))
    met = all(
        judged["hypervolume"] >= 0.98 and all(judged[f"{o} regret"] <= 1.03 and judged[f"{o} tau"] >= 0.8 for o in ("latency", "period"))
        for judged in found.values()
    )
    print(json.dumps({"found": found, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
