"""The frames that a deployment is checked on, and what the unsplit network answers to them.

An output may be near zero for all of them: a Sigmoid far on its left, scores of a detector that sees nothing. Differences
that matter cannot be told there from rounding, so a frame is added whose inputs are so many times larger that they can.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import GraphError
from edgekit.graph import Graph
from edgekit.onnxio import Model, frames, refused
from edgekit.stages.equality import Scale
from edgekit.stages.magnitudes import scales

__all__ = ["Golden", "golden_frames"]

FRAMES = 4
LARGER = (8.0, 64.0, 512.0)
"""By how much inputs are enlarged, if need be."""

CLEAR = 10.0
"""An output shows what is wrong where its largest value is so many times what the tolerance makes of it."""

Arrays = Mapping[str, NDArray[np.generic]]
Run = Callable[[Arrays], Arrays]


class Golden(NamedTuple):
    """A frame, the unsplit network's answer to it, and what differences from it are measured by."""

    inputs: Arrays
    expected: Arrays
    scales: tuple[Scale, ...]


def golden_frames(
    graph: Graph,
    model: Model,
    run: Run,
    crossing: Iterable[str],
    tolerance: float,
    rounding: float,
    *,
    enlarge: bool = True,
) -> tuple[Golden, ...]:
    """Frames that were given, or made-up ones, and one on which outputs are not near zero where there is such.

    ``run``: answers a frame. ``crossing``: names of tensors besides the outputs that are compared.

    Raises:
        GraphError: the network does not run on a frame.
    """
    names = (*graph.outputs, *crossing)

    def answered(inputs: Sequence[Arrays]) -> list[Golden]:
        try:
            known = scales(graph, model, names, inputs, rounding)
            return [Golden(each, _outputs(run(each), graph), known) for each in inputs]
        except GraphError:
            raise
        except Exception as error:  # onnxruntime's errors share no base class
            raise GraphError(refused(model, error)) from error

    found = answered(frames(model, FRAMES))
    if enlarge and (dim := _dim(found, graph, tolerance)):
        for factor in LARGER:
            (larger,) = answered([_enlarged(found[0].inputs, factor)])
            finite = all(np.isfinite(values).all() for values in larger.expected.values() if values.dtype.kind == "f")
            if finite and not dim & _dim([larger], graph, tolerance):
                return (*found, larger)
    return tuple(found)


def _outputs(values: Arrays, graph: Graph) -> Arrays:
    return {name: values[name] for name in graph.outputs}


def _dim(golden: Sequence[Golden], graph: Graph, tolerance: float) -> set[str]:
    """The outputs that are too near zero in all frames to show much."""
    known = {scale.tensor: scale for scale in golden[0].scales}
    found = set()
    for name in known.keys() & set(graph.outputs):
        largest = max(float(np.abs(each.expected[name]).max(initial=0.0)) for each in golden)
        if not largest * CLEAR * tolerance >= known[name].allowed(tolerance):
            found.add(name)
    return found


def _enlarged(inputs: Arrays, factor: float) -> Arrays:
    return {
        name: (values.astype(np.float64) * factor).astype(values.dtype) if values.dtype.kind == "f" else values
        for name, values in inputs.items()
    }
