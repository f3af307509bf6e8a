"""Frames one at a time, each with a future of its result, over one stream.

submit(frame) ── waits while ``window`` frames have no result ──▶ stream
      └──▶ Future ◀── outputs | StageError | DeadlineError | cancelled
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Condition, Thread
from types import TracebackType
from typing import Self

import numpy as np

from edgekit.deploy.client.client import WINDOW, Streaming, check_window
from edgekit.deploy.client.sink import Arrays, Result
from edgekit.errors import UsageError
from edgekit.frame_files import check_frame

__all__ = ["Submitting"]


class Submitting:
    """Takes frames from any thread, one stream long; leaving the context waits for all results, or cancels them after an error.

    ``deadline_s``: as of a stream. A future that is cancelled before its frame is sent keeps it from being sent; one that is
    cancelled later leaves its result unread.
    """

    def __init__(self, client: Streaming, window: int = WINDOW, deadline_s: float | None = None):
        check_window(window)
        self._client, self._window, self._deadline_s = client, window, deadline_s
        self._changes = Condition()
        self._waiting: deque[tuple[Arrays, Future[Arrays]]] = deque()
        self._under_way: deque[Future[Arrays]] = deque()
        self._error: BaseException | None = None
        self._closed = False
        self._thread = Thread(target=self._run, name="submitting", daemon=True)
        self._thread.start()

    def submit(self, arrays: Arrays) -> "Future[Arrays]":
        """Send a frame, by input name; its outputs by name. The arrays may be used again at once.

        Raises:
            FrameError: it does not fit.
            UsageError: the stream has ended, and why.
        """
        check_frame(arrays, self._client.inputs, "the frame")
        kept = {tensor.name: np.array(arrays[tensor.name]) for tensor in self._client.inputs}
        future: Future[Arrays] = Future()
        with self._changes:
            self._changes.wait_for(lambda: self._over or len(self._waiting) + len(self._under_way) < self._window)
            if self._over:
                raise UsageError(f"no frame can be submitted any more: {self._error or 'the stream is closed'}") from self._error
            self._waiting.append((kept, future))
            self._changes.notify_all()
        return future

    def close(self) -> None:
        """Wait for all results, and end the stream."""
        with self._changes:
            self._closed = True
            self._changes.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            with self._changes:
                for future in (*self._under_way, *(future for _, future in self._waiting)):
                    future.cancel()
        self.close()

    @property
    def _over(self) -> bool:
        return self._closed or self._error is not None

    def _run(self) -> None:
        try:
            for result in self._client.stream(self._frames(), window=self._window, deadline_s=self._deadline_s):
                with self._changes:
                    future = self._under_way.popleft()
                    self._changes.notify_all()
                _settle(future, result)
        except BaseException as error:  # whoever waits for a result gets it, whoever submits learns of it
            with self._changes:
                self._error = error
                left = (*self._under_way, *(future for _, future in self._waiting))
                self._changes.notify_all()
            for future in left:
                _settle(future, error)

    def _frames(self) -> Iterator[Arrays]:
        while True:
            with self._changes:
                self._changes.wait_for(lambda: self._waiting or self._over)
                if not self._waiting:
                    return
                arrays, future = self._waiting.popleft()
                if future.cancelled():
                    future.set_running_or_notify_cancel()
                    self._changes.notify_all()
                    continue
                self._under_way.append(future)
            yield arrays


def _settle(future: "Future[Arrays]", outcome: Result | BaseException) -> None:
    """Hand over what has become of a frame, if anybody still waits for it."""
    if not future.set_running_or_notify_cancel():
        return
    error = outcome.error if isinstance(outcome, Result) else outcome
    if error is not None:
        future.set_exception(error)
    elif isinstance(outcome, Result):
        future.set_result(outcome.value())
