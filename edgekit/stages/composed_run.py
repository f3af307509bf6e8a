"""The stages of a plan one after the other in this process: what a pipeline of them gives, codecs included."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.onnxio import Model
from edgekit.plan import Plan
from edgekit.stages.parts import Part
from edgekit.stages.reference_run import has_reference, reference_run

__all__ = ["Composed", "as_unsplit"]

Arrays = Mapping[str, NDArray[np.generic]]


def as_unsplit(plan: Plan, model: Model) -> bool:
    """Whether a plan computes and sends all as the unsplit network does: raw, in no twin's precision, by no engine's own reference."""
    variants = [stage.variant for stage in plan.stages]
    own = any(variant.precision in model.twins or has_reference(variant.engine) for variant in variants)
    return not plan.coded and not own


class Composed:
    """Models that are loaded, one for each stage."""

    def __init__(self, parts: Sequence[Part]):
        self._stages = [reference_run(part.artifact) for part in parts if part.spec.replica == 0]

    def run(self, frame: Arrays) -> Arrays:
        """All that a frame's inputs give, by name: outputs, and whatever travels between stages."""
        known = dict(frame)
        for stage in self._stages:
            known |= stage(known)
        return known
