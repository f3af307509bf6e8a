"""The client of a running pipeline: source of inputs, sink of results, and the clock that latencies are read from.

linked ──a stage is lost──▶ hung up ──the plan has healed──▶ linked anew: frames without a result are given again
   │                           └──its time is over──▶ every frame in flight ends with its StageError
   └──another release serves──▶ linked with both: what is under way comes to its end, what follows goes to the new one
"""

import re
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from edgekit.deploy.client.client_links import Ends, Target
from edgekit.deploy.client.sink import LOOK_S, Arrays, Result, Sink
from edgekit.deploy.client.source import Source
from edgekit.errors import DeviceError, EdgekitError, UsageError
from edgekit.graph import Tensor
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.greeting import Refused
from edgekit.runtime.links.joint import Outlets

__all__ = ["Client", "Follow", "Streaming", "check_window"]

RETURN_S = 2.0
"""Time that a stage has to notice that the client before this one has gone."""

RECOVERY_S = 8.0
"""Time that a stage has to come back whose machine answers, besides twice its model's load time."""

ABSENT_S = 5.0
"""Time that a machine that says nothing has to be there again.

A silent machine is noticed within 6 s, so that the error comes within 15 s.
"""

_SILENT = re.compile(r"(?:did|does) not answer|nothing was heard")
"""What an error says of a silent machine; a stage that waits for one passes it on when it refuses a link."""

TRIES = 4
"""Losses in a row, with no result between them, after which the frame that waits for its result is taken to be their cause."""

GOODBYE_S = 2.0
"""Time that the threads of a stream have to end; only a caller's iterable that blocks takes longer."""

WINDOW = 8


class Streaming(Protocol):
    """What can stream frames through a plan: a client of real stages, or a virtual one."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a frame consists of."""

    def stream(
        self,
        frames: Iterable[Arrays],
        *,
        window: int = WINDOW,
        arrivals_s: Sequence[float] | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Result]:
        """Results in the order of the frames, at most ``window`` of them in flight.

        ``arrivals_s``: open loop; intended time of each frame, in seconds from the start. ``deadline_s``: a frame that has no
        result so long after it was meant to be sent ends with a DeadlineError.
        """


class Follow(Protocol):
    """Knows of a pipeline that may be replaced while a client uses it."""

    def newest(self) -> Target:
        """What serves now."""

    def mending(self) -> bool:
        """Something is lost: whether another plan is on its way."""


def check_window(window: int) -> None:
    """Refuse a stream that no frame could enter.

    Raises:
        UsageError: the window is below 1.
    """
    if window < 1:
        raise UsageError(f"expected at least 1 frame in flight, got a window of {window}; raise it")


