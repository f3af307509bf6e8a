"""The exact partitioner against brute force on random instances, and its speed on networks of real size.

    python benchmarks/partition_exact.py [--instances 2000] [--rich 2000] [--branching 400] [--larger 200]

Chains on devices in a given order; richer ones with variants, joules, codecs, precisions, teams, any order and constraints; graphs
whose branches are split; and larger chains against a second exact method.

The last line is JSON. Counts do not depend on the machine; seconds do (best of three).
"""

import argparse
import json
import sys
import time
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the instances are those of the tests

import numpy as np

from edgekit.constraints import UNCONSTRAINED
from edgekit.errors import PlanError
from edgekit.front import Question
from edgekit.objectives import OBJECTIVES
from partitioner.compliance import broken
from partitioner.solve.exact import solve
from tests.partitioner.constrained import constrained_front
from tests.partitioner.cuts.test_lattice import every_branching_plan
from tests.partitioner.instances import (
    TELLING,
    Dice,
    coded,
    enriched,
    every_plan,
    large_instance,
    naive_front,
    points_of,
    random_constraints,
    random_instance,
    twinned,
)

SUBSETS = [subset for size in (3, 2, 1) for subset in combinations(TELLING, size)]
ALL_SUBSETS = [subset for size in range(1, 7) for subset in combinations(OBJECTIVES, size)]

SIZES = ((65, 3, 3), (150, 3, 3), (48, 8, 2), (150, 4, 3))


def plain(seed):
    """Up to 8 units on up to 4 devices in a given order: what solve is told, and what brute force finds."""
    graph, cluster, profiles, order = random_instance(seed)
    return (graph, cluster, profiles), Question(order), every_plan(graph, cluster, profiles, order), SUBSETS[seed % len(SUBSETS)]


def rich(seed):
    """Up to 5 units on up to 3 devices: several variants, joules, codecs, a twin in int8, any order, devices in turn, constraints."""
    graph, cluster, profiles, order = random_instance(seed, units=5, devices=3)
    losses, profiles = coded(seed, graph, enriched(seed, graph, profiles))
    if seed % 4 > 1:
        graph, losses, profiles = twinned(seed, graph, losses, profiles)
    free, team = bool(seed % 2), 2 if seed % 3 == 0 else 1
    constraints = random_constraints(seed, graph, [device.name for device in cluster.devices]) if seed % 5 == 0 else UNCONSTRAINED
    plans = every_plan(graph, cluster, profiles, order, free, team, losses)
    kept = [(plan, cost) for plan, cost in plans if not broken(plan, cost, cluster, constraints)]
    question = Question("free" if free else order, constraints, team, losses=losses)
    return (graph, cluster, profiles), question, kept, ALL_SUBSETS[seed % len(ALL_SUBSETS)]


def branching(seed):
    """Up to 5 units of which branches may be split, in every order of the units."""
    graph, cluster, profiles, order = random_instance(seed, units=5, devices=3)
    profiles, free = enriched(seed, graph, profiles, energy=False), bool(seed % 2)
    plans = every_branching_plan(graph, cluster, profiles, order, free)
    question = Question("free" if free else order, split_branches=True)
    return (graph, cluster, profiles), question, plans, SUBSETS[seed % len(SUBSETS)]


def mismatches(kind, seeds):
    """How many random instances give another front than brute force, how many plans that priced, and how many had none."""
    wrong, plans, infeasible = [], 0, 0
    for seed in seeds:
        given, question, found, objectives = kind(seed)
        plans, infeasible = plans + len(found), infeasible + (not found)
        expected = naive_front(points_of([cost for _, cost in found], objectives))
        try:
            front = points_of([plan.predicted for plan in solve(*given, objectives=objectives, question=question).plans], objectives)
        except PlanError as error:
            front = expected if str(error).startswith("what ") else []  # no device knows a codec: refused
        near = len(front) == len(expected) and all(np.allclose(a, b, rtol=1e-9, atol=0) for a, b in zip(front, expected, strict=True))
        if not near:
            wrong.append(seed)
    return wrong, plans, infeasible


def disagreements(instances):
    """On how many instances, too large for brute force, the ε-constraint method finds another front of latency and period."""
    wrong = 0
    for seed in range(instances):
        dice = Dice(seed)
        graph, cluster, profiles, order = large_instance(dice.randint(10, 24), dice.randint(2, 5), seed)
        front = solve(graph, cluster, profiles, objectives=("latency", "period"), question=Question(order))
        chains = [plan.predicted for plan in (*front.plans, *front.compared) if len(plan.stages) > 1 or len(plan.devices) == 1]
        mine = naive_front(points_of(chains, ("latency", "period")))
        other = constrained_front(graph, cluster, profiles, order)
        wrong += len(mine) != len(other) or not np.allclose(mine, other, rtol=1e-9, atol=0)
    return wrong


def timed(units, devices, objectives):
    """Seconds of a solve with everything in it: tables, labels, prices of all plans shown."""
    graph, cluster, profiles, order = large_instance(units, devices)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        front = solve(graph, cluster, profiles, objectives=TELLING[:objectives], question=Question(order))
        taken.append(time.perf_counter() - start)
    return min(taken), len(front.plans), front.certificate.labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=2000)
    parser.add_argument("--rich", type=int, default=2000)
    parser.add_argument("--branching", type=int, default=400)
    parser.add_argument("--larger", type=int, default=200)
    asked = parser.parse_args()
    result, failed = {}, 0
    for name, kind, first, count in (
        ("plain", plain, 0, asked.instances),
        ("rich", rich, 20_000, asked.rich),
        ("branching", branching, 40_000, asked.branching),
    ):
        wrong, plans, infeasible = mismatches(kind, range(first, first + count))
        print(f"{name}: {count} random instances ({infeasible} without a plan), {plans} plans priced by brute force")
        print(f"  {len(wrong)} mismatches", *wrong, flush=True)
        result[name] = {"instances": count, "plans": plans, "infeasible": infeasible, "mismatches": len(wrong)}
        failed += len(wrong)
    apart = disagreements(asked.larger)
    print(f"{asked.larger} larger instances against the ε-constraint method: {apart} disagreements", flush=True)
    result["larger"] = {"instances": asked.larger, "disagreements": apart}
    for units, devices, objectives in SIZES:
        seconds, found, labels = timed(units, devices, objectives)
        print(
            f"{units:4} units × {devices} devices × {objectives} objectives: {seconds:6.3f} s, {found} plans on the front, {labels} labels"
        )
        result[f"seconds_{units}x{devices}x{objectives}"] = round(seconds, 4)
    print(json.dumps(result))
    return 1 if failed or apart else 0


if __name__ == "__main__":
    sys.exit(main())
