"""Runs one stage model in onnxruntime, in place on the buffers of its links, at the speed its device plays."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.runtime.pace import Pace
from edgekit.telemetry import decline

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = ["Arrays", "Executor", "open_session", "run_once", "sample_inputs", "session_options"]

Arrays = Mapping[str, NDArray[np.generic]]
QUIET = 4

WARM_UP = 10
WARM_UP_S = 0.5
LEAST_WARM_UP = 2


def session_options(variant: Variant) -> "ort.SessionOptions":
    """Options that every session of edgekit has: threads set, spinning off, so that stages can share a machine."""
    decline()
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = variant.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def open_session(model: Path | bytes, variant: Variant, options: "ort.SessionOptions | None" = None) -> "ort.InferenceSession":
    """Load a model on exactly the provider asked for.

    Raises:
        GraphError: onnxruntime refuses the model, or lacks the provider.
    """
    decline()
    import onnxruntime as ort

    if variant.provider not in ort.get_available_providers():
        raise GraphError(f"onnxruntime here has no {variant.provider}; it has {', '.join(ort.get_available_providers())}")
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options or session_options(variant), providers=[variant.provider])
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise GraphError(f"onnxruntime {ort.__version__} refuses the model: {str(error).splitlines()[0]}") from error


class Executor:
    """A loaded model. ``run`` reads and writes the caller's arrays, without copies."""

    def __init__(self, model: Path | bytes, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], variant: Variant, speed: float):
        begin = time.perf_counter()
        self._session = open_session(model, variant)
        self._inputs = inputs
        self._outputs = outputs
        self._pace = Pace(speed)
        # with one thread the kernels run on the calling thread, so the transport's own processor time stays out
        self._one_thread = variant.threads == 1
        self._cpu = time.thread_time if self._one_thread else time.process_time
        self.load_s = time.perf_counter() - begin
        self.cpu_s = 0.0
        self.first_s = 0.0

    def warm_up(self, inputs: Arrays, outputs: Arrays) -> None:
        """Run one after the other, without pause, until arenas have grown, caches are hot and the pace knows how long it takes.

        Ten runs, but not longer than half a second; two in any case.
        """
        end = time.perf_counter() + WARM_UP_S
        for count in range(WARM_UP):
            if count >= LEAST_WARM_UP and time.perf_counter() > end:
                break
            wall_s = self._compute(inputs, outputs)
            self._remainder_s(wall_s)
            if count == 0:
                self.first_s = wall_s

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame: read ``inputs``, fill ``outputs`` (C-contiguous arrays by name)."""
        if remainder_s := self._remainder_s(self._compute(inputs, outputs)):
            time.sleep(remainder_s)

    def _remainder_s(self, wall_s: float) -> float:
        return self._pace.remainder_s(wall_s, self.cpu_s if self._one_thread else wall_s)

    def _compute(self, inputs: Arrays, outputs: Arrays) -> float:
        binding = self._session.io_binding()
        for tensor in self._inputs:
            array = inputs[tensor.name]
            binding.bind_input(tensor.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for tensor in self._outputs:
            array = outputs[tensor.name]
            binding.bind_output(tensor.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        begin, busy = time.perf_counter(), self._cpu()
        self._session.run_with_iobinding(binding)
        self.cpu_s, wall_s = self._cpu() - busy, time.perf_counter() - begin
        return wall_s


def run_once(model: Path | bytes, arrays: Arrays, variant: Variant | None = None) -> dict[str, NDArray[np.generic]]:
    """The outputs of a model, by name, computed in this process."""
    session = open_session(model, variant or Variant())
    names = [output.name for output in session.get_outputs()]
    wanted = {entry.name for entry in session.get_inputs()}
    values = session.run(names, {name: array for name, array in arrays.items() if name in wanted})
    return dict(zip(names, values, strict=True))


def sample_inputs(tensors: tuple[Tensor, ...], seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Seeded inputs for tensors of any type: standard normal, or 0 and 1 for integers and booleans."""
    draw = np.random.default_rng(seed)
    return {
        tensor.name: (
            draw.standard_normal(tensor.shape) if tensor.dtype.startswith("float") else draw.integers(0, 2, tensor.shape or ())
        ).astype(tensor.dtype)
        for tensor in tensors
    }
