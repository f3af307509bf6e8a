"""Claim: the front follows the network, and the winner under each condition does what was predicted of it.

    python benchmarks/network_conditions.py [--network resnet50 --network vit_tiny] [--rate 100mbit] [--keep runs/network_conditions]

Three boards of unequal speed, each a network namespace with its own sshd on a cable of 1 Gbit/s, of 100 Mbit/s, and of 5 Mbit/s with
100 ms each way (200 ms from board to board). The devices are profiled once; under each condition the links are surveyed, the front
is found with what ends on it measured, and its quickest plan and that of the highest throughput are deployed over SSH and certified.
Printed: the fronts, the winners with their errors, how much slower the winner of the first condition would be under each other one;
drawn: who wins over bandwidth and latency. The last line is JSON. Needs root, sshd and /dev/net/tun.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[1]))  # the machines are those of the tests

from edgekit import api
from edgekit.cluster import Cluster
from edgekit.errors import PlanError
from edgekit.files import write
from edgekit.front import Front, Question, cost_of
from edgekit.graph import Graph
from edgekit.objectives import Objective
from edgekit.plan import Plan
from edgekit.profiles import Profiles
from edgekit.sweep import Knob
from tests.sshbed import bed

NETWORKS = {"resnet50": "edgekit.networks.resnet:resnet50", "vit_tiny": "edgekit.networks.vit:vit_tiny"}
SPEEDS = {"one": 0.2, "two": 0.3, "three": 0.45}


class Condition(NamedTuple):
    name: str
    rate: str
    delay_s: float


CONDITIONS = (Condition("1 Gbit", "1gbit", 0.0), Condition("100 Mbit", "100mbit", 0.0), Condition("5 Mbit, 200 ms", "5mbit", 0.1))
OBJECTIVES: tuple[Objective, ...] = ("latency", "period")
KNOBS = (
    Knob("bandwidth", tuple(0.25e6 * 2**step for step in range(10))),
    Knob("latency", tuple(0.0005 * 2**step for step in range(9))),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS))
    parser.add_argument("--rate", action="append", choices=[condition.rate for condition in CONDITIONS], help="only under this condition")
    parser.add_argument("--keep", type=Path, default=Path("runs/network_conditions"))
    arguments = parser.parse_args()
    conditions = [condition for condition in CONDITIONS if condition.rate in (arguments.rate or [condition.rate])]
    result = {name: examine(name, conditions, arguments.keep / name) for name in arguments.network or NETWORKS}
    print(json.dumps(result))
    return 0


def examine(name: str, conditions: list[Condition], folder: Path) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    run = api.Run(folder)
    if not run.graph.is_file():
        api.export(NETWORKS[name], run.graph)
    graph, model = api.load(run.graph)
    found: dict[str, object] = {}
    first = None
    for condition in conditions:
        with boards(condition) as described:
            cluster = api.survey(described, graph)
            write(folder / f"{condition.rate}.cluster.json", cluster)
            if not list(folder.glob("*.profile.json")):
                api.profile(graph, model, cluster, keep=run.keep)
            front, profiles = api.partition(
                graph, model, cluster, run.profiles(), objectives=OBJECTIVES, question=Question("free"), measure=True, keep=run.keep
            )
            write(folder / f"{condition.rate}.front.json", front)
            print(f"\n{name}, {condition.name}: {len(front.plans)} plans, {front.certificate.kind}", flush=True)
            winners = {objective: certified(front.best(objective), objective, graph, model, cluster) for objective in OBJECTIVES}
        first = first or front
        regrets = {objective: regret(first, front, objective, graph, cluster, profiles) for objective in OBJECTIVES}
        print(f"  the winners at {conditions[0].name} would take " + ", ".join(f"×{value:.2f} the {o}" for o, value in regrets.items()))
        found[condition.name] = {"plans": len(front.plans), "winners": winners, "regret": regrets}
        if condition == CONDITIONS[0]:
            swept = api.sweep(graph, cluster, profiles, KNOBS, objectives=OBJECTIVES, question=Question("free"))
            write(folder / "winners.json", swept)
            api.write_winners(folder / "winners.png", swept)
    return found


def certified(plan: Plan, objective: str, graph: Graph, model: api.Model, cluster: Cluster) -> dict[str, object]:
    """A winner, deployed and measured."""
    with api.deploy(plan, graph, model, cluster) as pipeline:
        seen = api.verify(pipeline, seconds=3.0, fractions=()).measured
    cost = cost_of(plan)
    errors = cost.latency_s / seen.latency_s - 1, cost.period_s / seen.period_s - 1
    times = f"{seen.latency_s * 1e3:8.1f} ms {seen.period_s * 1e3:8.1f} ms"
    print(f"  best {objective:8} {plan.describe():62} certified {times}, predicted {errors[0]:+.1%} {errors[1]:+.1%}", flush=True)
    return {
        "plan": plan.describe(),
        "latency_ms": round(seen.latency_s * 1e3, 2),
        "period_ms": round(seen.period_s * 1e3, 2),
        "errors": [round(error, 4) for error in errors],
    }


@contextmanager
def boards(condition: Condition) -> Iterator[Cluster]:
    """The cluster while its machines are up."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="ek") as place,
        pytest.MonkeyPatch.context() as patch,
        bed(Path(place), patch) as lab,
    ):
        hosts = [lab.board(name, condition.rate, condition.delay_s) for name in SPEEDS]
        yield Cluster(tuple(replace(host.device(), name=n, speed=v) for host, (n, v) in zip(hosts, SPEEDS.items(), strict=True)))


def regret(first: Front, front: Front, objective: Objective, graph: Graph, cluster: Cluster, profiles: Profiles) -> float:
    """How much worse than the winner the winner of another condition is here, both as predicted."""
    try:
        other = cost_of(api.predict(replace(first.best(objective), predicted=None), graph, cluster, profiles))
    except PlanError:
        return float("inf")
    best = cost_of(front.best(objective))
    return round({"latency": other.latency_s / best.latency_s, "period": other.period_s / best.period_s}[objective], 3)


if __name__ == "__main__":
    sys.exit(main())
