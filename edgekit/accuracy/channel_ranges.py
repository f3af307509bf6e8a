"""The ranges of what crosses cuts, seen on frames in folds, so that each frame can be judged with what the others gave.

frames       0 1 2 3 4 5 6 7 8 9 …
fold         0 1 2 3 4 0 1 2 3 4 …       the ranges for frame 7 are those of all folds but the third
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.graph import Graph, Tensor
from edgekit.plan import Plan, Stage, chain
from edgekit.range import LEAST_SCALE, STEPS, Range

__all__ = ["FOLDS", "Spread", "channel_axis", "everywhere", "observe", "range_of"]

FOLDS = 5

FINER = 256
"""Steps of a channel are at most so many times finer than those of the widest: one that was silent still has some room."""

MOST_CHANNELS = 4096
"""Beyond that, ranges weigh more in a plan than the codec spares."""

CONVOLVED = frozenset({"AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "InstanceNormalization", "MaxPool"})
"""Operators whose channels lie along the axis after the batch."""

Arrays = Mapping[str, NDArray[np.generic]]
Floats = NDArray[np.float32]


class Spread(NamedTuple):
    """The least and the largest value of each channel of a tensor in each fold, [F, C] both."""

    tensor: Tensor
    axis: int
    low: Floats
    high: Floats

    @property
    def range(self) -> Range | None:
        """Of all frames; None: not all values are finite."""
        return range_of(self.tensor, self.axis, self.low, self.high)

    def without_each(self) -> Iterator[Range | None]:
        """For each fold the range that the others give; of a single one there are no others."""
        for fold in range(len(self.low)):
            others = np.arange(len(self.low)) != fold if len(self.low) > 1 else slice(None)
            yield range_of(self.tensor, self.axis, self.low[others], self.high[others])


def everywhere(graph: Graph, device: str) -> Plan:
    """The plan that is cut wherever the graph can be, so that all that crosses a cut is seen."""
    bounds = (0, *graph.candidates, len(graph.units))
    return chain(graph, tuple(Stage(start, stop, (device,)) for start, stop in pairwise(bounds)))


def observe(graph: Graph, run: Callable[[Arrays], Arrays], frames: Sequence[Arrays]) -> dict[str, Spread]:
    """What each tensor in fp32 that crosses a cut was seen to hold, by its name; ``run`` gives all of them."""
    crossing = {tensor.name: tensor for position in graph.candidates for tensor in graph.cuts[position].tensors}
    axes = {name: channel_axis(graph, tensor) for name, tensor in crossing.items() if tensor.dtype == "float32"}
    known = {name: axis for name, axis in axes.items() if axis is not None}
    folds = FOLDS if len(frames) >= FOLDS else 1  # too few to keep any out
    shapes = {name: (folds, (crossing[name].shape or ())[axis]) for name, axis in known.items()}
    found = {
        name: Spread(crossing[name], axis, np.full(shapes[name], np.inf, np.float32), np.full(shapes[name], -np.inf, np.float32))
        for name, axis in known.items()
    }
    for number, frame in enumerate(frames):
        values = run(frame)
        for spread in found.values():
            held = np.moveaxis(values[spread.tensor.name], spread.axis, -1).reshape(-1, spread.low.shape[1])
            fold = number % folds
            spread.low[fold] = np.minimum(spread.low[fold], held.min(0))
            spread.high[fold] = np.maximum(spread.high[fold], held.max(0))
    return found


def range_of(tensor: Tensor, axis: int, low: Floats, high: Floats) -> Range | None:
    """256 steps over what each channel may hold, zero among them so that it stays what it is; None: values are not finite.

    ``low``, ``high``: [F, C], the least and the largest value of each channel in each fold of the data. What is not seen yet
    reaches further than what is: the ranges of all channels are widened by twice the share by which the fold that reaches
    furthest exceeds the next one, on average over the channels.

    >>> range_of(Tensor("x", (1, 2, 8, 8), "float32"), 1, np.float32([[0, -2]]), np.float32([[127.5, 253]]))
    Range(tensor='x', axis=1, channels=((0.5, 0), (1.0, 2)))
    """
    ends = np.sort(np.concatenate([-np.minimum(low, 0), np.maximum(high, 0)], axis=1).astype(np.float64), axis=0)
    if not np.isfinite(ends).all():
        return None
    reach = ends[-1]
    if len(ends) > 1 and reach.any():
        reach = reach * (1 + 2 * (ends[-1] - ends[-2]).sum() / reach.sum())
    below, above = np.split(reach, 2)
    widths = (below + above) / STEPS
    scales = np.maximum(widths, max(widths.max() / FINER, LEAST_SCALE)).astype(np.float32)
    zeros = np.clip(np.round(below / scales), 0, STEPS).astype(int)
    return Range(tensor.name, axis, tuple(zip(scales.tolist(), zeros.tolist(), strict=True)))


def channel_axis(graph: Graph, tensor: Tensor) -> int | None:
    """The axis along which values differ in kind, and so in range.

    That is 1 of images (N, C, H, W) and of features (N, C), and the last of tokens (N, T, C): three axes are taken for those of
    tokens unless something convolves along the last. None: there is no such axis, nothing along it, or too much.
    """
    shape = tensor.shape or ()
    axis = min(1, len(shape) - 1)
    if len(shape) == 3 and not any(tensor.name in (*node.inputs, *node.outputs) for node in graph.nodes if node.op in CONVOLVED):
        axis = 2
    return axis if shape and 0 not in shape and shape[axis] <= MOST_CHANNELS else None
