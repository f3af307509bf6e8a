"""The sending side of a stream: frames are kept until their results are there, and given again after a loss.

    caller's iterable ─▶ kept ─▶ leg 1 ── END ── what is in it comes to its results
                           ├────▶ leg 2, when another release takes over: the frames that follow
                           └────▶ leg 3, after a loss: from the first frame that has no result yet

A leg is one epoch over one set of links. A result belongs to an epoch, and only those of the newest legs count. So each frame has
one result, whatever was lost or changed on the way.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.deploy.client.client_links import Ends
from edgekit.errors import DeviceError
from edgekit.frame_files import check_frame
from edgekit.runtime.verbs import Port

__all__ = ["Source", "Times"]

Arrays = Mapping[str, NDArray[np.generic]]


class _Leg(NamedTuple):
    """Frames of a stream from ``first`` on, as those of one epoch."""

    ends: Ends
    epoch: int
    first: int


class Times(NamedTuple):
    """When a frame was meant to be sent, was taken from the caller, and was sent; in seconds."""

    intended_s: float
    taken_s: float
    sent_s: float


class Source:
    """What one stream has given to a pipeline and not got back yet; at most ``window`` frames.

    ``arrivals_s``: intended time of each frame, in seconds from the start; None: as soon as there is room.
    """

    def __init__(self, ports: tuple[Port, ...], window: int, arrivals_s: Sequence[float] | None = None):
        self.sent = 0
        """Frames that have been given."""
        self.answered = 0
        """Frames that have their result."""
        self.ended = False
        """Whether the caller has no more."""
        self.error: Exception | None = None
        """What the caller's iterable raised."""
        self.legs: deque[_Leg] = deque()
        """Those that results still come from, the one that frames are given to last."""
        self._ports, self._arrivals_s = ports, arrivals_s
        self._credit = threading.Semaphore(window)
        self._left = threading.Event()
        self._kept: dict[int, Arrays] = {}
        self._times: dict[int, Times] = {}
        self._turn = threading.Lock()
        """Held by whoever gives frames: the caller's iterable, or what was lost and is given again."""
        self._news = threading.Condition()
        self._over = True

    def start(self, ends: Ends, epoch: int, one_by_one: bool = False) -> None:
        """Give the frames that have no result over new links; those that follow come behind them.

        The links before these have been closed. ``one_by_one``: each of them only when the one before has its result.
        """
        self._turn.acquire()
        self.legs = deque([_Leg(ends, epoch, self.answered)])
        self._over = False
        threading.Thread(target=self._give_again, args=(one_by_one,), name="replay", daemon=True).start()

    def move(self, ends: Ends, epoch: int) -> bool:
        """Give the frames that follow over new links; what is under way comes to its end over those before. Whether there are any."""
        with self._turn:
            if self.ended or self._over:
                return False
            before = self.legs[-1]
            self.legs.append(_Leg(ends, epoch, self.sent))
            before.ends.outlets.end(before.epoch)
            return True

    def feed(self, frames: Iterable[Arrays]) -> None:
        """Give all that the caller has, on a thread of its own."""
        start = time.perf_counter()
        try:
            for frame, arrays in enumerate(frames):
                for port in self._ports:
                    check_frame(arrays, port.tensors, f"frame {frame}")
                intended = None if self._arrivals_s is None else start + self._arrivals_s[frame]
                if intended is not None:
                    self._left.wait(max(intended - time.perf_counter(), 0))
                self._credit.acquire()
                if self._left.is_set():
                    break
                with self._turn:
                    self._kept[frame] = {tensor.name: np.array(arrays[tensor.name]) for port in self._ports for tensor in port.tensors}
                    now = time.perf_counter()
                    self._times[frame] = Times(now if intended is None else intended, now, now)
                    self.sent = frame + 1
                    self._give(frame)
        except Exception as error:  # the caller's iterable may raise anything; it is raised again where results are read
            self.error = error
        with self._turn:
            self.ended = True
            leg = self.legs[-1]
            leg.ends.outlets.end(leg.epoch)

    @property
    def times(self) -> Times | None:
        """Of the frame whose result is due; None: none has been sent."""
        return self._times.get(self.answered)

    def answer(self) -> tuple[int, Times]:
        """The frame whose result is due has it."""
        frame = self.answered
        with self._news:
            self.answered += 1
            del self._kept[frame]
            times = self._times.pop(frame)
            self._news.notify()
        self._credit.release()
        return frame, times

    def leave(self) -> None:
        """Nothing is to be given any more."""
        self._left.set()
        self._credit.release()
        self.halt()

    def halt(self) -> None:
        """The epoch is over: its links have been closed."""
        with self._news:
            self._over = True
            self._news.notify()

    def _give(self, frame: int) -> None:
        """Give a frame; one that was answered before, late, takes its turn without being computed."""
        leg = self.legs[-1]
        try:
            slots = leg.ends.outlets.acquire(frame - leg.first)
        except DeviceError:  # closed, because something was lost: it will be given again
            return
        arrays = self._kept.get(frame)
        if arrays is None:
            leg.ends.outlets.fail(leg.epoch, frame - leg.first, "its deadline has passed", slots)
            return
        for slot in slots:
            for name, view in slot.views.items():
                view[...] = arrays[name]
        with self._news:
            times = self._times.get(frame)
            if times is not None and times.sent_s == times.taken_s:
                now = time.perf_counter()
                self._times[frame] = Times(now if self._arrivals_s is None else times.intended_s, times.taken_s, now)
        leg.ends.outlets.give(leg.epoch, frame - leg.first, slots)

    def _give_again(self, one_by_one: bool) -> None:
        leg = self.legs[-1]
        try:
            for frame in range(leg.first, self.sent):
                self._give(frame)
                if one_by_one:
                    with self._news:
                        self._news.wait_for(lambda frame=frame: self.answered > frame or self._over)  # type: ignore[misc]
                if self._over:
                    return
            if self.ended:
                leg.ends.outlets.end(leg.epoch)
        finally:
            self._turn.release()
