"""Claim: the exact front takes less time than the usual search takes to come near it.

    python benchmarks/partition_speed.py [--quick] [--plot FILE.png]

Networks of a realistic shape (activations shrink, weights grow) on devices of unequal speed with links of their own, in a given
order. In one run: exact fronts of growing size, of more objectives, within 1 %, and in any order; beside them pymoo's NSGA-II
with 40,000 evaluations (three seeds, hypervolume over the exact one), the ε-constraint method in numpy, and HiGHS for the
shortest period. Last a graph that branches, with some 3,000 down-sets, over six equal devices. The last line is JSON.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))  # the instances are those of the tests

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.prediction_sweep import hypervolume
from edgekit.front import Front, Question, value
from edgekit.objectives import Objective
from partitioner.cuts.chain import cuts
from partitioner.cuts.ideals import lattice, serial_loads
from partitioner.footprints import Footprints
from partitioner.solve.exact import solve
from partitioner.solve.labels import chains
from partitioner.solve.uniform_tables import uniform
from partitioner.tables import Tables
from partitioner.tabulation import tabulate
from tests.partitioner.instances import enriched, large_instance

TIMES = ("latency", "period")
FOUR = ("latency", "period", "memory", "energy")
EVALUATIONS, POPULATION, SEEDS = 40_000, 100, 3
Points = NDArray[np.float64]


Found = TypeVar("Found")


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def points_of(front: Front) -> Points:
    return np.array([[value(plan.predicted, o) for o in front.objectives] for plan in front.plans if plan.predicted])


def tables_of(units: int, devices: int) -> Tables:
    """Without processor time for messages, which the ε-constraint method and HiGHS do not know."""
    graph, cluster, profiles, order = large_instance(units, devices)
    free = dict.fromkeys(("send_s_per_byte", "receive_s_per_byte", "send_s_per_message", "receive_s_per_message"), 0.0)
    cluster = cluster.relinked(lambda link: replace(link, **free))
    kinds = tuple((name,) for name in order)
    return tabulate(cuts(graph, Footprints(graph)), cluster, profiles, kinds)


def costs_of_cuts(tables: Tables, at: NDArray[np.intp]) -> Points:
    """Latency and period [n, 2] of chains by the cuts between neighbours [n, K - 1], which may coincide: a device is then left out."""
    count, client, last = len(tables.executors), len(tables.executors), len(tables.positions) - 1
    ends = np.column_stack([np.zeros(len(at), np.intp), np.sort(at, axis=1), np.full(len(at), last)])
    latency, period = np.zeros(len(at)), np.zeros(len(at))
    before = np.full(len(at), client)
    received = np.zeros(len(at))
    channel = tables.channels[0]

    def sent(rows: NDArray[np.bool_], receiver: int | NDArray[np.intp], place: NDArray[np.intp], busy: Points) -> None:
        nbytes = channel.nbytes[place]
        latency[rows] += channel.message_s[place, before[rows], receiver]
        load = busy + nbytes * tables.per_byte.send[before[rows], receiver, 0]
        period[rows] = np.maximum.reduce([period[rows], load, channel.link_load_s[place, before[rows], receiver]])
        received[rows] = nbytes * tables.per_byte.receive[before[rows], receiver, 0]

    busy = np.zeros(len(at))
    for device in range(count):
        rows = ends[:, device] < ends[:, device + 1]
        start, stop = ends[rows, device], ends[rows, device + 1]
        sent(rows, device, start, busy[rows])
        seconds = tables.executors[device].latency_s[start, stop]
        latency[rows] += seconds
        busy[rows] = received[rows] + seconds
        before[rows] = device
    everything = np.ones(len(at), bool)
    sent(everything, client, ends[:, -1], busy)
    return np.column_stack([latency, period])


def nsga2(tables: Tables, seed: int) -> Points:
    """What pymoo's NSGA-II finds in 40,000 evaluations."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Cuts(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=len(tables.executors) - 1, n_obj=2, xl=0, xu=len(tables.positions) - 1, vtype=int)

        def _evaluate(self, x: NDArray[np.intp], out: dict[str, Points]) -> None:
            out["F"] = costs_of_cuts(tables, x.astype(np.intp))

    repair = RoundingRepair()
    algorithm = NSGA2(POPULATION, sampling=IntegerRandomSampling(), crossover=SBX(repair=repair), mutation=PM(repair=repair))
    found: Points = minimize(Cuts(), algorithm, ("n_eval", EVALUATIONS), seed=seed).F
    return found


