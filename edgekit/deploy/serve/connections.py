"""Connections to several devices, opened side by side, of which none is left behind whatever happens meanwhile."""

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from devices import Connection, connect, scheme_of
from edgekit.device import Device

__all__ = ["connect_all"]


class _Opening:
    """A connection that a thread of its own opens: there it cannot be interrupted half-way.

    Ctrl-C may come at any time, also between the start of the thread and our knowing of it. So the thread asks for
    leave before it does anything, and whoever closes first takes that leave away.
    """

    def __init__(self, device: Device, home: Path | None):
        self._device, self._home = device, home
        self._lock = threading.Lock()
        self._closed = self._begun = False
        self._done = threading.Event()
        self._connection: Connection | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin to open it."""
        threading.Thread(target=self._open, name=f"opening {self._device.name}", daemon=True).start()

    def result(self) -> Connection:
        """The connection, once it is open; or the error that kept it from being so."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._connection is not None
        return self._connection

    def close(self) -> None:
        """Close it, waiting for it if it is being opened."""
        with self._lock:
            self._closed = True
        if self._begun:
            self._done.wait()
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._begun = True
        try:
            self._connection = connect(self._device, self._home)
        except BaseException as error:  # raised again by whoever asks for the result
            self._error = error
        self._done.set()


def connect_all(
    devices: Iterable[Device], stack: ExitStack, *, home: Path | None = None, purpose: str | None = None
) -> dict[str, Connection]:
    """Open connections to several devices at once, by name, and claim them if there is a ``purpose``; the stack closes them.

    Raises:
        DeviceError: one does not start, or somebody else has claimed it; the others are closed by the stack.
    """
    openings = {device.name: _Opening(device, home) for device in devices}
    for opening in openings.values():
        stack.callback(opening.close)
    for opening in openings.values():
        opening.start()
    connections = {name: opening.result() for name, opening in openings.items()}
    if purpose is not None:
        machines = {_machine(connection.device): connection for connection in connections.values()}
        for connection in machines.values():
            connection.claim(purpose)
    return connections


def _machine(device: Device) -> str:
    """What is claimed once, for all devices that have one agent in common: boards at one gateway, or the gateway itself."""
    return device.address if scheme_of(device).login else device.name
