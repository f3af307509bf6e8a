"""One end of a link through all its connections: where one is lost, the end that dialled dials again and the link goes on.

        ┌────────── the peer says BYE, refuses, or is another one: over ──────────▶ lost
linked ─┤
   ▲    └─ a reset, silence, a bit that flipped ─▶ apart ── RESUME_S are over ──▶ lost
   └──── dialled again, what had not come is sent ──┘
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from edgekit.errors import DeviceError, EdgekitError, ProtocolError
from edgekit.runtime.links.carrier import Carrier
from edgekit.runtime.links.ends import end_name
from edgekit.runtime.links.frames import NOTHING, Header, Kind
from edgekit.runtime.links.greeting import HANDSHAKE_S, Door, Hello, Refused
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.sockets import pauses
from edgekit.runtime.links.transport import dial
from edgekit.runtime.log import say
from edgekit.runtime.stage.counters import LinkTally

__all__ = ["REDIAL_S", "RESUME_S", "Greeting", "LinkEnd"]

RESUME_S = 2.0
"""Time in which a lost connection has to be there again."""

REDIAL_S = 2.0
"""Time that a peer has to greet that has done so before."""

LEAST_S = 0.2
"""Time that a peer has to greet at least, however little is left."""

AGAIN_S = (0.05, 0.5)
"""First and longest pause between attempts to dial again."""

GONE_S = 1.0
"""Time that is waited for the thread of a link that ends; one that dials ends a little later."""


class Greeting(NamedTuple):
    """A connection whose peer has greeted: how far it is if it receives, and whether it waits to be let in."""

    carrier: Carrier
    there: Standing = Standing()
    waits: bool = False


Redial = Callable[[Standing, float], Greeting]
"""Dial again: how far this end is, and how many seconds the peer has to greet."""


class LinkEnd:
    """What inlets and outlets have in common. Its thread lives from when it is attached until the link is lost."""

    def __init__(self, name: str):
        self.name = name
        self.resumes = True
        """Whether it goes on over another connection where one is lost."""
        self.token = ""
        """Names the link, whatever connection it goes over."""
        self.tally = LinkTally()
        self._changes = threading.Condition()
        self._line: Carrier | None = None
        self._thread: threading.Thread | None = None
        self._offer: Greeting | None = None
        self._redial: Redial | None = None
        self._over = self._left = self._shut = self._superseded = False
        self._pong: int | None = None

    @property
    def linked(self) -> bool:
        """Whether there is a link, be its connection lost at the moment or not."""
        return self._thread is not None

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._line is not None

    def attach(self, greeting: Greeting, token: str = "", redial: Redial | None = None) -> None:
        """Go over a connection from now on, which is this end's; a new link, unless ``token`` is that of this one.

        Raises:
            DeviceError: this end has been closed.
        """
        with self._changes:
            if self._shut or (self.linked and self._over and token == self.token):
                greeting.carrier.close()
                raise DeviceError(f"the link to {self.name} is closed")
            if self.linked and token == self.token:
                if self._offer is not None:
                    self._offer.carrier.close()
                self._offer = greeting
                if self._line is not None:
                    self._line.drop()
                self._changes.notify_all()
                return
        self._superseded = self.fresh
        self.leave()
        with self._changes:
            self.token, self._redial = token, redial
            self._over = self._left = self._superseded = False
            self.tally.began += 1
            self._begin()
            self._thread = threading.Thread(target=self._live, args=(greeting,), name=f"link {self.name}", daemon=True)
            self._thread.start()

    def call(self, door: Door, hello: Hello, who: str, *, within_s: float = HANDSHAKE_S) -> Carrier:
        """Dial the other end of a new link; the connection, to be looked at.

        Raises:
            DeviceError: nobody listens there, or the peer refuses; the message says why.
        """
        hello = replace(hello, link=secrets.token_hex(8))

        def dialled(here: Standing, within_s: float) -> Greeting:
            again = self.token == hello.link
            hail = replace(hello, resumes=again, come=here.come, room=here.room)
            return Greeting(*dial(door, hail, who, within_s))

        greeting = dialled(self._fresh(), within_s)
        self.attach(greeting, hello.link, dialled)
        return greeting.carrier

    def answer(self, carrier: Carrier, hello: Hello) -> None:
        """Let a caller in, of this link or of a new one.

        Raises:
            DeviceError: it is of a link that is no longer known here.
        """
        if hello.resumes and not (self.linked and self.token == hello.link):
            raise DeviceError(f"{self.name}: this link is no longer known; begin a new one")
        self.attach(Greeting(carrier, Standing(hello.come, hello.room), waits=True), hello.link)

    @property
    def fresh(self) -> bool:
        """Whether no message has gone over the link yet, so that another may take its place unnoticed."""
        return False

    def leave(self) -> None:
        """End the link and wait for its end."""
        with self._changes:
            self._over = True
            if self._line is not None:
                self._line.end()
            self._changes.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(GONE_S)

    def wake(self) -> None:
        """There is something to go out."""
        line = self._line
        if line is not None:
            line.wake()

    @property
    def idle(self) -> bool:
        return self._pong is None

    def outgoing(self, resting: bool) -> tuple[Header, memoryview] | None:
        if self._pong is None:
            return None
        header, self._pong = Header(Kind.PONG, sequence=time.perf_counter_ns(), frame=self._pong), None
        return header, NOTHING

    def incoming(self, header: Header) -> memoryview:
        if header.kind not in (Kind.PING, Kind.PONG, Kind.BYE) or header.payload_bytes:
            raise ProtocolError(f"{header.kind.name} of {header.payload_bytes} bytes does not belong on this end of a link")
        return NOTHING

    def arrived(self, header: Header) -> None:
        if header.kind is Kind.PING:
            self._pong = header.frame
        elif header.kind is Kind.BYE:
            self._left = True
            raise ConnectionError("the peer closed the connection")

    def _fresh(self) -> Standing:
        """How far this end is at the beginning of a new link."""
        return Standing()

    def _begin(self) -> None:
        """A new link."""

    def _standing(self) -> Standing:
        """How far this end is, if it receives."""
        return Standing()

    def _resume(self, there: Standing) -> None:
        """A new connection, to an end that is so far if it receives."""

    def _lost(self, why: str) -> None:
        """The link is over."""

    def _live(self, greeting: Greeting | None) -> None:
        why = "it was unlinked"
        while greeting is not None:
            try:
                self._carry(greeting)
                break
            except OSError as error:
                why = str(error)
            except EdgekitError as error:
                why = str(error)
                if self.name == end_name("client"):  # the stage goes on, and so tells nobody
                    say(f"the link with {self.name} ended: {why}")
                break
            finally:
                greeting.carrier.close()
            greeting = None if self._left or self._over else self._again()
            self.tally.resumed += greeting is not None
        with self._changes:
            self._thread = self._redial = None
            if self._offer is not None:
                self._offer.carrier.close()
                self._offer = None
        if not self._superseded:
            self._lost(f"lost {self.name}: {why}")

    def _carry(self, greeting: Greeting) -> None:
        line, there, waits = greeting
        if waits:
            line.welcome(self._standing())
        self._resume(there)
        with self._changes:
            if self._over:
                line.end()
            self._line = line
        try:
            line.run(self)
        finally:
            with self._changes:
                self._line = None

    def _again(self) -> Greeting | None:
        """Another connection for this link, dialled or offered; None: there is none in time."""
        until, waits = time.monotonic() + (RESUME_S if self.resumes else 0.0), pauses(*AGAIN_S)
        while not self._over and time.monotonic() < until:
            if self._redial is not None:
                try:
                    left_s = until - time.monotonic()
                    return self._redial(self._standing(), max(min(left_s, REDIAL_S), LEAST_S))
                except Refused:
                    return None
                except (DeviceError, OSError):
                    pass
            with self._changes:
                self._changes.wait_for(lambda: self._over or self._offer, next(waits) if self._redial else until - time.monotonic())
                greeting, self._offer = self._offer, None
            if greeting is not None:
                return greeting
        return None
