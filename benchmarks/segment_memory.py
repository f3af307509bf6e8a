"""Claim: of a segment that was never measured, load peak and run peak are predicted, and with the margin never too low.

    python benchmarks/segment_memory.py [--network NAME ...] [--segments N] [--json]

Of each network the whole is measured on a local device, as a profile does; then segments of it are predicted from that alone and
measured, each in a fresh stage process. All sizes are of the whole process, its base included.

    weights     of the segment, each counted once           live    activations that are alive at once: no arena is smaller
    arena       greedy-by-size packing of their lifetimes   load, run    predicted / measured peak, in MB

The coefficients of edgekit/stages/onnxruntime_memory.py and their margin were chosen on
mobilenetv2, resnet18, vit_tiny, light_squeezenet and light_inception_v1. Afterwards light_zfnet512
and light_bvlc_alexnet showed that what is added for the largest weight holds of convolutions alone,
and light_densenet121 that it holds while running, too; the margin stayed as it was. The networks
that are measured here by default had no part in any of this.

Exit code 1 where a measured peak exceeds the predicted one with its margin.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))  # the models are those of the tests

from msgspec import structs

from devices.connection import Connection
from devices.local import connect
from edgekit.device import Device, Variant
from edgekit.graph import Graph
from edgekit.graph.arena import lifetimes, live_bytes, packed_bytes
from edgekit.onnxio import Model, load, normalise, read
from edgekit.profile import Profile, SegmentTime
from edgekit.stages.artifact import build, upload
from edgekit.stages.onnxruntime_memory import ONNXRUNTIME_MEMORY
from partitioner.footprints import Footprints
from profilers.measure.measured_conditions import conditions_of
from profilers.measure.segments import request_for, summarize
from tests.light import NAMES, prepared

if TYPE_CHECKING:
    from edgekit.networks.vit import VisionTransformer

__all__ = ["Row", "check", "main", "vit_small"]

TORCH = {"mobilenetv2": "mobilenetv2", "resnet18": "resnet", "resnet50": "resnet", "vit_tiny": "vit", "vit_small": ""}
"""Networks of edgekit, and the file that each is in."""

UNSEEN = ("resnet50", "vit_small", "light_inception_v2", "light_shufflenet", "light_vgg19")
RUNS = 3


@dataclass(frozen=True)
class Row:
    """One segment: what was predicted from the whole network, and what its own process took."""

    network: str
    start: int
    stop: int
    weight_bytes: int
    live_bytes: int
    arena_bytes: int
    base_bytes: int
    load_bytes: int
    run_bytes: int
    load_measured_bytes: int
    run_measured_bytes: int

    @property
    def pairs(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Predicted and measured, of loading and of running."""
        return (self.load_bytes, self.load_measured_bytes), (self.run_bytes, self.run_measured_bytes)

    def capped(self, predicted: int) -> float:
        """With the margin."""
        return self.base_bytes + (1 + ONNXRUNTIME_MEMORY.margin) * (predicted - self.base_bytes)


def measure(connection: Connection, graph: Graph, model: Model, start: int, stop: int) -> tuple[SegmentTime, int, int]:
    """A segment in a process of its own; and the base and the libraries of that."""
    digest = upload(build(model, graph, start, stop, Variant()), connection)
    request = request_for(graph, graph.segment(start, stop), digest, connection, Variant(), 0.0)
    measured, _ = connection.measure(structs.replace(request, least=RUNS))
    return summarize(start, stop, [measured]), measured.base_bytes, measured.library_bytes


def check(name: str, data: bytes, connection: Connection, count: int) -> Iterator[Row]:
    """Segments of one network: its quarters and halves, and others at random."""
    model = load(data)
    graph = read(model)
    whole, base, library = measure(connection, graph, model, 0, len(graph.units))
    facts = connection.facts()
    conditions = conditions_of(connection, facts, facts, (), Variant())
    profile = Profile(graph.digest, "local", len(graph.units), Variant(), conditions, (), (whole,), base_bytes=base, library_bytes=library)
    load_peaks, run_peaks = Footprints(graph).predicted(profile)
    for start, stop in _segments(name, graph, count):
        found, base, _ = measure(connection, graph, model, start, stop)
        if found.load_peak_bytes is None or found.run_peak_bytes is None:
            sys.exit("this kernel does not let a peak be forgotten (/proc/self/clear_refs), so the two cannot be told apart")
        tensors = lifetimes(graph, start, stop)
        yield Row(
            name,
            start,
            stop,
            graph.segment(start, stop).weight_bytes,
            live_bytes(tensors),
            packed_bytes(tensors),
            profile.base_bytes,
            round(load_peaks[start, stop]),
            round(run_peaks[start, stop]),
            found.load_peak_bytes,
            found.run_peak_bytes,
        )