def constrained(tables: Tables) -> Points:
    """The front of chains by shortest paths under ever tighter bounds on the period, in numpy."""
    count, last = len(tables.executors), len(tables.positions) - 1
    channel, found, bound = tables.channels[0], [], np.inf
    while True:
        best = np.full((last + 1, count), np.inf)
        longest = np.full((last + 1, count), np.inf)
        end, worst = np.inf, np.inf
        message = np.where(channel.link_load_s < bound, channel.message_s, np.inf)
        best[0] = message[0, count, :count]
        longest[0] = channel.link_load_s[0, count, :count]
        for position in range(1, last + 1):
            for device, who in enumerate(tables.executors):
                seconds = who.latency_s[:position, position]
                totals = best[:position, device] + np.where(seconds < bound, seconds, np.inf)
                at = int(totals.argmin())
                if not np.isfinite(totals[at]):
                    continue
                slowest = max(longest[at, device], seconds[at])
                for receiver in [count] if position == last else range(device + 1, count):
                    total = totals[at] + message[position, device, receiver]
                    period = max(slowest, channel.link_load_s[position, device, receiver])
                    if receiver == count and (total, period) < (end, worst):
                        end, worst = total, period
                    elif receiver != count and total < best[position, receiver]:
                        best[position, receiver], longest[position, receiver] = total, period
        if not np.isfinite(end):
            return np.array(found)
        found.append((end, worst))
        bound = worst


def shortest_period(tables: Tables) -> float:
    """HiGHS: a path through (position, device), with a variable above the load of each arc that it takes."""
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import coo_array

    count, last, channel = len(tables.executors), len(tables.positions) - 1, tables.channels[0]
    arcs = [((0, count), (0, d), channel.link_load_s[0, count, d]) for d in range(count)]
    for d, who in enumerate(tables.executors):
        for p in range(last):
            for q in range(p + 1, last + 1):
                for e in [count] if q == last else range(d + 1, count):
                    arcs.append(((p, d), (q, e), max(who.latency_s[p, q], channel.link_load_s[q, d, e])))
    nodes = {node: i for i, node in enumerate({end for arc in arcs for end in arc[:2]})}
    rows, columns, values = [], [], []
    for column, (source, receiver, _) in enumerate(arcs):
        rows += [nodes[source], nodes[receiver]]
        columns += [column, column]
        values += [1.0, -1.0]
    balance = np.zeros(len(nodes))
    balance[nodes[0, count]], balance[nodes[last, count]] = 1.0, -1.0
    flow = coo_array((values, (rows, columns)), shape=(len(nodes), len(arcs) + 1)).tocsr()
    loads = np.array([load for *_, load in arcs])
    above = coo_array(
        (
            np.concatenate([-loads, np.ones(len(arcs))]),
            (np.tile(np.arange(len(arcs)), 2), np.concatenate([np.arange(len(arcs)), np.full(len(arcs), len(arcs))])),
        ),
        shape=(len(arcs), len(arcs) + 1),
    ).tocsr()
    done = milp(
        np.append(np.zeros(len(arcs)), 1.0),
        integrality=np.append(np.ones(len(arcs)), 0),
        bounds=(0, np.append(np.ones(len(arcs)), np.inf)),
        constraints=[LinearConstraint(flow, balance, balance), LinearConstraint(above, 0, np.inf)],
        options={"time_limit": 120},
    )
    return float(done.fun) if done.fun is not None else float("nan")


def branching(places: int = 2_900, seed: int = 1) -> tuple[int, list[tuple[int, int]]]:
    """Blocks of two to four parallel branches one after the other, as many as have that many down-sets: elements and edges."""
    draw = np.random.default_rng(seed)
    edges: list[tuple[int, int]] = []
    count, have, last = 1, 2, 0
    while have < places:
        lengths = draw.integers(2, 7, size=draw.integers(2, 5)).tolist()
        ends = []
        for length in lengths:
            chain = [last, *range(count, count + length)]
            edges += list(zip(chain, chain[1:], strict=False))
            count += length
            ends.append(chain[-1])
        edges += [(end, count) for end in ends]
        last, count = count, count + 1
        have += int(np.prod(np.array(lengths) + 1))
    return count, edges


