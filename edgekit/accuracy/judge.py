"""A judge measures accuracy: it holds frames, the outputs of the unsplit network for them, and labels where they exist."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.accuracy.output_error import difference
from edgekit.device import Variant
from edgekit.errors import FrameError, GraphError, UsageError
from edgekit.frame_files import read_frames
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.runtime.engine.executor import open_session

__all__ = ["Judge", "Run"]

Arrays = Mapping[str, NDArray[np.generic]]
Run = Callable[[Arrays], Arrays]
"""A way to run the network on a frame."""

Measure = Literal["error", "disagreement", "rms"]


class Judge:
    """Frames, what the unsplit network makes of them, and what they are, where that is known.

    ``measure``: how accuracy is told: by wrong answers where there are labels, by other answers where outputs look like class
    scores, else by the size of the differences.

    Raises:
        FrameError: the data does not fit the network's inputs, or the labels do not fit the data.
        UsageError: there are labels, but no scores that they could be held against.
    """

    def __init__(self, graph: Graph, model: Model, data: str | Path, *, labels: str | Path | None = None):
        self.graph, self.model = graph, model
        self.frames = [frame for _, frame in read_frames(str(data), graph.cuts[0].tensors)]
        self._names = [tensor.name for tensor in graph.cuts[-1].tensors if tensor.dtype.startswith("float")]
        session = open_session(model.serialized, Variant())
        self._want = self._outputs([lambda frame: dict(zip(self._names, session.run(self._names, dict(frame)), strict=True))])
        scored = all(difference(name, held, held).agreement is not None for name, held in self._want.items())
        self._labels = _labels(labels, len(self.frames)) if labels is not None else None
        if self._labels is not None and not (scored and len(self._names) == 1):
            raise UsageError(f"labels need one output of class scores, {graph.name} has {', '.join(graph.outputs)}; leave --labels out")
        self.measure: Measure = "error" if self._labels is not None else "disagreement" if scored and self._names else "rms"

    @property
    def right(self) -> float | None:
        """The share of frames that the unsplit network tells right; None: there are no labels."""
        return None if self._labels is None else 1 - self._wrong(self._want)

    def loss(self, run: Run) -> float | None:
        """What another way to run the network loses; None: it makes values that are no longer finite."""
        return self.loss_in_folds([run], 1)

    def loss_in_folds(self, runs: Iterable[Run], folds: int) -> float | None:
        """The same where each fold of the frames, as ``observe`` has them, is run in a way of its own; one is made at a time."""
        got = self._outputs(runs, folds)
        try:
            found = [difference(name, got[name], want) for name, want in self._want.items()]
        except GraphError:
            return None
        if self._labels is not None:
            return max(0.0, self._wrong(got) - self._wrong(self._want))
        if self.measure == "disagreement":
            return max(1.0 - (each.agreement or 0.0) for each in found)
        return max((each.rms for each in found), default=0.0)

    def _outputs(self, runs: Iterable[Run], folds: int = 1) -> dict[str, list[NDArray[np.generic]]]:
        found: list[Arrays] = [{}] * len(self.frames)
        for fold, run in enumerate(runs):
            found[fold::folds] = [{name: outputs[name] for name in self._names} for outputs in map(run, self.frames[fold::folds])]
        return {name: [each[name] for each in found] for name in self._names}

    def _wrong(self, outputs: Mapping[str, list[NDArray[np.generic]]]) -> float:
        scores = np.stack([held.reshape(-1) for held in outputs[self._names[0]]])
        return float(np.mean(scores.argmax(-1) != self._labels))


def _labels(path: str | Path, count: int) -> NDArray[np.int64]:
    try:
        held = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FrameError(f"{path}: expected an .npy file of class numbers ({error}); save it with numpy.save") from error
    if not isinstance(held, np.ndarray) or held.shape != (count,) or held.dtype.kind not in "iu":
        raise FrameError(f"{path}: expected {count} class numbers, one for each frame; save them with numpy.save as one row of integers")
    return held.astype(np.int64)
