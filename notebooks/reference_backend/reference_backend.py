"""A whole engine, to begin another one from: segments run in onnx's own interpreter, which is NumPy and no onnxruntime.

    [[devices]]
    name = "reference"
    variant = { engine = "reference" }

With this package installed beside edgekit on the device, such a device is profiled, planned for and deployed to like any
other. Its outputs are not onnxruntime's bit by bit, but within the tolerance of every deployment. It opens segments as
ONNX and so needs no builder; an engine with a compiler has one, by an entry point in the group ``edgekit.builders``.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from edgekit.device import Variant
from edgekit.graph import Tensor
from edgekit.runtime.engine.engine import Engine

__all__ = ["ENGINE", "ReferenceSegment", "open_segment"]

Arrays = Mapping[str, NDArray[np.generic]]


class ReferenceSegment:
    """A segment that is ready to be run."""

    def __init__(self, evaluator: ReferenceEvaluator, outputs: tuple[Tensor, ...]):
        self._evaluator = evaluator
        self._outputs = [tensor.name for tensor in outputs]

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame: what is computed is copied into the arrays of the caller, which go on to the next stage."""
        for name, value in zip(self._outputs, self._evaluator.run(self._outputs, dict(inputs)), strict=True):
            np.copyto(outputs[name], value)


def open_segment(model: Path, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> ReferenceSegment:
    """What edgekit calls, once in each stage process."""
    if variant.precision != "fp32":
        raise ValueError(f"expected precision fp32, got {variant.precision}")
    return ReferenceSegment(ReferenceEvaluator(onnx.load(model)), outputs)


ENGINE = Engine(open_segment, lambda variant: "cpu")
