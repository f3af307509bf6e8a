"""What a machine has to have installed for each transport, looked for without loading it."""

from importlib.util import find_spec
from typing import get_args

from edgekit.runtime.verbs import Transport

__all__ = ["NEEDS", "available", "missing"]

NEEDS: dict[Transport, dict[str, str]] = {
    "socket": {},
    "grpc": {"grpc": "grpcio", "grpc_health": "grpcio-health-checking"},
}
"""What a transport imports, and the packages that bring it."""


def available() -> tuple[Transport, ...]:
    """The transports that this machine has what it takes for."""
    return tuple(each for each in get_args(Transport) if all(map(find_spec, NEEDS[each])))


def missing(transport: Transport) -> str:
    """That the packages of a transport are not there.

    >>> missing("grpc")
    'grpcio and grpcio-health-checking are not installed'
    """
    packages = NEEDS[transport].values()
    return f"{' and '.join(packages)} {'is' if len(packages) == 1 else 'are'} not installed"
