"""The receiving side of a stream: the result of each frame, in order, by its deadline."""

import re
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.deploy.client.source import Source
from edgekit.errors import DeadlineError, StageError
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.joint import Turn

__all__ = ["LOOK_S", "Result", "Sink", "too_late"]

Arrays = Mapping[str, NDArray[np.generic]]

PATIENCE_S = 60.0
"""Time without any result after which a pipeline with frames in it counts as hung."""

LOOK_S = 0.5
"""How often it is looked after the first stages meanwhile."""

NEWS_S = 3.0
"""Silence after which a first stage that is lost is all that is known: those behind it would have told why."""

_LOST = re.compile(r"(?:lost|nothing came from) stage (\d+)")


class Result(NamedTuple):
    """What became of one frame: outputs by name, or the error that ended it. Times in seconds of one clock."""

    frame: int
    outputs: Arrays | None
    error: StageError | None
    intended_s: float
    sent_s: float
    done_s: float

    def value(self) -> Arrays:
        """The outputs.

        Raises:
            StageError: the frame failed.
        """
        if self.error is not None:
            raise self.error
        assert self.outputs is not None
        return self.outputs


def too_late(frame: int, deadline_s: float) -> DeadlineError:
    """The error that ends a frame at its deadline."""
    return DeadlineError(f"frame {frame} has no result after {deadline_s:g} s; allow more time, or send fewer frames", frame=frame)


class Sink:
    """Answers the frames of a source, one after the other.

    ``deadline_s``: counted from when a frame was meant to be sent; None: there is none.
    """

    def __init__(self, source: Source, deadline_s: float | None = None):
        self._source, self._deadline_s = source, deadline_s
        self._heard = (0, time.perf_counter())
        self._missed_s: float | None = None
        """When a first stage was found lost, of which nobody has told yet."""

    def take(self) -> Turn | None:
        """The next turn; None: the deadline of its frame has passed before.

        A first stage that is lost, and silence where frames are under way, are a loss.
        """
        source = self._source
        while True:
            self._drain()
            leg = source.legs[0]
            try:
                turn = leg.ends.inlets.take(source.answered - leg.first, leg.epoch, self.wait_s)
                if not turn.lost:
                    self._missed_s = None
                return turn
            except TimeoutError as error:
                if self.late:
                    return None
                silent_s = self._silent_s()
                lost = next((each.ends.lost for each in source.legs if each.ends.lost), "")
                if self._missed_for_s(lost) >= NEWS_S <= silent_s:
                    return Turn(Kind.FAIL, leg.epoch, {}, f"lost {lost}: its connection ended", lost=True)
                if silent_s >= PATIENCE_S:
                    silent = f"{str(error).partition(' for ')[0]} for {PATIENCE_S:g} s"
                    what = f"{silent}, with {source.sent - source.answered} frames in the pipeline"
                    return Turn(Kind.FAIL, leg.epoch, {}, what, lost=True)

    def forget_loss(self) -> float:
        """Time since a loss was first noticed, which is the past from now on."""
        since_s = 0.0 if self._missed_s is None else time.perf_counter() - self._missed_s
        self._missed_s = None
        return since_s

    @property
    def wait_s(self) -> float:
        """How long to wait at most before deadlines and stages are to be looked after."""
        times = self._source.times
        if self._deadline_s is None or times is None:
            return LOOK_S
        return min(LOOK_S, max(times.intended_s + self._deadline_s - time.perf_counter(), 0.0))

    @property
    def late(self) -> bool:
        """Whether the deadline of the frame whose result is due has passed."""
        times = self._source.times
        return self._deadline_s is not None and times is not None and time.perf_counter() >= times.intended_s + self._deadline_s

    def result(self, turn: Turn) -> Result:
        """What a turn says of its frame."""
        if turn.kind is Kind.FAIL:
            return self.failed(turn.note)
        done_s = time.perf_counter()
        outputs = {name: view.copy() for name, view in turn.arrays.items()}
        self._source.legs[0].ends.inlets.done()
        frame, times = self._source.answer()
        return Result(frame, outputs, None, times.intended_s, times.sent_s, done_s)

    def failed(self, note: str) -> Result:
        """The frame whose result is due has none, and why."""
        return self._ended(self.error(note, self._source.answered))

    def too_late(self) -> Result:
        """The frame whose result is due has none by its deadline."""
        assert self._deadline_s is not None
        return self._ended(too_late(self._source.answered, self._deadline_s))

    def error(self, note: str, frame: int | None) -> StageError:
        """A note as the error that it stands for, on a frame or (None) for good."""
        what = "the pipeline" if frame is None else f"frame {frame}"
        lost = _LOST.findall(note)
        if not lost:
            return StageError(f"{what} failed: {note}", stage=note.partition(":")[0], frame=frame)
        index, names = int(lost[-1]), self._source.legs[0].ends.target.names  # the first to tell is the nearest to the loss
        name = names[index] if index < len(names) else f"stage {index}"
        return StageError(f"{what} failed: {name} is lost ({note}); see edgekit logs, then deploy again", stage=name, frame=frame)

    def _ended(self, error: StageError) -> Result:
        frame, times = self._source.answer()
        return Result(frame, None, error, times.intended_s, times.sent_s, time.perf_counter())

    def _drain(self) -> None:
        """Hang up on what another release has taken over from, once the results of all its frames are there."""
        legs = self._source.legs
        while len(legs) > 1 and self._source.answered >= legs[1].first:
            threading.Thread(target=legs.popleft().ends.hang_up, name="leaving", daemon=True).start()

    def _missed_for_s(self, lost: str) -> float:
        """Time for which a first stage has been lost, through all deadlines that passed meanwhile: those behind it may tell why."""
        now = time.perf_counter()
        self._missed_s = (now if self._missed_s is None else self._missed_s) if lost else None
        return now - self._missed_s if self._missed_s is not None else 0.0

    def _silent_s(self) -> float:
        """Time for which nothing has come though something was to."""
        come, now = sum(leg.ends.inlets.come for leg in self._source.legs), time.perf_counter()
        if come != self._heard[0] or self._source.sent == self._source.answered:
            self._heard = come, now
        return now - self._heard[1]
