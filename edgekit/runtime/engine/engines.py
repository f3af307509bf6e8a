"""The engines of a device by name: onnxruntime, those that a program adds to ``ENGINES``, those that entry points name."""

import tempfile
from importlib import metadata
from pathlib import Path

from edgekit.device import ONNXRUNTIME, Variant
from edgekit.errors import DeviceError, EdgekitError, GraphError
from edgekit.graph import Tensor
from edgekit.runtime.engine import onnxruntime_engine, sessions
from edgekit.runtime.engine.engine import Engine, OpenModel

__all__ = ["ENGINES", "GROUP", "engine_of", "open_model"]

GROUP = "edgekit.engines"

ENGINES: dict[str, Engine] = {ONNXRUNTIME: onnxruntime_engine.ENGINE}
"""By name; a program adds its own here."""


def engine_of(variant: Variant) -> Engine:
    """The engine that a variant names.

    Raises:
        DeviceError: it is not installed here, or cannot be imported.
    """
    name = variant.engine
    if name in ENGINES:
        return ENGINES[name]
    there = metadata.entry_points(group=GROUP)
    for entry in there.select(name=name):
        try:
            engine: Engine = entry.load()
        except Exception as error:  # importing it may fail in any way
            raise DeviceError(f"engine {name} ({entry.value}) cannot be imported: {type(error).__name__}: {error}") from error
        return engine
    known = ", ".join(sorted({*ENGINES, *there.names}))
    raise DeviceError(f"no engine {name} is installed here, only: {known}; install it beside edgekit, or change the device's variant")


def open_model(model: Path | bytes, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> OpenModel:
    """A segment, opened by the engine that its variant names.

    Raises:
        DeviceError: there is no such engine.
        GraphError: it refuses the segment.
    """
    if variant.engine == ONNXRUNTIME:
        return sessions.open_model(model, variant, inputs, outputs)
    if isinstance(model, bytes):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "artifact")
            path.write_bytes(model)
            return open_model(path, variant, inputs, outputs)
    engine = engine_of(variant)
    try:
        return engine.open(model, variant, inputs, outputs)
    except EdgekitError:
        raise
    except Exception as error:  # what an engine raises is its own business
        raise GraphError(f"engine {variant.engine} refuses the segment: {type(error).__name__}: {error}") from error
