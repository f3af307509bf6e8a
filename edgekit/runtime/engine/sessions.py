"""Models open in onnxruntime, bound to the caller's buffers: directly on the processor, through buffers of its own on a GPU.

    processor   caller's input ──────────────▶ run ──────────────▶ caller's output
    GPU         caller's input ─copy▶ buffer ─▶ run ─▶ buffer ─copy▶ caller's output

Frames come and go over TCP, so on a GPU both copies belong to a run, and a run ends when the last one is done.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.device import Variant
from edgekit.errors import GraphError
from edgekit.graph import Tensor
from edgekit.runtime.engine import tensorrt
from edgekit.runtime.engine.engine import Arrays
from edgekit.runtime.engine.providers import of_gpu, providers_of, settle_tf32
from edgekit.telemetry import decline

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = ["BufferedModel", "DirectModel", "open_model", "open_session", "session_options"]

QUIET = 4


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
    """Load a model on the provider asked for; nodes that it does not support go to those behind it.

    Raises:
        GraphError: onnxruntime refuses the model, or lacks the provider, or cannot start it.
    """
    decline()
    settle_tf32(variant)
    import onnxruntime as ort

    if variant.provider not in ort.get_available_providers():
        raise GraphError(f"onnxruntime here has no {variant.provider}; it has {', '.join(ort.get_available_providers())}")
    source = model if isinstance(model, bytes) else str(model)
    wanted = providers_of(variant, *tensorrt.place(model, variant))
    providers = [each for each in wanted if each[0] in ort.get_available_providers()]
    try:
        # without its own fallback, which would load the model once more, on other providers
        session = ort.InferenceSession(source, options or session_options(variant), providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime raises a dozen unrelated types
        raise GraphError(f"onnxruntime {ort.__version__} refuses the model: {str(error).splitlines()[0]}") from error
    if variant.provider not in session.get_providers():
        raise GraphError(
            f"{variant.provider} does not start here, and onnxruntime {ort.__version__} would run the model on "
            f"{', '.join(session.get_providers())}; see that the libraries it needs are there, in the versions it needs"
        )
    return session


class DirectModel:
    """A session that reads and writes the caller's arrays in place."""

    def __init__(self, session: "ort.InferenceSession", inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]):
        self._session, self._inputs, self._outputs = session, inputs, outputs

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame."""
        binding = self._session.io_binding()
        for tensor in self._inputs:
            array = inputs[tensor.name]
            binding.bind_input(tensor.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for tensor in self._outputs:
            array = outputs[tensor.name]
            binding.bind_output(tensor.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)


class BufferedModel:
    """A session whose inputs and outputs have buffers on a device, bound once and used again for every frame."""

    def __init__(self, session: "ort.InferenceSession", inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], *, place: str = "cuda"):
        import onnxruntime as ort

        self._session = session
        self._binding = session.io_binding()
        self._buffers = {
            tensor.name: ort.OrtValue.ortvalue_from_shape_and_type(tensor.shape, np.dtype(tensor.dtype).type, place, 0)
            for tensor in (*inputs, *outputs)
        }
        self._inputs, self._outputs = (tuple(tensor.name for tensor in tensors) for tensors in (inputs, outputs))
        for name in self._inputs:
            self._binding.bind_ortvalue_input(name, self._buffers[name])
        for name in self._outputs:
            self._binding.bind_ortvalue_output(name, self._buffers[name])

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame, its copies to the device and back included."""
        for name in self._inputs:
            self._buffers[name].update_inplace(inputs[name])
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        for name in self._outputs:
            np.copyto(outputs[name], self._buffers[name].numpy())


def open_model(
    model: Path | bytes, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> DirectModel | BufferedModel:
    """A model in onnxruntime, ready to be run.

    Raises:
        GraphError: as ``open_session`` does.
    """
    session = open_session(model, variant)
    return (BufferedModel if of_gpu(variant) else DirectModel)(session, inputs, outputs)
