"""The exact partitioner against brute force on random instances, and its speed on networks of real size.

    python benchmarks/partition_exact.py [--instances 2000]

The last line is JSON. Counts do not depend on the machine; seconds do (best of three).
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the instances are those of the tests

from edgekit.errors import PlanError
from edgekit.front import USUAL as OBJECTIVES
from partitioner.exact import solve
from tests.partitioner.instances import every_plan, large_instance, naive_front, points_of, random_instance

SIZES = ((65, 3, 3), (150, 3, 3), (48, 8, 2), (150, 4, 3))


def mismatches(instances):
    """How many random instances give another front than brute force, how many plans that priced, and how many had none."""
    wrong, plans, infeasible = [], 0, 0
    for seed in range(instances):
        graph, cluster, profiles, order = random_instance(seed)
        costs = [cost for _, cost in every_plan(graph, cluster, profiles, order)]
        plans, infeasible = plans + len(costs), infeasible + (not costs)
        objectives = OBJECTIVES if seed % 2 else OBJECTIVES[: 1 + seed // 2 % 2]
        try:
            found = points_of([plan.predicted for plan in solve(graph, cluster, profiles, order, objectives).plans], objectives)
        except PlanError:
            found = []
        if found != naive_front(points_of(costs, objectives)):
            wrong.append(seed)
    return wrong, plans, infeasible


def timed(units, devices, objectives):
    """Seconds of a solve with everything in it: tables, labels, prices of all plans shown."""
    instance = large_instance(units, devices)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        front = solve(*instance, OBJECTIVES[:objectives])
        taken.append(time.perf_counter() - start)
    return min(taken), len(front.plans), front.certificate.labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=2000)
    instances = parser.parse_args().instances
    wrong, plans, infeasible = mismatches(instances)
    print(f"{instances} random instances ({infeasible} without a plan), {plans} plans priced by brute force")
    print(f"{len(wrong)} mismatches", *wrong)
    result = {"instances": instances, "plans": plans, "infeasible": infeasible, "mismatches": len(wrong)}
    for units, devices, objectives in SIZES:
        seconds, found, labels = timed(units, devices, objectives)
        print(
            f"{units:4} units × {devices} devices × {objectives} objectives: {seconds:6.3f} s, {found} plans on the front, {labels} labels"
        )
        result[f"seconds_{units}x{devices}x{objectives}"] = round(seconds, 4)
    print(json.dumps(result))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
