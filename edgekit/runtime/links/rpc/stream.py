"""One stream of gRPC as the carrier of a link.

    gRPC asks for the next one ─▶ [ 2 messages at most ] ◀── the link
    a thread reads on ──────────▶ [ 2 messages at most ] ──▶

Both ends of gRPC block, so each has a thread of its own. The pings of HTTP/2 go on where a bit has flipped in the length of a
message, and all that follows is waited for in vain: they say nothing of the link.
"""

from collections.abc import Callable, Iterator
from queue import SimpleQueue

import grpc

from edgekit.runtime.links.messages import MessageLine, Views

__all__ = ["PIECE_BYTES", "RpcLine"]

PIECE_BYTES = 512 * 1024
"""Longest message."""

AHEAD = 2
"""Messages that gRPC may be ahead of the link in either direction."""


class RpcLine(MessageLine):
    """A stream of gRPC, which ``hang_up`` ends; it is the iterator from which gRPC takes what goes out."""

    def __init__(self, here: str, names: tuple[str, ...] | None, hang_up: Callable[[], object]):
        super().__init__(here, names, PIECE_BYTES, AHEAD)
        self._hang_up = hang_up
        self._out: SimpleQueue[bytes | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(AHEAD - 1):
            self._room.put(None)

    def close(self) -> None:
        self._finish()
        self._hang_up()
        self._follow()

    def read(self, messages: Iterator[bytes]) -> None:
        """Read on, as far as the link follows; for a thread of its own."""
        try:
            for message in messages:
                self.come((memoryview(message),))
                self._room.get()
            self.lost(ConnectionError("the peer closed the connection"))
        except grpc.RpcError as error:
            self.lost(_reason(error))

    def lost(self, why: OSError) -> None:
        super().lost(why)
        self._follow()

    def __iter__(self) -> "RpcLine":
        return self

    def __next__(self) -> bytes:
        message = self._out.get()
        if message is None:
            raise StopIteration
        self.went()
        return message

    def _send(self, message: Views) -> None:
        self._out.put(b"".join(message))

    def _finish(self) -> None:
        self._out.put(None)

    def _follow(self) -> None:
        self._room.put(None)


def _reason(error: grpc.RpcError) -> OSError:
    """Why a stream has ended, as a socket would say it."""
    details = str(error.details() or error.code().name) if isinstance(error, grpc.Call) else "the peer closed the connection"
    return ConnectionRefusedError(details) if "Connection refused" in details else ConnectionError(details)
