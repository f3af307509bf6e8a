"""An engine whose frames take the times that they are told to: onnxruntime's run, stretched by sleeping.

Times have the mean and the coefficient of variation of the environment variables below, and are normally distributed: every forty frames
take forty quantiles of that distribution, shuffled anew, so that no run has luck with its draw.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.graph import Tensor
from edgekit.runtime.engine import sessions
from edgekit.runtime.engine.engine import Engine

QUANTILES = 40
MEAN_S, VARIATION = "EDGEKIT_VARYING_MEAN_S", "EDGEKIT_VARYING_CV"

Arrays = Mapping[str, NDArray[np.generic]]


class Varying:
    """A segment that is ready to be run."""

    def __init__(self, model: Path, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]):
        self._inner = sessions.open_model(model, Variant(), inputs, outputs)
        self._dice = np.random.default_rng(int(model.name[:8], 16))
        mean_s, variation = float(os.environ[MEAN_S]), float(os.environ[VARIATION])
        normal = np.array([NormalDist().inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES)])
        self._times_s = mean_s * (1 + variation * normal / normal.std())
        self._drawn_s: list[float] = []

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame."""
        end_s = time.perf_counter() + self._next_s()
        self._inner.run(inputs, outputs)
        time.sleep(max(end_s - time.perf_counter(), 0.0))

    def _next_s(self) -> float:
        self._drawn_s = self._drawn_s or self._dice.permutation(self._times_s).tolist()
        return self._drawn_s.pop()


def open_segment(model: Path, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> Varying:
    """What a stage process calls once."""
    return Varying(model, inputs, outputs)


ENGINE = Engine(open_segment, lambda variant: "npu")  # it waits for most of its time, as for an accelerator
