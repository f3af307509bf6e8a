"""The frames that a network is tried on: those that its user gave, or made-up ones that it accepts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drawn import sample_inputs
from edgekit.errors import GraphError
from edgekit.graph import Graph
from edgekit.onnxio.file_bytes import Model, decode
from edgekit.onnxio.legal import legal
from edgekit.onnxio.onnx_graph import read
from edgekit.onnxio.stage_model import cut
from edgekit.onnxio.trial import opened

__all__ = ["frames", "reaching", "refused", "try_out"]

Arrays = Mapping[str, NDArray[np.generic]]


def frames(model: Model, count: int, seed: int = 0) -> list[Arrays]:
    """At most ``count`` frames that were given, else as many that are made up."""
    if model.frames:
        return list(model.frames[:count])
    tensors, bounds = read(model).cuts[0].tensors, legal(model)
    return [sample_inputs(tensors, seed + number, bounds) for number in range(count)]


def reaching(model: Model, graph: Graph, position: int, frame: Arrays) -> Arrays:
    """What crosses a cut for a frame: whatever the units before it make of it, and the frame itself."""
    if position == 0:
        return frame
    session = opened(*decode(cut(model, graph, 0, position), "the stage"), ())
    names = [value.name for value in session.get_outputs()]
    values = _run(session, names, {value.name: frame[value.name] for value in session.get_inputs()}, model)
    return {**frame, **dict(zip(names, values, strict=True))}


def try_out(model: Model) -> None:
    """Run a network once, on a frame that was given or on a made-up one.

    Raises:
        GraphError: onnxruntime refuses the network, or the frame; says what to do.
    """
    (frame,) = frames(model, 1)
    _run(opened(model.proto, model.payloads, ()), None, frame, model)


def _run(session: Any, names: list[str] | None, frame: Arrays, model: Model) -> list[NDArray[np.generic]]:
    try:
        return list(session.run(names, dict(frame)))
    except Exception as error:  # onnxruntime's errors share no base class
        raise GraphError(refused(model, error)) from error


def refused(model: Model, error: Exception) -> str:
    """What to say where a network does not run on a frame."""
    given = "on the frame of --data" if model.frames else "on made-up inputs"
    remedy = "look at its inputs" if model.frames else "give inputs that it accepts: --data x.npz"
    reason = str(error).rpartition("Status Message: ")[2].splitlines()[0][-200:].rstrip(".")
    return f"{model.name} does not run {given} ({reason}); {remedy}"