def solved(units: int, devices: int, objectives: Sequence[Objective], epsilon: float = 0.0) -> tuple[float, Front]:
    """The least of three times, tables and prices included, and the front."""
    graph, cluster, profiles, order = large_instance(units, devices)
    profiles = enriched(0, graph, profiles, variants=False)
    runs = [
        timed(lambda: solve(graph, cluster, profiles, objectives=objectives, question=Question(order, epsilon=epsilon))) for _ in range(3)
    ]
    return min(seconds for seconds, _ in runs), runs[0][1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="without NSGA-II, HiGHS and the largest sizes")
    parser.add_argument("--plot", type=Path, help="draw how time grows with cuts and devices")
    arguments = parser.parse_args()
    result: dict[str, object] = {}

    def say(key: str, text: str, **more: object) -> None:
        print(f"{text}, peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB", flush=True)
        result[key] = more

    for units, devices, objectives, epsilon in ((48, 8, TIMES, 0.0), (48, 4, FOUR, 0.0), (300, 8, TIMES, 0.0), (1000, 8, TIMES, 0.01)):
        seconds, front = solved(units, devices, objectives, epsilon)
        kind = f"within {epsilon:.0%}" if epsilon else "exact"
        plans, labels = len(front.plans), front.certificate.labels
        say(
            f"{units}x{devices}x{len(objectives)}",
            f"{units} cuts × {devices} devices, {', '.join(objectives)}: {kind} in {seconds:.3f} s, {plans} plans, {labels} labels",
            seconds=round(seconds, 4),
            plans=plans,
            labels=labels,
            gap=front.certificate.gap,
        )
    graph, cluster, profiles, order = large_instance(48, 8)
    seconds, front = timed(lambda: solve(graph, cluster, profiles, objectives=TIMES, question=Question("free")))
    say("free_48x8", f"48 cuts × 8 devices in any order: {seconds:.2f} s, {len(front.plans)} plans", seconds=round(seconds, 3))
    tables = tables_of(48, 8)
    exact = chains(tables, TIMES).costs[:, :2]
    reference = tuple(1.1 * exact.max(axis=0))
    volume = hypervolume([tuple(point) for point in exact], reference)
    seconds, other = timed(lambda: constrained(tables))
    say(
        "constrained",
        f"ε-constraint in numpy: {seconds:.2f} s, {len(other)} points",
        seconds=round(seconds, 3),
        hypervolume=hypervolume([tuple(p) for p in other], reference) / volume,
    )
    if not arguments.quick:
        for seed in range(SEEDS):
            seconds, found = timed(lambda: nsga2(tables, seed))  # noqa: B023
            share = hypervolume([tuple(point) for point in found], reference) / volume
            say(
                f"nsga2_{seed}",
                f"NSGA-II, {EVALUATIONS} evaluations, seed {seed}: hypervolume {share:.4f} of the exact one in {seconds:.1f} s",
                seconds=round(seconds, 2),
                hypervolume=round(share, 4),
            )
        seconds, best = timed(lambda: shortest_period(tables))
        say("highs", f"HiGHS, period alone: {best:.6f} s against {exact[:, 1].min():.6f} s, in {seconds:.1f} s", seconds=round(seconds, 2))
    count, edges = branching()
    draw = np.random.default_rng(0)
    compute, send = draw.uniform(0.5, 2.0, count), draw.uniform(0.01, 0.1, count)

    def branched() -> tuple[int, float]:
        places = lattice(count, edges)
        loads = serial_loads(places, compute, send, edges)
        return len(loads), float(chains(uniform([(loads, np.zeros_like(loads), 6, np.inf)]), ("period",)).costs[:, 1].min())

    seconds, (ideals, load) = timed(branched)
    say(
        "ideals",
        f"{count} nodes with {ideals} down-sets on 6 devices: largest load {load:.4f}, {seconds:.1f} s",
        ideals=ideals,
        seconds=round(seconds, 2),
    )
    if arguments.plot:
        plot(arguments.plot)
    print(json.dumps(result))
    return 0


def plot(path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = drawn.add_subplot()
    for devices in (2, 4, 8):
        sizes = (25, 50, 100, 200, 400)
        seconds = [solved(units, devices, TIMES)[0] for units in sizes]
        axes.loglog(sizes, seconds, "o-", label=f"{devices} devices")
    axes.set(xlabel="cuts", ylabel="seconds", title="Exact fronts of latency and period, given order")
    axes.legend()
    drawn.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
