"""A client's links to the first and last stages of a release."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from edgekit.errors import DeviceError
from edgekit.plan import CLIENT
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.joint import Inlets, Outlets
from edgekit.runtime.links.link_end import LEAST_S, REDIAL_S, LinkEnd
from edgekit.runtime.links.sockets import pauses
from edgekit.runtime.links.tls import Guard, Keys
from edgekit.runtime.verbs import End, Port, Transport

__all__ = ["Ends", "Target"]

Route = tuple[End, int, End, int]

AGAIN_S = (0.02, 0.3)
"""First and longest pause between attempts."""


class Target(NamedTuple):
    """A release, and what a client has to know of it.

    ``ports`` are those of the last stages and of the first. ``names`` are what errors call the stages, with their devices. ``keys``:
    who the client is to them; None: nothing is encrypted. ``load_s``: what a stage takes to load its model, for which it is waited.
    ``transport``: what carries the links.
    """

    release: str
    ports: tuple[tuple[Port, ...], tuple[Port, ...]]
    addresses: Mapping[Route, tuple[str, int]]
    names: Sequence[str] = ()
    keys: Keys | None = None
    load_s: float = 0.0
    transport: Transport = "socket"

    def takes_for(self, other: "Target") -> bool:
        """Whether a frame for one is a frame for the other, and so are the results."""
        return all(
            {tensor for port in mine for tensor in port.tensors} == {tensor for port in theirs for tensor in port.tensors}
            for mine, theirs in zip(self.ports, other.ports, strict=True)
        )


class Ends:
    """Links that are made once, and end all together."""

    def __init__(self, target: Target):
        self.target = target
        self.inlets, self.outlets = Inlets(target.ports[0]), Outlets(target.ports[1])
        self._guard = Guard(target.keys) if target.keys else None

    def link(self, until_s: float, over: Callable[[], bool] = lambda: False) -> None:
        """Dial the first stages and the last; what does not answer at once may do so until then.

        Nothing is dialled again once it is ``over``.

        Raises:
            DeviceError: a stage did not, and why; no link is left then.
        """
        release, _, addresses = self.target[:3]
        try:
            for end, replica in self.outlets.links:  # these know why those behind them do not serve
                hello = Hello(plan=release, source=CLIENT, source_replica=0, receiver=end, receiver_replica=replica)
                door = self._door(1, end, replica, addresses[CLIENT, 0, end, replica])
                _call(self.outlets.links[end, replica], door, hello, until_s, over)
            for end, replica in self.inlets.links:
                hello = Hello(plan=release, source=end, source_replica=replica, receiver=CLIENT, receiver_replica=0, gives=False)
                door = self._door(0, end, replica, addresses[end, replica, CLIENT, 0])
                _call(self.inlets.links[end, replica], door, hello, until_s, over)
        except BaseException:
            self.hang_up()
            raise

    @property
    def lost(self) -> str:
        """A first stage whose link has ended; empty: there is none."""
        return next((link.name for link in self.outlets.links.values() if link.broken), "")

    def hang_up(self) -> None:
        """End all links. Frames in flight are discarded by the stages."""
        for outlet in self.outlets.links.values():
            outlet.abort()
        self.inlets.close()

    def _door(self, side: int, end: End, replica: int, address: tuple[str, int]) -> Door:
        names = next(port.names for port in self.target.ports[side] if port.end == end)
        return Door(*address, names[replica] if names else "", self._guard, self.target.transport)


def _call(link: LinkEnd, door: Door, hello: Hello, until_s: float, over: Callable[[], bool]) -> None:
    """Open a link; where a client has just left, the stage may need a moment to notice."""
    waits, within_s = pauses(*AGAIN_S), REDIAL_S
    while True:
        try:
            link.call(door, hello, link.name, within_s=within_s)
            return
        except DeviceError:
            if time.monotonic() > until_s or over():
                raise
        time.sleep(next(waits))
        within_s = max(min(until_s - time.monotonic(), REDIAL_S), LEAST_S)
