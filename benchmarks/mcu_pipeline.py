"""Claim: a microcontroller is a stage like any other: no frame is lost, comes twice or wrong, and its cost is predicted.

    python benchmarks/mcu_pipeline.py [MODEL.onnx] [--cut 8,12] [--frames 200] [--window 4] [--insn-per-s 25e6]

A board in QEMU computes the head of the network, a device of this machine its middle, and a machine over SSH (a network namespace with
its own sshd) its tail. Each frame has other numbers, and its result is compared, bit for bit, with the stages one after the other in
this process, where the board's is computed by its reference in NumPy. After a third of the frames the board is reset; after two thirds
its line is cut for five seconds. The tensors that leave the board are outputs of the network here, so that they are compared too.

Printed: what was predicted and what was measured, of the board's compute in instructions, and of the period, which is the median time
between two results. The last line is JSON. Exit code 1 where a frame was lost, came twice or wrong, where the instructions differ by
more than 0.5 %, or the period by more than 10 %. Needs root, sshd, qemu-system-arm, and the cross compiler.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # the board and the machine are those of the tests

import numpy as np
import pytest

from devices.mcu.blob import blob_of
from devices.mcu.boards import board
from devices.mcu.compiler import compile_segment
from devices.mcu.firmware_image import image
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.device import Device
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.plan import Plan, Stage, chain
from edgekit.profiles import Profiles
from edgekit.stages.composed_run import Composed
from edgekit.stages.parts import part
from tests.cabled_board import CabledBoard, cabled
from tests.deploy.bed import pid_of
from tests.devices.mcu.onnx_networks import DATA, exposed
from tests.sshbed import bed

BOARD = "mps2-an386"
CUT_S = 5.0
MOST_INSTRUCTIONS, MOST_PERIOD = 0.005, 0.1

Arrays = Mapping[str, np.ndarray]


class Bench(NamedTuple):
    """A plan on its devices, with what it is predicted to cost."""

    plan: Plan
    graph: Graph
    model: Model
    cluster: Cluster


class Tally(NamedTuple):
    """What became of the frames."""

    results: Counter[int]
    wrong: int
    done_s: list[float]
    instructions: int
    processes: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=DATA / "resnet8_quant.onnx")
    parser.add_argument("--cut", default="8,12", help="units before which the network is cut")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--insn-per-s", type=float, default=board(BOARD).insn_per_s, help="less than the emulator here keeps up with")
    arguments = parser.parse_args()
    cuts = [int(each) for each in arguments.cut.split(",")]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        net = Path(folder, "net.onnx")
        api.export(_exposed(arguments.model, cuts[0], Path(folder)), net)
        elf = image(board(BOARD), weights=blob_of([compile_segment(net.read_bytes())])).elf
        with bed(Path(folder), patch) as lab, cabled(board(BOARD), elf) as mcu:
            devices = (Device("mcu", f"serial:{mcu.port}", insn_per_s=arguments.insn_per_s), Device("near"), lab.board("far").device())
            bench = planned(net, devices, cuts)
            tally = streamed(bench, mcu, arguments.frames, arguments.window)
    found = summary(bench, tally, arguments.frames)
    print(json.dumps(found))
    return 0 if found["passed"] else 1


def _exposed(path: Path, cut: int, folder: Path) -> Path:
    """The network with the tensors that cross a cut as outputs."""
    api.export(path, folder / "plain.onnx")
    graph, model = api.load(folder / "plain.onnx")
    names = [tensor.name for tensor in graph.cuts[cut].tensors]
    (folder / "exposed.onnx").write_bytes(exposed(model.serialized, names))
    return folder / "exposed.onnx"


def planned(net: Path, devices: Sequence[Device], cuts: Sequence[int]) -> Bench:
    """Profile all devices, and predict the plan."""
    graph, model = api.load(net)
    cluster = Cluster(tuple(devices), (Link(ANY, ANY, 0.0005, 12.5e6),), name="bench")
    begin = time.monotonic()
    profiles: Profiles = api.profile(graph, model, cluster, budget_s=0.5)
    print(f"profiled in {time.monotonic() - begin:.0f} s; {profiles['mcu'].line}", flush=True)
    bounds = (0, *cuts, len(graph.units))
    stages = [Stage(bounds[i], bounds[i + 1], (each.name,), profiles[each.name].variant) for i, each in enumerate(devices)]
    plan = api.predict(chain(graph, tuple(stages)), graph, cluster, profiles)
    return Bench(plan, graph, model, cluster)


def streamed(bench: Bench, mcu: CabledBoard, count: int, window: int) -> Tally:
    """Send all frames, and disturb the board on the way."""
    composed = Composed(part(bench.plan, bench.graph, bench.model, bench.cluster, "reference"))
    frames = [drawn(bench.graph, seed) for seed in range(count)]
    results: Counter[int] = Counter()
    got: list[tuple[int, Arrays]] = []
    done_s: list[float] = []
    pids = set()
    with api.deploy(bench.plan, bench.graph, bench.model, bench.cluster) as pipeline, pipeline.client() as client:
        print(f"deployed: {pipeline.equality}", flush=True)
        for result in client.stream(frames, window=window):
            results[result.frame] += 1
            done_s.append(result.done_s)
            got.append((result.frame, {name: np.array(value) for name, value in result.value().items()}))
            if result.frame in (0, 2 * count // 3, count - 1):
                pids.add(pid_of(pipeline, 0))
            if result.frame == count // 3:
                mcu.reset()
                print(f"frame {result.frame}: the board is reset", flush=True)
            if result.frame == 2 * count // 3:
                mcu.cut(CUT_S)
                print(f"frame {result.frame}: the line is cut for {CUT_S:g} s", flush=True)
        counted = instructions(pipeline, bench)
    # afterwards, so that the cable, which is a thread of this process, has no work beside it
    wrong = sum(not _same(values, composed.run(frames[frame])) for frame, values in got)
    return Tally(results, wrong, done_s, counted, len(pids))


def _same(got: Arrays, want: Arrays) -> bool:
    return all(np.array_equal(value, want[name]) for name, value in got.items())


def drawn(graph: Graph, seed: int) -> Arrays:
    draw = np.random.default_rng(seed)
    return {each.name: draw.integers(-128, 128, each.shape).astype(each.dtype) for each in graph.cuts[0].tensors}


def instructions(pipeline: Pipeline, bench: Bench) -> int:
    """What the board counted for a frame, as its stage process tells it in seconds at the declared rate."""
    (status,) = pipeline.logs(spans=16)["mcu"].stages
    return round(statistics.median(end - begin for begin, end in status.boards) * rate(bench))


def rate(bench: Bench) -> float:
    found = bench.cluster.device("mcu").insn_per_s
    assert found is not None
    return found


def summary(bench: Bench, tally: Tally, count: int) -> dict[str, object]:
    cost = bench.plan.predicted
    assert cost is not None
    gaps = [after - before for before, after in zip(tally.done_s, tally.done_s[1:], strict=False)]
    compute_s = next(term.seconds for term in cost.terms if term.name == "compute 0@mcu")
    predicted, period_s = round(compute_s * rate(bench)), statistics.median(gaps)
    off = {"instructions": predicted / tally.instructions - 1, "period": cost.period_s / period_s - 1}
    print(f"instructions: predicted {predicted}, measured {tally.instructions}, {off['instructions']:+.2%}")
    print(f"period: predicted {cost.period_s:.4f} s, measured {period_s:.4f} s, {off['period']:+.2%}; worst gap {max(gaps):.1f} s")
    lost = count - len(tally.results)
    duplicated = sum(tally.results.values()) - len(tally.results)
    close = abs(off["instructions"]) <= MOST_INSTRUCTIONS and abs(off["period"]) <= MOST_PERIOD
    return {
        "frames": count,
        "lost": lost,
        "duplicated": duplicated,
        "wrong": tally.wrong,
        "stage_processes": tally.processes,
        "instructions": [predicted, tally.instructions],
        "period_s": [round(cost.period_s, 4), round(period_s, 4)],
        "worst_gap_s": round(max(gaps), 2),
        "passed": not (lost or duplicated or tally.wrong) and close,
    }


if __name__ == "__main__":
    sys.exit(main())
