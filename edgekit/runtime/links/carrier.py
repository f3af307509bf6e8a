"""What carries a link: a connection whose two ends have greeted, be it a socket or a stream of an RPC library.

    LinkEnd ── run(peer) ──▶ Carrier ──▶ outgoing(), incoming(), arrived() of its peer, all on the thread that runs it
    others  ── wake(), end(), drop() ──▶ Carrier

A carrier knows nothing of messages and their numbers; a link nothing of what its bytes go through.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from edgekit.runtime.links.frames import Header
from edgekit.runtime.links.greeting import Hello
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.tls import Guard

__all__ = ["Carrier", "Gate", "Peer", "Reception"]


class Peer(Protocol):
    """Whose frames a carrier carries; called on the thread that runs it."""

    @property
    def idle(self) -> bool:
        """Whether nothing is to go out."""

    def outgoing(self, resting: bool) -> tuple[Header, memoryview] | None:
        """The next frame to go out, with what follows its header; what can wait goes out when the carrier is ``resting``."""

    def incoming(self, header: Header) -> memoryview:
        """Where the bytes belong that follow a header: tensor table and payload, or a note."""

    def arrived(self, header: Header) -> None:
        """They are there."""


class Carrier(Protocol):
    """A connection that belongs to whoever runs it; others may wake and end it."""

    @property
    def here(self) -> str:
        """The address of this machine from which it goes."""

    @property
    def resent(self) -> int | None:
        """Segments that had to be sent again so far; None: it is not known."""

    def require(self, name: str) -> None:
        """Refuse a peer whose certificate does not call it that.

        Raises:
            DeviceError: with the name that it has.
        """

    def welcome(self, here: Standing) -> None:
        """Let the caller in, and say how far this end is, if it receives."""

    def run(self, peer: Peer) -> None:
        """Carry frames until somebody ends it; it is closed then.

        Raises:
            OSError: the connection has ended, or the peer is silent, or a bit has flipped.
            ProtocolError: the peer speaks another language.
        """

    def wake(self) -> None:
        """There is something to go out."""

    def end(self) -> None:
        """Say goodbye and hang up."""

    def drop(self) -> None:
        """Hang up without a word: another connection takes its place."""

    def close(self) -> None:
        """Hang up where it is not run, or no longer."""


Admit = Callable[[Carrier, Hello], None]
"""Lets a caller in, or raises an EdgekitError that it is told."""

Say = Callable[[str], None]
"""Hears of those who were not let in."""


class Gate(NamedTuple):
    """Where callers come in, what secures the way, who lets them in, and who hears of those who are not.

    ``well``: whether what is behind it does what it is for.
    """

    address: tuple[str, int]
    guard: Guard | None
    admit: Admit
    say: Say = lambda why: None
    well: Callable[[], bool] = lambda: True


class Reception(Protocol):
    """Lets callers in until it is closed."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""

    def close(self) -> None:
        """Let nobody in any more; those who are in stay."""
