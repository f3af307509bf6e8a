"""The end of a link that is called over torch RPC, and the two functions that its callers call."""

import socket
from collections import deque

from torch.distributed.rpc.functions import async_execution
from torch.futures import Future

from benchmarks.torchrpc.line import Parts, TorchLine, parts_of
from edgekit.runtime.links.messages import Views

__all__ = ["AnsweringLine", "Message", "give", "take"]

Message = tuple[int, Parts]
"""Its number, and what it is made of."""

_open: dict[str, "AnsweringLine"] = {}
"""Those that are there, by their tokens."""


class AnsweringLine(TorchLine):
    """Answers those who know its token."""

    def __init__(self, sock: socket.socket, token: str):
        super().__init__(sock)
        self._token = token
        self._waiting = deque["Future[Message | None]"]()
        """Calls for what this end has to say."""
        self._unasked = deque[Parts]()
        """What it has to say, as long as nobody asks."""
        _open[token] = self

    def watch(self) -> None:
        super().watch()
        with self._lock:
            _open.pop(self._token, None)
            waiting, self._waiting = self._waiting, deque()
        for answer in waiting:
            answer.set_result(None)

    def asked(self) -> "Future[Message | None]":
        """What this end says next, once it does; None: nothing any more."""
        answer: Future[Message | None] = Future()
        with self._lock:
            self._waiting.append(answer)
        self._answer()
        return answer

    def _send(self, message: Views) -> None:
        with self._lock:
            self._unasked.append(parts_of(message))
        self._answer()

    def _answer(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or not self._unasked:
                    return
                answer, said = self._waiting.popleft(), (self._sent, self._unasked.popleft())
                self._sent += 1
                self.went()
            answer.set_result(said)


def give(token: str, number: int, parts: Parts) -> bool:
    """Called from afar: a message for an end of a link; whether it is there."""
    line = _open.get(token)
    if line is not None:
        line.put(number, parts)
    return line is not None


@async_execution  # type: ignore[untyped-decorator]
def take(token: str) -> "Future[Message | None]":
    """Called from afar: the next message of an end of a link."""
    line = _open.get(token)
    if line is not None:
        return line.asked()
    nothing: Future[Message | None] = Future()
    nothing.set_result(None)
    return nothing
