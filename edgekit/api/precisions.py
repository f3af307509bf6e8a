"""A network in another precision, and how its outputs then differ."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit import onnxio
from edgekit.accuracy.culprits import culprits
from edgekit.accuracy.output_error import Accuracy, difference
from edgekit.api.display import showing
from edgekit.cluster import Cluster
from edgekit.deploy.serve.connections import connect_all
from edgekit.device import Variant
from edgekit.errors import PromiseError, UsageError
from edgekit.files import write_bytes
from edgekit.frame_files import read_frames
from edgekit.graph import Graph
from edgekit.machine import Machine
from edgekit.onnxio import Model
from edgekit.progress import Tell, in_turn, prefixed, silent
from edgekit.quantity import Badge
from edgekit.runtime.engine.executor import open_session, session_options
from edgekit.runtime.machine.machine_probe import probe
from edgekit.runtime.machine.sources import Here
from edgekit.wording import counted
from profilers.map.widened_kernels import widened

__all__ = ["Accuracy", "Quantized", "quantize"]

PRECISIONS = ("int8", "fp16")

KEEP_OUT = 5
"""Every so many frames one is kept out of the calibration, to compare outputs on."""

MOST_LOST = 0.1
"""Of an output's standard deviation."""

Arrays = Mapping[str, NDArray[np.generic]]
Frames = Sequence[Arrays]


class Quantized(NamedTuple):
    """The network that was written; how its outputs differ, where there was data to tell; and how 8 bits are used.

    ``loss``: what is lost, and where, if that is more than is usually allowed and was accepted.
    """

    graph: Graph
    accuracy: Accuracy | None
    scheme: str
    loss: str = ""


@showing("quantizing")
def quantize(
    network: str | Path,
    output: str | Path,
    precision: str,
    *,
    data: str | Path | None = None,
    cluster: Cluster | None = None,
    tell: Tell = silent,
    accept: bool = False,
) -> Quantized:
    """Write a network in another precision, as a file like any other.

    Args:
        data: inputs as the network will see them, as for ``edgekit run``: an .npz by input name with a leading axis of samples, or
            a folder of .npz. For int8 they set the ranges of activations; in both cases outputs are compared on them.
        cluster: the devices that int8 has to suit; without it, this machine.
        accept: write the network also where an output differs by more than 10 % of its standard deviation.

    Raises:
        UsageError: another precision, or int8 without data.
        FrameError: the data does not fit the network's inputs.
        GraphError: the network is not in fp32, or has nothing to compute in that precision.
        PromiseError: an output differs by too much; says at which tensors that happens. Nothing is written then.
    """
    from edgekit.quantize import int8_scheme, to_fp16, to_int8

    if precision not in PRECISIONS:
        raise UsageError(f"expected {' or '.join(PRECISIONS)}, got {precision!r}; change --precision")
    if data is None and precision == "int8":
        raise UsageError("int8 needs inputs as the network will see them, to set the ranges of activations; add: --data x.npz")
    model = onnxio.load(network)
    graph = onnxio.read(model)
    frames = [frame for _, frame in read_frames(str(data), graph.cuts[0].tensors)] if data is not None else []
    scheme = ""
    if precision == "int8":
        calibrating, comparing = _divided(frames)
        tell("looking at the machines")
        chosen = int8_scheme(_machines(cluster))
        made, scheme = to_int8(model, _counted(calibrating, prefixed(tell, "calibrating")), chosen), chosen.reason
    else:
        calibrating, comparing = [], frames
        tell("converting")
        made = to_fp16(model)
    accuracy, loss = None, ""
    if comparing:
        told = prefixed(tell, "comparing outputs")
        accuracy = _compare(model, made, len(calibrating), comparing, "estimated" if calibrating is comparing else "measured", told)
        loss = _loss(accuracy, model, made, comparing)
    if loss and not accept:
        raise PromiseError(f"{loss}; give frames of more kinds, keep the network in fp32, or write it none the less with --accept")
    write_bytes(output, made)
    return Quantized(onnxio.read(made), accuracy, scheme, loss)


def _loss(accuracy: Accuracy, model: Model, made: bytes, frames: Frames) -> str:
    """What is lost beyond what is allowed, and at which tensors; empty: nothing is."""
    worst = max(accuracy.outputs, key=lambda output: output.rms, default=None)
    if worst is None or worst.rms <= MOST_LOST:
        return ""
    kept = " kept out of the calibration" if accuracy.calibrated not in (0, accuracy.samples) else ""
    where = ", ".join(map(str, culprits(model, onnxio.load(made), frames)))
    return (
        f"{model.name} in {accuracy.precision}: output {worst.name} differs by {worst.rms:.1%} of its standard deviation on "
        f"{counted(accuracy.samples, 'frame')}{kept}, expected at most {MOST_LOST:.0%}; most is lost at {where or 'its weights'}"
    )


def _machines(cluster: Cluster | None) -> list[Machine]:
    real = [device for device in cluster.devices if not device.described] if cluster else []
    if not real:
        return [msgspec.convert(probe(Here()), Machine)]
    with ExitStack() as stack:
        return [connection.facts().machine for connection in connect_all(real, stack).values()]


def _divided(frames: Frames) -> tuple[Frames, Frames]:
    """What to calibrate with, and what to compare outputs on; the same where there are too few to keep any out."""
    if len(frames) < KEEP_OUT:
        return frames, frames
    return [frame for index, frame in enumerate(frames, start=1) if index % KEEP_OUT], frames[KEEP_OUT - 1 :: KEEP_OUT]


def _counted(frames: Frames, tell: Tell) -> Iterator[Arrays]:
    for done, frame in enumerate(frames):
        tell(f"frame {done + 1} of {len(frames)}", done, len(frames))
        yield frame


def _compare(model: Model, made: bytes, calibrated: int, frames: Frames, badge: Badge, tell: Tell) -> Accuracy:
    """Outputs of both networks, on this machine."""
    graph = onnxio.read(made)
    names = [tensor.name for tensor in graph.cuts[-1].tensors if tensor.travels]
    before, after = in_turn(tell, [1, 1])
    want, _ = _outputs(model.serialized, names, _counted(frames, before))
    got, optimized = _outputs(made, names, _counted(frames, after))
    outputs = tuple(difference(name, got[name], want[name]) for name in names)
    wide = widened(graph, onnxio.kernel_nodes(optimized))
    return Accuracy(graph.digest, model.digest, graph.precision, calibrated, len(frames), outputs, "estimated" if wide else badge, wide)


def _outputs(data: bytes, names: list[str], frames: Iterable[Arrays]) -> tuple[dict[str, list[NDArray[np.generic]]], bytes]:
    """Each output for all frames, and the network as it was optimised for that."""
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        options = session_options(Variant())
        options.optimized_model_filepath = f"{folder}/optimized.onnx"
        session = open_session(data, Variant(), options)
        optimized = Path(folder, "optimized.onnx").read_bytes()
    runs = [session.run(names, dict(frame)) for frame in frames]
    return {name: [run[index] for run in runs] for index, name in enumerate(names)}, optimized
