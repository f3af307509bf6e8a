"""Whether the engine of a variant is there on its device, and what has to be installed where it is not."""

from devices.connection import Connection
from edgekit.device import ONNXRUNTIME, SUFFIX, Variant
from edgekit.errors import DeviceError
from edgekit.stages.builders import builder_of

__all__ = ["require_engine"]


def require_engine(variant: Variant, connection: Connection) -> None:
    """Refuse an engine that a device lacks; a device that is only described has them all.

    Raises:
        DeviceError: with what the device has, and what to install.
    """
    if variant.engine == ONNXRUNTIME:
        return
    names = connection.facts().providers
    if not names or variant.engine in names:
        return
    there = ", ".join((ONNXRUNTIME, *(name for name in names if not name.endswith(SUFFIX))))
    packages = " ".join(builder_of(variant.engine).packages) or "its package"
    raise DeviceError(
        f"{connection.device.name} has no engine {variant.engine}, only: {there}; install {packages} beside edgekit there, "
        "or change the device's variant"
    )
