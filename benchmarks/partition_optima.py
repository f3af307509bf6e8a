"""Claim: the exact partitioner finds the known optima of other people's benchmarks.

    python benchmarks/partition_optima.py --dnn-partitioning FILE --devices K [--cpus 0]
    python benchmarks/partition_optima.py --pipeedge FILE

The first takes an operator graph of msr-fiddle/dnn-partitioning: the largest load of K equal accelerators, each of which runs a
difference of two down-sets, and receives, computes and sends one after the other. The second takes measured profiles in the
form of ``vit-base.json`` and hosts of the two boards in any order, four of each: the slowest stage or transfer.
The last line is JSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.cluster import Link
from edgekit.costs import Costs, DeviceCost, UnitCost, nouns
from edgekit.front import Question
from partitioner.cuts.ideals import lattice, merged, serial_loads
from partitioner.solve.exact import solve
from partitioner.solve.labels import chains
from partitioner.solve.uniform_tables import uniform

MBIT = 1024 * 1024 / 8
"""Bytes per second of what PipeEdge calls a Mbps."""


def dnn_partitioning(path: Path, devices: int, cpus: int) -> dict[str, object]:
    """The optimal largest load of that many accelerators (and processors), and how long it took to find."""
    found = json.loads(path.read_text())
    numbers = {node["id"]: i for i, node in enumerate(found["nodes"])}
    edges = [(numbers[edge["sourceId"]], numbers[edge["destId"]]) for edge in found["edges"]]
    colours: dict[int, list[int]] = {}
    for i, node in enumerate(found["nodes"]):
        colours.setdefault(node["colorClass"], []).append(i)
    begin = time.perf_counter()
    group = np.array(merged(len(numbers), edges, colours.values()))
    send_s = np.zeros(len(numbers))
    for (source, _), edge in zip(edges, found["edges"], strict=True):
        send_s[source] = max(send_s[source], edge["cost"])
    places = lattice(int(group.max()) + 1, {(int(group[a]), int(group[b])) for a, b in edges if group[a] != group[b]})
    whole = places._replace(members=places.members[:, group])  # of the nodes themselves: each has a result of its own
    nbytes = whole.sums(values(found, "size"))
    fast = serial_loads(whole, values(found, "fpgaLatency"), send_s, edges)
    fast[whole.sums(1 - values(found, "supportedOnFpga")) > 0] = np.inf
    kinds = [(fast, nbytes, devices, found["maxSizePerFPGA"])]
    if cpus:
        kinds.append((serial_loads(whole, values(found, "cpuLatency"), send_s, edges), nbytes, cpus, np.inf))
    chosen = chains(uniform(kinds), ("period",))
    seconds = time.perf_counter() - begin
    best = chosen.costs[:, 1].min() if len(chosen.chains) else None
    print(f"{path.stem}, {devices} accelerators, {cpus} processors: largest load {best}, {len(places.members)} down-sets, {seconds:.2f} s")
    return {
        "file": path.name,
        "devices": devices,
        "cpus": cpus,
        "optimum": best,
        "ideals": len(places.members),
        "seconds": round(seconds, 3),
    }


def values(found: dict[str, list[dict[str, float]]], field: str) -> NDArray[np.float64]:
    return np.array([node[field] for node in found["nodes"]], np.float64)


def pipeedge(path: Path, reverse: bool) -> dict[str, object]:
    """The optimal bottleneck of four boards of each kind, listed in this order or the other."""
    found = json.loads(path.read_text())
    graph, boards = found["graph"], list(found["devices"].items())[:: -1 if reverse else 1]
    batch = boards[0][1]["batch_size"]
    units = tuple(
        UnitCost(f"u{i}", int(4 * batch * out), None, int(mem * 2**20))
        for i, (out, mem) in enumerate(zip(graph["parameters_out"], graph["mem_MB"], strict=True))
    )
    devices = tuple(
        DeviceCost(name.lower(), tuple(board["time_s"]), 4, memory_bytes=int(board["mem_MB"] * 2**20)) for name, board in boards
    )
    rates = {device.name: board["bw_Mbps"] * MBIT for device, (_, board) in zip(devices, boards, strict=True)}
    within = tuple(Link(a, b, 0.0, min(rates[a], rates[b])) for a in rates for b in rates)
    ends = (Link("client", "*", 0.0, 1e30), Link("*", "client", 0.0, 1e30))  # PipeEdge counts neither input nor result
    costs = Costs(units, devices, (*within, *ends), 4 * batch * graph["parameters_in"], name=path.stem)
    begin = time.perf_counter()
    network, cluster, profiles = nouns(costs)
    front = solve(network, cluster, profiles, objectives=("period",), question=Question("free"))
    seconds = time.perf_counter() - begin
    plan = front.plans[0]
    assert plan.predicted is not None
    listed = " and ".join(name for name, _ in boards)
    print(f"{path.stem} on four {listed}: {plan.predicted.period_s:.4f} s, found in {seconds:.2f} s\n  {plan.describe()}")
    known = {f"known_{name}": value for name, value in found.get("known", {}).get("hosts_4_plus_4", {}).items()}
    return {"file": path.name, "listed": listed, "optimum_s": plan.predicted.period_s, **known, "seconds": round(seconds, 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dnn-partitioning", type=Path, metavar="FILE")
    parser.add_argument("--devices", type=int, nargs="+", default=[2, 3, 4, 6, 8])
    parser.add_argument("--cpus", type=int, default=0)
    parser.add_argument("--pipeedge", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    results = []
    if arguments.dnn_partitioning:
        results += [dnn_partitioning(arguments.dnn_partitioning, devices, arguments.cpus) for devices in arguments.devices]
    if arguments.pipeedge:
        results += [pipeedge(arguments.pipeedge, reverse) for reverse in (False, True)]
    print(json.dumps(results[0] if len(results) == 1 else results))
    return 0 if results else 2


if __name__ == "__main__":
    sys.exit(main())
