"""What a machine has to have installed for each transport, looked for without loading it, and which of them nothing secures."""

from importlib.util import find_spec
from typing import get_args

from edgekit.runtime.verbs import Transport

__all__ = ["NEEDS", "OPEN", "available", "missing"]

NEEDS: dict[Transport, dict[str, str]] = {
    "socket": {},
    "grpc": {"grpc": "grpcio", "grpc_health": "grpcio-health-checking"},
    "torch": {"torch": "torch"},
}
"""What a transport imports, and the packages that bring it."""

OPEN: dict[Transport, str] = {"torch": "torch RPC neither encrypts nor asks who calls, and runs what it is sent"}
"""Transports that go in clear only, and why."""


def available() -> tuple[Transport, ...]:
    """The transports that this machine has what it takes for."""
    return tuple(each for each in get_args(Transport) if all(map(find_spec, NEEDS[each])))


def missing(transport: Transport) -> str:
    """That the packages of a transport are not there.

    >>> missing("grpc"), missing("torch")
    ('grpcio and grpcio-health-checking are not installed', 'torch is not installed')
    """
    packages = NEEDS[transport].values()
    return f"{' and '.join(packages)} {'is' if len(packages) == 1 else 'are'} not installed"
