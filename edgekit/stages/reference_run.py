"""What a stage has to compute: by the reference of its engine, bit for bit, or else by onnxruntime, within tolerances."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.runtime.engine.sessions import open_session
from edgekit.stages.artifact import Artifact
from edgekit.stages.builders import builder_of

__all__ = ["has_reference", "reference_run"]

Arrays = Mapping[str, NDArray[np.generic]]


def has_reference(engine: str) -> bool:
    """Whether an engine has to compute what its own reference does, to the last bit."""
    return builder_of(engine).reference is not None


def reference_run(artifact: Artifact) -> Callable[[Arrays], Arrays]:
    """A function from the inputs of a stage, by name, to its outputs; more inputs do no harm."""
    reference = builder_of(artifact.engine).reference
    reads = [tensor.name for tensor in artifact.inputs]
    makes = [tensor.name for tensor in artifact.outputs]
    if reference is not None:
        run = reference(artifact.onnx, artifact.inputs, artifact.outputs)
        return lambda frame: run({name: frame[name] for name in reads})
    session = open_session(artifact.onnx, Variant())
    return lambda frame: dict(zip(makes, session.run(makes, {name: frame[name] for name in reads}), strict=True))
