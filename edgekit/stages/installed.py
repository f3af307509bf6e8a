"""Whether the engine of a variant is there on its device, and what has to be installed where it is not."""

from devices.connection import Connection
from edgekit.device import ONNXRUNTIME, Variant
from edgekit.errors import DeviceError
from edgekit.stages.builders import builder_of

__all__ = ["require_engine"]


def require_engine(variant: Variant, connection: Connection) -> None:
    """Refuse an engine that a device lacks; a device that is only described has them all.

    Raises:
        DeviceError: with what the device has, and what to install.
    """
    if connection.virtual or variant.engine == ONNXRUNTIME:
        return
    names = [engine.name for engine in connection.facts().engines]
    if variant.engine in names:
        return
    there = ", ".join(names) or "none"
    packages = " ".join(builder_of(variant.engine).packages) or "its package"
    raise DeviceError(
        f"{connection.device.name} has no engine {variant.engine}, only: {there}; "
        f"install {packages} beside edgekit there, or change the device's variant"
    )
