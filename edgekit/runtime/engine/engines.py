"""The engines of a device by name: onnxruntime, mcu, those that a program adds to ``ENGINES``, those that entry points name."""

import tempfile
from importlib import metadata
from pathlib import Path

from edgekit.device import MCU, ONNXRUNTIME, Variant
from edgekit.errors import DeviceError, EdgekitError, GraphError
from edgekit.graph import Tensor
from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.engine import mcu_engine, onnxruntime_engine, sessions
from edgekit.runtime.engine.engine import Engine, OpenModel

__all__ = ["ENGINES", "GROUP", "at_board", "engine_of", "open_model"]

GROUP = "edgekit.engines"

ENGINES: dict[str, Engine] = {ONNXRUNTIME: onnxruntime_engine.ENGINE, MCU: mcu_engine.ENGINE}
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


def at_board(board: BoardPort | None) -> dict[str, BoardPort]:
    """What an engine is told besides, where its device is a microcontroller."""
    return {} if board is None else {"board": board}


def open_model(
    model: Path | bytes, variant: Variant, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], *, board: BoardPort | None = None
) -> OpenModel:
    """A segment, opened by the engine that its variant names; ``board``: where the microcontroller of the device is, if it is one.

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
            return open_model(path, variant, inputs, outputs, board=board)
    engine = engine_of(variant)
    try:
        return engine.open(model, variant, inputs, outputs, **at_board(board))
    except EdgekitError:
        raise
    except Exception as error:  # what an engine raises is its own business
        raise GraphError(f"engine {variant.engine} refuses the segment: {type(error).__name__}: {error}") from error
