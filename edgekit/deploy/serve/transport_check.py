"""Whether all who are to be linked have what it takes for a transport."""

from collections.abc import Mapping
from typing import get_args

from devices import Connection
from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.links.transport_packages import NEEDS, available, missing
from edgekit.runtime.verbs import Transport

__all__ = ["require_transport", "transport_of"]


def require_transport(transport: Transport, connections: Mapping[str, Connection]) -> None:
    """Refuse devices, or this machine as their client, where the packages of a transport are missing.

    Nothing but facts is asked of devices.

    Raises:
        UsageError: this machine lacks packages, or a device is simulated and carries nothing.
        DeviceError: devices lack packages; the message names them all.
    """
    packages = NEEDS[transport]
    if not packages:
        return
    if simulated := [name for name, each in connections.items() if each.virtual]:
        raise UsageError(f"{', '.join(simulated)}: simulated, and so without links that {transport} could carry; leave out --transport")
    what = " and ".join(packages.values())
    if transport not in available():
        raise UsageError(f"this machine, as the client, needs {what}; run: pip install 'edgekit[{transport}]', or use --transport socket")
    if lacking := [name for name, each in connections.items() if transport not in each.facts().transports]:
        raise DeviceError(
            f"{', '.join(lacking)}: {missing(transport)} there; run: edgekit devices setup {' '.join(lacking)} "
            f"--transport {transport}, or use --transport socket"
        )


def transport_of(name: str) -> Transport:
    """The transport of that name.

    Raises:
        UsageError: there is none.
    """
    found: dict[str, Transport] = {known: known for known in get_args(Transport)}
    if name not in found:
        raise UsageError(f"expected a transport, one of {', '.join(found)}, got {name!r}; change --transport")
    return found[name]
