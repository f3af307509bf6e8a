"""Whether all who are to be linked have what it takes for a transport."""

from collections.abc import Mapping
from itertools import permutations
from typing import get_args

from devices import Connection
from edgekit.cluster import Cluster
from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.links.transport_packages import NEEDS, OPEN, available, missing
from edgekit.runtime.verbs import Transport

__all__ = ["require_transport", "transport_of"]


def require_transport(transport: Transport, connections: Mapping[str, Connection], cluster: Cluster, secure: bool = True) -> None:
    """Refuse what a transport cannot do, and devices, or this machine as their client, where its packages are missing.

    Nothing but facts is asked of devices.

    Raises:
        UsageError: this machine lacks packages, or a device is simulated and carries nothing, or links cannot be secured, or led
            through this process.
        DeviceError: devices lack packages; the message names them all.
    """
    packages = NEEDS[transport]
    if not packages:
        return
    if transport in OPEN:
        _require_open(transport, connections, cluster, secure)
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


def _require_open(transport: Transport, connections: Mapping[str, Connection], cluster: Cluster, secure: bool) -> None:
    """Refuse to secure links that nothing secures, and to lead them where frames would not follow."""
    if secure:
        raise UsageError(f"{OPEN[transport]}; add --insecure where that does not matter, or use --transport socket")
    for ends in permutations((*connections, cluster.client), 2):
        link = cluster.link(*ends)
        if link is not None and (link.shaped or link.relay):
            led = "shaped" if link.shaped else "relayed"
            raise UsageError(f"{' → '.join(ends)} is {led}, and {transport} makes connections past that; use --transport socket")


def transport_of(name: str) -> Transport:
    """The transport of that name.

    Raises:
        UsageError: there is none.
    """
    found: dict[str, Transport] = {known: known for known in get_args(Transport)}
    if name not in found:
        raise UsageError(f"expected a transport, one of {', '.join(found)}, got {name!r}; change --transport")
    return found[name]