def _segments(name: str, graph: Graph, count: int) -> list[tuple[int, int]]:
    positions = (0, *graph.candidates, len(graph.units))
    last = len(positions) - 1
    chosen = {(0, last // 2), (last // 2, last), (0, last // 4), (last // 4, last // 2), (last * 3 // 4, last)}
    dice = random.Random(name)
    while len(chosen) < count:
        start, stop = sorted(dice.sample(range(last + 1), 2))
        chosen.add((start, stop))
    found = [(positions[start], positions[stop]) for start, stop in sorted(chosen)]
    return [pair for pair in found if pair != (0, len(graph.units)) and graph.segment(*pair).outputs]


def vit_small() -> "VisionTransformer":
    """ViT-S/32: twice as wide as the one of edgekit, and with a quarter of its patches."""
    from edgekit.networks.vit import vit_tiny

    return vit_tiny(patch=32, dim=384, heads=6)


def _torch(name: str) -> bytes:
    from edgekit.export import export

    if name == "vit_small":
        return export(f"{Path(__file__).stem}:{name}")
    return export(f"edgekit.networks.{TORCH[name]}:{name}")


def _light(name: str) -> bytes:
    return normalise(prepared(name).SerializeToString())


def _summary(rows: list[Row]) -> dict[str, object]:
    pairs = [(row, predicted, measured) for row in rows for predicted, measured in row.pairs]
    error = [abs(predicted - measured) / measured for _, predicted, measured in pairs]
    capped = [row.capped(predicted) / measured - 1 for row, predicted, measured in pairs]
    return {
        "format": "edgekit.segment_memory",
        "version": 1,
        "networks": len({row.network for row in rows}),
        "segments": len(rows),
        "mean_error_load": sum(error[::2]) / len(rows),
        "mean_error_run": sum(error[1::2]) / len(rows),
        "mean_error": sum(error) / len(error),
        "worst_under": max(0.0, *(1 - predicted / measured for _, predicted, measured in pairs)),
        "under": sum(predicted < measured for _, predicted, measured in pairs),
        "margin": ONNXRUNTIME_MEMORY.margin,
        "under_after_margin": sum(share < 0 for share in capped),
        "mean_over_after_margin": sum(capped) / len(capped),
        "least_over_after_margin": min(capped),
    }


def main() -> int:
    sources: dict[str, Callable[[], bytes]] = {name: partial(_torch, name) for name in TORCH}
    sources |= {f"light_{name}": partial(_light, name) for name in NAMES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=tuple(sources), help="instead of those that had no part in the choice")
    parser.add_argument("--segments", type=int, default=8, help="of each network")
    parser.add_argument("--json", action="store_true", help="every row as JSON too")
    arguments = parser.parse_args()
    rows = []
    columns = ("weights", "live", "arena", "load", "", "run", "")
    print(f"{'MB':20}{'units':>11}" + "".join(f"{name:>9}" for name in columns))
    with connect(Device("local")) as connection:
        for name in arguments.network or UNSEEN:
            for row in check(name, sources[name](), connection, arguments.segments):
                rows.append(row)
                sizes = (row.weight_bytes, row.live_bytes, row.arena_bytes, *(nbytes for pair in row.pairs for nbytes in pair))
                print(f"{name:20}{f'[{row.start},{row.stop})':>11}" + "".join(f"{nbytes / 1e6:9.1f}" for nbytes in sizes), flush=True)
    summary = _summary(rows)
    print(json.dumps(summary | ({"rows": [asdict(row) for row in rows]} if arguments.json else {})))
    return 1 if summary["under_after_margin"] else 0


if __name__ == "__main__":
    sys.exit(main())
