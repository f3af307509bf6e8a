"""Does a network compute the same when it is cut? Every cut of the nine light models of the onnx package.

    python benchmarks/cut_equality.py [--model NAME ...] [--json]

For each model: as shipped it gives the output that the onnx package expects; then its weights are replaced by He-scaled
random ones, so that the output depends on the input and differences show. That network is imported, and at every cut
candidate both halves run one after the other, the second on nothing but what crosses the cut. The worst difference to
the unsplit run of the network before its import is relative to the largest magnitude of the output.

Exit code 1 where a promise is missed: a difference above 1e-4, or an output that does not depend on the input.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the models are those of the tests

from edgekit import onnxio
from edgekit.graph import Graph
from edgekit.onnxio import Model
from tests.light import (
    NAMES,
    expected_output,
    he_scaled,
    inputs_for,
    run,
    run_halves,
    shipped,
    shipped_inputs,
    worst_difference,
)

__all__ = ["TOLERANCE", "Row", "check", "main", "sweep"]

TOLERANCE = 1e-4
"""Of the largest magnitude of a tensor, in fp32: kernels may be chosen anew where a cut separates fused operators."""


@dataclass(frozen=True)
class Row:
    """What was found for one model."""

    model: str
    nodes: int
    units: int
    cuts: int
    shipped_difference: float
    input_dependence: float
    worst_difference: float
    bit_equal: int
    seconds: float

    @property
    def kept(self) -> bool:
        """Whether every promise held."""
        return max(self.shipped_difference, self.worst_difference) <= TOLERANCE and self.input_dependence > 10 * TOLERANCE


def check(name: str, most: int | None = None) -> Row:
    """One model at every cut candidate, or at ``most`` of them, evenly spread."""
    began = time.perf_counter()
    original = shipped(name)
    (output,) = run(original, shipped_inputs(original)).items()
    shipped_difference = worst_difference({output[0]: expected_output(name)}, dict([output]))
    network = he_scaled(original)
    frame = inputs_for(network, 1)
    whole, other = run(network, frame), run(network, inputs_for(network, 2))
    model = onnxio.load(onnxio.normalise(network.SerializeToString()))
    graph = onnxio.read(model)
    positions = graph.candidates if most is None else _spread(graph.candidates, most)
    differences = sweep(model, graph, positions, frame, whole)
    return Row(
        name,
        len(graph.nodes),
        len(graph.units),
        len(positions),
        shipped_difference,
        worst_difference(whole, other),
        max(differences),
        differences.count(0.0),
        time.perf_counter() - began,
    )


def sweep(model: Model, graph: Graph, positions: tuple[int, ...], frame: dict, whole: dict) -> list[float]:  # type: ignore[type-arg]
    """The difference between both halves and the whole, at each position."""
    return [worst_difference(whole, run_halves(model, graph, position, frame)) for position in positions]


def _spread(candidates: tuple[int, ...], most: int) -> tuple[int, ...]:
    step = max(1, -(-len(candidates) // most))
    return candidates[step // 2 :: step]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", choices=NAMES, help="only this one; may be given several times")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    rows = []
    if not arguments.json:
        print(f"{'model':14}{'nodes':>6}{'units':>6}{'cuts':>6}{'shipped':>10}{'depends':>10}{'worst':>10}{'bit-equal':>11}{'seconds':>9}")
    for name in arguments.model or NAMES:
        row = check(name)
        rows.append(row)
        if not arguments.json:
            print(
                f"{row.model:14}{row.nodes:6}{row.units:6}{row.cuts:6}{row.shipped_difference:10.1e}{row.input_dependence:10.1e}"
                f"{row.worst_difference:10.1e}{f'{row.bit_equal}/{row.cuts}':>11}{row.seconds:9.1f}",
                flush=True,
            )
    if arguments.json:
        print(json.dumps({"format": "edgekit.cut_equality", "version": 1, "tolerance": TOLERANCE, "rows": [asdict(row) for row in rows]}))
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
