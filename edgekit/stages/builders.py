"""The builders of engines by name: onnxruntime's, those that a program adds to ``BUILDERS``, those that entry points name."""

from importlib import metadata

from edgekit.device import MCU, ONNXRUNTIME
from edgekit.errors import UsageError
from edgekit.stages import mcu_builder, onnxruntime_builder
from edgekit.stages.builder import Builder

__all__ = ["BUILDERS", "GROUP", "builder_of"]

GROUP = "edgekit.builders"

BUILDERS: dict[str, Builder] = {ONNXRUNTIME: onnxruntime_builder.BUILDER, MCU: mcu_builder.BUILDER}
"""By the name of the engine; a program adds its own here."""


def builder_of(engine: str) -> Builder:
    """The builder of an engine; one that passes segments on as ONNX where it has none.

    Raises:
        UsageError: it cannot be imported.
    """
    if engine in BUILDERS:
        return BUILDERS[engine]
    for entry in metadata.entry_points(group=GROUP).select(name=engine):
        try:
            builder: Builder = entry.load()
        except Exception as error:  # importing it may fail in any way
            what = f"the builder of engine {engine} ({entry.value}) cannot be imported: {type(error).__name__}: {error}"
            raise UsageError(f"{what}; repair its package, or change the device's variant") from error
        return builder
    return Builder()
