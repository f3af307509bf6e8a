"""The client of a running pipeline: source of inputs, sink of results, and the clock that latencies are read from."""

import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DeviceError, EdgekitError, FrameError, StageError, UsageError
from edgekit.graph import Tensor
from edgekit.plan import CLIENT
from edgekit.runtime.frames import Kind
from edgekit.runtime.joint import Inlets, Outlets, Turn
from edgekit.runtime.verbs import End, Port, end_name
from edgekit.runtime.wire import Hello, dial

__all__ = ["Client", "Result", "Streaming", "check_frame", "check_window"]

Arrays = Mapping[str, NDArray[np.generic]]
Route = tuple[End, int, End, int]

PATIENCE_S = 60.0
"""Time without any result after which a pipeline with frames in it counts as hung."""

RETURN_S = 2.0
"""Time that a stage has to notice that the client before this one has gone."""

GOODBYE_S = 2.0
"""Time that the threads of a stream have to end; only a caller's iterable that blocks takes longer."""

WINDOW = 8

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


class Streaming(Protocol):
    """What can stream frames through a plan: a client of real stages, or a virtual one."""

    def stream(self, frames: Iterable[Arrays], window: int = WINDOW, arrivals_s: Sequence[float] | None = None) -> Iterator[Result]:
        """Results in the order of the frames, at most ``window`` of them in flight.

        ``arrivals_s``: open loop; intended time of each frame, in seconds from the start.
        """


def check_frame(arrays: Arrays, tensors: tuple[Tensor, ...], what: str) -> None:
    """Refuse inputs that are not those of the graph.

    Raises:
        FrameError: names, shapes or types differ.
    """
    for tensor in tensors:
        if tensor.name not in arrays:
            raise FrameError(
                f"{what}: expected an input {tensor.name!r}, got {', '.join(arrays) or 'nothing'}; name the arrays like the inputs"
            )
        array = arrays[tensor.name]
        if tuple(array.shape) != tensor.shape or array.dtype != tensor.dtype:
            raise FrameError(
                f"{what}: input {tensor.name!r} is expected as {tensor.dtype} {list(tensor.shape or ())}, "
                f"got {array.dtype} {list(array.shape)}; convert it first"
            )


def check_window(window: int) -> None:
    """Refuse a stream that no frame could enter.

    Raises:
        UsageError: the window is below 1.
    """
    if window < 1:
        raise UsageError(f"expected at least 1 frame in flight, got a window of {window}; raise it")


class _Stream:
    """State that the feeding thread and the reading caller share."""

    def __init__(self, window: int):
        self.credit = threading.Semaphore(window)
        self.left = threading.Event()
        self.times: dict[int, tuple[float, float]] = {}
        self.sent = 0
        self.error: Exception | None = None

    def leave(self) -> None:
        """Let the feeding thread go home."""
        self.left.set()
        self.credit.release()


