"""Control messages: typed requests and replies with an optional blob, over any stream socket.

┌───────────┬────────────┬──────┬──────┐
│ JSON u32  │ blob u64   │ JSON │ blob │
└───────────┴────────────┴──────┴──────┘
"""

import io
import socket
import struct
import threading
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from edgekit.errors import DeviceError, EdgekitError, FrameError, GraphError, PlanError, ProtocolError, StageError, UsageError
from edgekit.runtime.links.sockets import hang_up

__all__ = ["AHEAD", "Channel", "Failure", "Stream"]

_LENGTHS = struct.Struct("!IQ")
CHUNK_BYTES = 256 * 1024
AHEAD = 4
"""Requests that are sent before the first is answered, where there are several: the peer never waits for the next one."""

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_BLOB_BYTES = 4 * 1024**3

_ERRORS: dict[str, type[EdgekitError]] = {
    kind.__name__: kind for kind in (DeviceError, FrameError, GraphError, PlanError, ProtocolError, StageError, UsageError)
}


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The reply to a request that could not be carried out."""

    kind: str
    text: str


class Stream(Protocol):
    """Bytes both ways: a socket, or whatever an address scheme has instead."""

    def sendall(self, data: bytes | memoryview, /) -> None:
        """Send all of ``data``; OSError when the peer has gone."""

    def recv(self, count: int, /) -> bytes:
        """Up to ``count`` bytes; none at the end."""

    def close(self) -> None:
        """End it."""


class Channel:
    """One end of a control connection. The peer answers each request with one reply, in turn."""

    def __init__(self, stream: Stream, peer: str):
        self._stream = stream
        self.peer = peer
        self.closed = False
        """Whether the connection has ended here."""
        self._sending = threading.Lock()

    def send(self, message: msgspec.Struct, blob: bytes | memoryview = b"") -> None:
        """Send a message."""
        data = msgspec.json.encode(message)
        try:
            with self._sending:
                self._stream.sendall(_LENGTHS.pack(len(data), len(blob)) + data)
                if len(blob):
                    self._stream.sendall(blob)
        except OSError as error:
            raise DeviceError(f"{self.peer} went away ({error.strerror or error}); see its log, then start it again") from error

    def receive(self, kind: Any) -> tuple[Any, bytes]:
        """The next message, of type ``kind`` (a union, usually), and its blob.

        Raises:
            DeviceError: the peer went away.
            ProtocolError: what came is no such message.
        """
        json_bytes, blob_bytes = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        if json_bytes > MAX_JSON_BYTES or blob_bytes > MAX_BLOB_BYTES:
            raise ProtocolError(f"{self.peer} announces a message of {json_bytes} + {blob_bytes} bytes; that is not one of ours")
        data = self._exactly(json_bytes)
        blob = self._exactly(blob_bytes)
        try:
            return msgspec.json.decode(data, type=kind), blob
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(f"{self.peer} sent an unknown message ({error}); bring both to one edgekit") from error

    def ask(
        self, request: msgspec.Struct, reply: Any, *, blob: bytes | memoryview = b"", within_s: float | None = None
    ) -> tuple[Any, bytes]:
        """Send a request and wait for its reply, not for ever where ``within_s``; a Failure is raised as the error that it stands for.

        Whatever else goes wrong, an interrupt too, ends the connection: a late reply could not be told from the next one.
        """
        if within_s is None:
            return self.ask_ahead([(request, blob)], reply)
        late = threading.Event()

        def end() -> None:
            late.set()
            self.close()

        alarm = threading.Timer(within_s, end)
        alarm.daemon = True
        alarm.start()
        try:
            return self.ask_ahead([(request, blob)], reply)
        except DeviceError:
            if late.is_set():
                raise DeviceError(
                    f"{self.peer}: its agent has not answered for {within_s:g} s; is it stopped, or its machine stuck?"
                ) from None
            raise
        finally:
            alarm.cancel()

    def ask_ahead(self, requests: Iterable[tuple[msgspec.Struct, bytes | memoryview]], reply: Any) -> tuple[Any, bytes]:
        """The same for several requests, of which up to AHEAD are under way: the last reply, or the first Failure."""
        heard: list[tuple[Any, bytes]] = []
        sent = 0
        try:
            for request, blob in requests:
                if sent - len(heard) == AHEAD:
                    heard.append(self.receive(reply | Failure))
                    if isinstance(heard[-1][0], Failure):
                        break
                self.send(request, blob)
                sent += 1
            while len(heard) < sent:
                heard.append(self.receive(reply | Failure))
        except BaseException:
            self.close()
            raise
        for answer, _ in heard:
            if isinstance(answer, Failure):
                raise _ERRORS.get(answer.kind, DeviceError)(f"{self.peer}: {answer.text}")
        return heard[-1]

    def close(self) -> None:
        """End the connection; whoever waits on it wakes up."""
        self.closed = True
        if isinstance(self._stream, socket.socket):
            hang_up(self._stream)
        self._stream.close()

    def _exactly(self, count: int) -> bytes:
        data = io.BytesIO()  # grows with what really comes, whatever was announced; and is not copied at the end
        while (left := count - data.tell()) > 0:
            try:
                got = self._stream.recv(min(left, CHUNK_BYTES))
            except OSError as error:
                raise DeviceError(f"{self.peer} went away ({error.strerror or error})") from error
            if not got:
                raise DeviceError(f"{self.peer} closed its control connection; see its log, then start it again")
            data.write(got)
        return data.getvalue()
