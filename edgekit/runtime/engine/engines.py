"""Runtimes besides onnxruntime: a segment that something else has compiled is measured, placed and served like any other.

A variant whose provider is no ``…ExecutionProvider`` names a backend:

    [[devices]]
    name = "camera"
    address = "ssh://pi@10.0.0.4"
    variant = { provider = "hailo", precision = "int8" }

The device looks for it in ``BACKENDS``, then among the entry points of what is installed beside onnxruntime there:

    [project.entry-points."edgekit.backends"]
    hailo = "edgekit_hailo:open_segment"

It is called with the file of the segment, the variant, and the tensors that come in and go out, and gives something with a
``run`` that reads inputs and fills outputs, arrays of exactly those shapes and types. The file is the segment's ONNX, under
the SHA-256 of its bytes, which is also the name by which a compiler that runs elsewhere can leave what it made of it. What
``open_segment`` raises refuses the segment, what ``run`` raises fails its frame alone.

Nobody sees into such a segment, so a profile has one kernel of it, which spans all units: what is not measured is estimated in
proportion to multiplications. notebooks/reference_backend is a whole one, to begin from.
"""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Protocol

from edgekit.device import Variant
from edgekit.errors import DeviceError, EdgekitError, GraphError
from edgekit.graph import Tensor
from edgekit.runtime.engine import sessions
from edgekit.runtime.engine.providers import is_onnxruntime
from edgekit.runtime.engine.sessions import Arrays

__all__ = ["BACKENDS", "GROUP", "Backend", "OpenModel", "open_model"]

GROUP = "edgekit.backends"


class OpenModel(Protocol):
    """A segment that is ready to be run; one thread at a time does."""

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame: read ``inputs``, fill ``outputs`` (C-contiguous arrays by name)."""


Backend = Callable[[Path, Variant, tuple[Tensor, ...], tuple[Tensor, ...]], OpenModel]

BACKENDS: dict[str, Backend] = {}
"""Those that a program has put here itself."""


def open_model(model: Path | bytes, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> OpenModel:
    """A segment, opened by onnxruntime or by the backend that its variant names.

    Raises:
        DeviceError: there is no such backend.
        GraphError: it refuses the segment.
    """
    if is_onnxruntime(variant):
        return sessions.open_model(model, variant, inputs, outputs)
    if isinstance(model, bytes):
        raise DeviceError(f"backend {variant.provider} opens files only; describe a sim: device with CPUExecutionProvider")
    backend = _find(variant.provider)
    try:
        return backend(model, variant, inputs, outputs)
    except EdgekitError:
        raise
    except Exception as error:  # what a backend raises is its own business
        raise GraphError(f"backend {variant.provider} refuses the segment: {type(error).__name__}: {error}") from error


def _find(name: str) -> Backend:
    if name in BACKENDS:
        return BACKENDS[name]
    there = metadata.entry_points(group=GROUP)
    for entry in there.select(name=name):
        try:
            backend: Backend = entry.load()
        except Exception as error:  # importing it may fail in any way
            raise DeviceError(f"backend {name} ({entry.value}) cannot be imported: {type(error).__name__}: {error}") from error
        return backend
    known = ", ".join(sorted({*BACKENDS, *there.names})) or "none"
    raise DeviceError(f"no backend {name} is installed here, only: {known}; install it beside onnxruntime, or change the device's variant")