class Client:
    """Links to the first and last stages of a plan. One stream at a time; one that is left before its end hangs up.

    ``follow``: where to go on when another release takes over; None: it is never looked for.
    """

    def __init__(self, target: Target, follow: Follow | None = None):
        self._follow = follow
        self._epoch = 0
        self._source: Source | None = None
        self._closed = threading.Event()
        self._linking = threading.Lock()
        self._ends = Ends(target)
        try:
            self._ends.link(time.monotonic() + RETURN_S)
        except DeviceError:
            healed = threading.Event()
            if self._mending():
                self._link_anew(healed)
            if not healed.is_set():
                raise
        if follow is not None:
            threading.Thread(target=self._look, args=(follow,), name="following", daemon=True).start()

    def stream(
        self,
        frames: Iterable[Arrays],
        *,
        window: int = WINDOW,
        arrivals_s: Sequence[float] | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Result]:
        """See ``Streaming``. Where something is lost, the frames that have no result yet are given again once the plan has healed.

        What does not heal ends every frame in flight with its StageError; and so ends a frame that is lost again and again.

        Raises:
            FrameError: an input does not fit; the results before it have been yielded.
            StageError: after a loss for good, once the frames in flight have been accounted for.
            UsageError: another stream is going on, or was left before its end.
        """
        check_window(window)
        source = self._begin(window if arrivals_s is None else 2**31, arrivals_s)
        feeder = threading.Thread(target=source.feed, args=(frames,), name="source", daemon=True)
        feeder.start()
        try:
            yield from self._results(source, Sink(source, deadline_s))
            feeder.join()
            self._source = None
        finally:
            source.leave()
            if self._source is not None:  # frames are still under way: only hanging up keeps them out of the next stream
                self._source = None
                self.close()
                for leg in source.legs:
                    leg.ends.hang_up()
                feeder.join(GOODBYE_S)
        if source.error is not None:
            raise source.error

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a frame consists of."""
        return tuple(dict.fromkeys(tensor for port in self._ends.target.ports[1] for tensor in port.tensors))

    @property
    def outlets(self) -> Outlets:
        """Those that lead to the first stages."""
        return self._ends.outlets

    def close(self) -> None:
        """Hang up. Frames in flight are discarded by the stages."""
        self._closed.set()
        self._ends.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self, window: int, arrivals_s: Sequence[float] | None) -> Source:
        with self._linking:
            if self._source is not None:
                raise UsageError("this client is in the middle of a stream; read that to its end first")
            if self._closed.is_set():
                raise UsageError("this client has hung up, as it does when a stream is left before its end; open another one")
            source = self._source = Source(self._ends.target.ports[1], window, arrivals_s)
            source.start(self._ends, self._next_epoch())
            return source

    def _next_epoch(self) -> int:
        self._epoch = max(self._epoch + 1, time.time_ns() // 1_000_000 & 0xFFFFFFFF)
        return self._epoch

    def _results(self, source: Source, sink: Sink) -> Iterator[Result]:
        """All results of a stream, through losses."""
        losses, first = 0, 0
        while True:
            turn = sink.take()
            if turn is None:
                yield sink.too_late()
            elif turn.kind is Kind.END and source.ended and source.answered == source.sent:
                return
            elif turn.lost or turn.kind is Kind.END:
                note = turn.note or "the link to the first stage ended"
                losses = losses + 1 if source.answered == first else 1
                if losses == TRIES and source.answered < source.sent:
                    yield sink.failed(note)
                    losses = 0
                if not (yield from self._heal(source, sink)):
                    yield from self._lose(self._replaced or note, source, sink)
                source.start(self._ends, self._next_epoch(), one_by_one=losses > 1)
                first = source.answered
            else:
                yield sink.result(turn)

    def _heal(self, source: Source, sink: Sink) -> Generator[Result, None, bool]:
        """Link up anew once the plan has healed; whether it has in time. Deadlines pass meanwhile."""
        source.halt()
        healed = threading.Event()
        lost_s = time.monotonic() - sink.forget_loss()
        given = healed, source, lost_s
        healing = threading.Thread(target=self._link_anew, args=given, name="healing", daemon=True)
        healing.start()
        while healing.is_alive():
            healing.join(sink.wait_s)
            while sink.late:
                yield sink.too_late()
        return healed.is_set()

    def _link_anew(self, healed: threading.Event, source: Source | None = None, lost_s: float | None = None) -> None:
        """Link up anew after a loss, noticed at ``lost_s`` of the monotonic clock; None: now."""
        lost_s = time.monotonic() if lost_s is None else lost_s
        absent_s = min(ABSENT_S, RECOVERY_S)
        for leg in list(source.legs) if source else ():
            leg.ends.hang_up()  # first, as another release cannot take over from what is stuck
        with self._linking:
            self._ends.hang_up()  # those that another release was to take over with, too
            target = self._ends.target
            while not self._closed.is_set():
                target = self._successor(target)
                ends = Ends(target)
                try:
                    ends.link(lost_s + absent_s, partial(self._superseded, target))
                except DeviceError as error:
                    allowed_s = absent_s if _silent(error) else RECOVERY_S + 2 * target.load_s
                    if time.monotonic() > lost_s + allowed_s and not self._mending():
                        return
                    self._closed.wait(LOOK_S / 5)
                else:
                    self._ends = ends
                    if self._closed.is_set():
                        ends.hang_up()
                    healed.set()
                    return

    def _superseded(self, target: Target) -> bool:
        """Whether it is of no use to wait for the stages of a release any longer."""
        return self._closed.is_set() or self._mending() or self._successor(target) is not target

    def _mending(self) -> bool:
        return self._follow is not None and self._follow.mending()

    def _successor(self, target: Target) -> Target:
        """What serves in its place, where frames can go on."""
        newest = target if self._follow is None else self._follow.newest()
        return newest if newest.release != target.release and newest.takes_for(target) else target

    @property
    def _replaced(self) -> str:
        """That something else serves now, to which the frames cannot go on."""
        if self._follow is None or self._follow.newest().takes_for(self._ends.target):
            return ""
        return "a network with other inputs or outputs has been deployed in its place; open another client"

    def _look(self, follow: Follow) -> None:
        """Look out for another release, and move to it."""
        while not self._closed.wait(LOOK_S):
            with self._linking:
                target = self._successor(self._ends.target)
                if target is not self._ends.target and not self._closed.is_set():
                    self._move(target)

    def _move(self, target: Target) -> None:
        """Link with another release, and go on there; if it cannot be reached, it is tried again later."""
        ends, before, source = Ends(target), self._ends, self._source
        try:
            ends.link(time.monotonic() + RETURN_S)
        except DeviceError:
            return
        if source is None:
            self._ends = ends
            before.hang_up()
        elif source.move(ends, self._next_epoch()):
            self._ends = ends
        else:  # the stream is at its end, or has lost something: one of them goes on
            ends.hang_up()

    def _lose(self, note: str, source: Source, sink: Sink) -> Iterator[Result]:
        """Account for every frame in flight, then raise."""
        source.leave()
        while source.answered < source.sent:
            yield sink.failed(note)
        if isinstance(source.error, EdgekitError) and not isinstance(source.error, DeviceError):
            raise source.error
        raise sink.error(note, None)


def _silent(error: DeviceError) -> bool:
    """Whether a machine of the plan says nothing; a process that starts again refuses links."""
    return not isinstance(error, Refused) or _SILENT.search(str(error)) is not None
