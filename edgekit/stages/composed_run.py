"""The stages of a plan one after the other in this process: what a pipeline of them gives, codecs included."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.onnxio import Model
from edgekit.plan import Plan
from edgekit.runtime.engine.sessions import open_session
from edgekit.stages.parts import Part

__all__ = ["Composed", "as_unsplit"]

Arrays = Mapping[str, NDArray[np.generic]]


def as_unsplit(plan: Plan, model: Model) -> bool:
    """Whether a plan computes and sends everything as the unsplit network does: raw, and in no twin's precision."""
    return not plan.coded and all(stage.variant.precision not in model.twins for stage in plan.stages)


class Composed:
    """Models that are loaded, one for each stage."""

    def __init__(self, parts: Sequence[Part]):
        self._stages = [(part.spec, open_session(part.artifact.onnx, Variant())) for part in parts if part.spec.replica == 0]

    def run(self, frame: Arrays) -> Arrays:
        """All that a frame's inputs give, by name: outputs, and whatever travels between stages."""
        known = dict(frame)
        for spec, session in self._stages:
            names = [tensor.name for tensor in spec.outputs]
            values = session.run(names, {tensor.name: known[tensor.name] for tensor in spec.inputs})
            known |= dict(zip(names, values, strict=True))
        return known