class Client:
    """Links to the first and last stages of a plan. One stream at a time; one that is left before its end hangs up.

    ``names`` are what errors call the stages, with their devices.
    """

    def __init__(
        self,
        plan: str,
        ports: tuple[tuple[Port, ...], tuple[Port, ...]],
        addresses: Mapping[Route, tuple[str, int]],
        names: Sequence[str] = (),
    ):
        self._sources, self._receivers = ports
        self._names = names
        self._epoch = 0
        self._streaming = self._closed = False
        self.inlets = Inlets(self._sources)
        self.outlets = Outlets(self._receivers)
        until = time.monotonic() + RETURN_S
        try:
            for end, replica in self.inlets.links:
                hello = Hello(plan, end, replica, CLIENT, 0, gives=False)
                sock = _dial(addresses[end, replica, CLIENT, 0], hello, end_name(end), until)
                self.inlets.links[end, replica].attach(sock, returning=False)
            for end, replica in self.outlets.links:
                hello = Hello(plan, CLIENT, 0, end, replica)
                self.outlets.links[end, replica].attach(_dial(addresses[CLIENT, 0, end, replica], hello, end_name(end), until))
        except OSError as error:
            self.close()
            raise DeviceError(f"the pipeline hung up while it was greeted ({error}); see edgekit status, then deploy again") from error
        except BaseException:
            self.close()
            raise

    def stream(self, frames: Iterable[Arrays], window: int = WINDOW, arrivals_s: Sequence[float] | None = None) -> Iterator[Result]:
        """See ``Streaming``. When a stage is lost, every frame in flight ends with its StageError.

        Raises:
            FrameError: an input does not fit; the results before it have been yielded.
            StageError: after a loss, once the frames in flight have been accounted for.
            UsageError: another stream is going on, or was left before its end.
        """
        check_window(window)
        self._begin()
        epoch = self._epoch
        state = _Stream(window if arrivals_s is None else 2**31)
        feeder = threading.Thread(target=self._feed, args=(frames, arrivals_s, epoch, state), name="source", daemon=True)
        feeder.start()
        frame, whole = 0, False
        try:
            while (turn := self._take(frame, epoch, state)).kind is not Kind.END:
                if turn.lost:
                    yield from self._lose(turn.note, frame, state)
                yield self._result(frame, turn, state)
                state.credit.release()
                frame += 1
            state.leave()
            feeder.join()
            if frame < state.sent or any(link.broken for link in self.outlets.links.values()):
                yield from self._lose("the link to the first stage ended", frame, state)
            whole = True
        finally:
            self._streaming = False
            state.leave()
            if not whole:  # frames are still under way: only hanging up keeps them out of the next stream
                self.close()
                feeder.join(GOODBYE_S)
        if state.error is not None:
            raise state.error

    def close(self) -> None:
        """Hang up. Frames in flight are discarded by the stages."""
        self._closed = True
        for outlet in self.outlets.links.values():
            outlet.abort()
        self.inlets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self) -> None:
        if self._streaming:
            raise UsageError("this client is in the middle of a stream; read that to its end first")
        if self._closed:
            raise UsageError("this client has hung up, as it does when a stream is left before its end; open another one")
        self._streaming = True
        self._epoch = max(self._epoch + 1, time.time_ns() // 1_000_000 & 0xFFFFFFFF)

    def _feed(self, frames: Iterable[Arrays], arrivals_s: Sequence[float] | None, epoch: int, state: _Stream) -> None:
        start = time.perf_counter()
        try:
            for frame, arrays in enumerate(frames):
                for port in self._receivers:
                    check_frame(arrays, port.tensors, f"frame {frame}")
                intended = time.perf_counter() if arrivals_s is None else start + arrivals_s[frame]
                state.left.wait(max(intended - time.perf_counter(), 0))
                state.credit.acquire()
                if state.left.is_set():
                    break
                slots = self.outlets.acquire(frame)
                for slot in slots:
                    for name, view in slot.views.items():
                        view[...] = arrays[name]
                sent = time.perf_counter()
                state.times[frame] = (sent if arrivals_s is None else intended, sent)
                state.sent = frame + 1
                self.outlets.give(epoch, frame, slots)
        except Exception as error:  # the caller's iterable may raise anything; it is raised again where results are read
            state.error = error
        self.outlets.end(epoch)

    def _take(self, frame: int, epoch: int, state: _Stream) -> Turn:
        while True:
            try:
                return self.inlets.take(frame, epoch, PATIENCE_S)
            except TimeoutError as error:
                if state.sent > frame:
                    return Turn(Kind.FAIL, epoch, {}, f"{error}, with {state.sent - frame} frames in the pipeline", lost=True)

    def _result(self, frame: int, turn: Turn, state: _Stream) -> Result:
        done = time.perf_counter()
        outputs, error = None, None
        if turn.kind is Kind.FAIL:
            error = self._error(turn.note, frame)
        else:
            outputs = {name: view.copy() for name, view in turn.arrays.items()}
            self.inlets.done()
        return Result(frame, outputs, error, *state.times.pop(frame), done)

    def _lose(self, note: str, frame: int, state: _Stream) -> Iterator[Result]:
        """Account for every frame in flight, then raise."""
        state.leave()
        while frame < state.sent:
            yield Result(frame, None, self._error(note, frame), *state.times.pop(frame), time.perf_counter())
            frame += 1
        if isinstance(state.error, EdgekitError) and not isinstance(state.error, DeviceError):
            raise state.error
        raise self._error(note, None)

    def _error(self, note: str, frame: int | None) -> StageError:
        what = "the pipeline" if frame is None else f"frame {frame}"
        lost = _LOST.findall(note)
        if not lost:
            return StageError(f"{what} failed: {note}", stage=note.partition(":")[0], frame=frame)
        index = int(lost[-1])  # the first to tell is the nearest to the loss
        name = self._names[index] if index < len(self._names) else f"stage {index}"
        return StageError(f"{what} failed: {name} is lost ({note}); see edgekit logs, then deploy again", stage=name, frame=frame)


def _dial(address: tuple[str, int], hello: Hello, who: str, until_s: float) -> socket.socket:
    """Open a link; where a client has just left, the stage may need a moment to notice."""
    while True:
        try:
            return dial(*address, hello, who)
        except DeviceError:
            if time.monotonic() > until_s:
                raise
        time.sleep(0.02)
