"""Where a network in another precision loses most: its tensors compared with those of the network it was made of."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit import onnxio
from edgekit.device import Variant
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.runtime.engine.executor import open_session

__all__ = ["Culprit", "culprits"]

ROUNDED = "{}_DequantizeLinear_Output"
"""What onnxruntime calls a tensor once it has been through eight bits."""

Frames = Sequence[Mapping[str, NDArray[np.generic]]]


class Culprit(NamedTuple):
    """A tensor, the operator that makes it, and its error over its deviation: of what it is made from, and its own."""

    tensor: str
    op: str
    before: float
    after: float

    def __str__(self) -> str:
        return f"{self.tensor} ({self.op}, {self.before:.1%} → {self.after:.1%})"


def culprits(model: Model, made: Model, frames: Frames, *, most: int = 3) -> list[Culprit]:
    """The tensors at which the error grows most, in the order of the network."""
    graph, other = onnxio.read(model), onnxio.read(made)
    errors = _errors(model, made, _alike(graph, other), frames)
    known: dict[str, float] = {}
    found = []
    for node in graph.nodes:
        before = max((known.get(name, 0.0) for name in node.inputs), default=0.0)
        for name in node.outputs:
            known[name] = errors.get(name, before)
            if known[name] > before:
                found.append(Culprit(name, node.op, before, known[name]))
    worst = set(sorted(found, key=lambda each: each.before - each.after)[:most])
    return [each for each in found if each in worst]


def _alike(graph: Graph, other: Graph) -> dict[str, str]:
    """The tensors that both have, with what the other one calls them."""
    floats = {t.name: t for t in graph.tensors if t.dtype == "float32" and t.travels and t.name in graph.makers}
    same = {t.name for t in other.tensors if t.travels and t.dtype == "float32" and t.name in other.makers}
    found = {name: ROUNDED.format(name) if ROUNDED.format(name) in same else name for name in floats}
    return {name: called for name, called in found.items() if called in same and floats[name].shape == other.tensor(called).shape}


def _errors(model: Model, made: Model, names: Mapping[str, str], frames: Frames) -> dict[str, float]:
    """Root of the mean square of the differences over the standard deviation, of each tensor."""
    ours, theirs = (open_session(onnxio.exposed(each, called), Variant()) for each, called in ((model, names), (made, names.values())))
    sums = {name: np.zeros(4) for name in names}  # squared differences, values, squared values, count
    for frame in frames:
        want, got = ours.run([*names], dict(frame)), theirs.run([*names.values()], dict(frame))
        for name, left, right in zip(names, got, want, strict=True):
            values, apart = right.astype(np.float64), left.astype(np.float64) - right
            finite = np.isfinite(values) & np.isfinite(apart)
            values, apart = values[finite], apart[finite]
            sums[name] += np.array([(apart**2).sum(), values.sum(), (values**2).sum(), values.size])
    return {name: _error(*map(float, held)) for name, held in sums.items()}


def _error(squares: float, total: float, powers: float, count: float) -> float:
    if not count or not squares:
        return 0.0
    variance = max(powers / count - (total / count) ** 2, 1e-12 * powers / count)
    return float(np.sqrt(squares / count / variance)) if variance else 1.0
