"""Does every optimised kernel find its original nodes? Every network at three levels of onnxruntime's graph optimisation.

    python benchmarks/mapping_coverage.py [--model NAME ...] [--json]

The networks of edgekit (where torch is installed) and the nine light models of the onnx package are optimised at levels
basic (1), extended (2) and all (99), and the kernels mapped back:

    claimed     original nodes that some kernel computes, each by one
    folded      original nodes that need no kernel: constants, identities, what no output depends on
    spanning    kernels that belong to several units
    coverage    optimised nodes that found units, or original ones that are claimed or folded, whichever share is less

Exit code 1 where a coverage is below 100 %. What is optimised away depends on the machine: run it where you deploy.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the models are those of the tests

import onnxruntime as ort

from edgekit.device import Variant
from edgekit.onnxio import kernel_nodes, normalise, read
from edgekit.runtime.engine.executor import open_session, session_options
from edgekit.runtime.verbs import KernelTime
from profilers.map.kernels import map_kernels
from tests.light import NAMES, shipped

__all__ = ["LEVELS", "Row", "check", "main", "optimize"]

LEVELS = {
    1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    2: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    99: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

TORCH = {"mobilenetv2": "mobilenetv2", "resnet18": "resnet", "resnet50": "resnet", "vit_tiny": "vit"}
"""Networks of edgekit, and the file that each is in."""


@dataclass(frozen=True)
class Row:
    """What was found for one model at one level."""

    model: str
    level: int
    original: int
    optimized: int
    claimed: int
    folded: int
    spanning: int
    coverage: float


def optimize(data: bytes, level: int) -> bytes:
    """A model as onnxruntime saves it after its optimisations up to ``level``; weights stay behind."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "net.onnx").write_bytes(data)
        options = session_options(Variant())
        options.graph_optimization_level = LEVELS[level]
        options.optimized_model_filepath = f"{folder}/optimized.onnx"
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.bin")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
        open_session(Path(folder, "net.onnx"), Variant(), options)
        return Path(folder, "optimized.onnx").read_bytes()


def check(name: str, data: bytes) -> Iterator[Row]:
    """One normalised model at every level; every kernel is taken to last a second."""
    graph = read(data)
    for level in LEVELS:
        nodes = kernel_nodes(optimize(data, level))
        mapping = map_kernels(graph, tuple(KernelTime(name=node.name, op=node.op, seconds=1.0) for node in nodes), nodes)
        counts = (len(graph.nodes), len(nodes), mapping.claimed, mapping.folded, mapping.spanning)
        yield Row(name, level, *counts, mapping.coverage)


def _torch(name: str) -> bytes:
    from edgekit.export import export

    return export(f"edgekit.networks.{TORCH[name]}:{name}")


def main() -> int:
    sources = {name: partial(_torch, name) for name in TORCH if find_spec("torch")}
    sources |= {f"light_{name}": lambda name=name: normalise(shipped(name).SerializeToString()) for name in NAMES}  # type: ignore[misc]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", choices=tuple(sources), help="only this one; may be given several times")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    began = time.perf_counter()
    rows = []
    if not arguments.json:
        print(f"{'model':20}{'level':>6}{'original':>10}{'optimised':>11}{'claimed':>9}{'folded':>8}{'spanning':>10}{'coverage':>10}")
    for name in arguments.model or sources:
        for row in check(name, sources[name]()):
            rows.append(row)
            if not arguments.json:
                counts = f"{row.original:10}{row.optimized:11}{row.claimed:9}{row.folded:8}{row.spanning:10}"
                print(f"{row.model:20}{row.level:6}{counts}{row.coverage:10.1%}", flush=True)
    if arguments.json:
        print(json.dumps({"format": "edgekit.mapping_coverage", "version": 1, "rows": [asdict(row) for row in rows]}))
    else:
        print(f"{sum(row.coverage == 1 for row in rows)} of {len(rows)} mapped whole, {time.perf_counter() - began:.0f} s")
    return 0 if all(row.coverage == 1 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
