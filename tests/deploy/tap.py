"""A TCP proxy that keeps what its dialler sends, so that a test can read what really travels from stage to stage."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from edgekit.runtime.links.frames import ALIGNMENT, CHECK_BYTES, HEADER_BYTES, MAGIC, Kind, decode_header
from edgekit.runtime.links.sockets import LOOPBACK, address_of, arrivals, hang_up

__all__ = ["Tap"]


class Tap:
    """Stands for ``host:port`` at an address of its own."""

    def __init__(self, host: str, port: int):
        self._target, self._listener = (host, port), socket.create_server((LOOPBACK, 0))
        self.address = address_of(self._listener)
        self._sent = bytearray()
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._serve, daemon=True).start()

    def payloads(self) -> list[bytes]:
        """Of each frame with tensors that has come through whole, in order."""
        data, found, at = bytes(self._sent), [], 0
        while (at := data.find(MAGIC.to_bytes(4), at)) >= 0 and at + HEADER_BYTES <= len(data):
            header = decode_header(data[at : at + HEADER_BYTES])
            begin = at + HEADER_BYTES + CHECK_BYTES + header.table_bytes
            at = begin + header.payload_bytes
            if header.kind is Kind.DATA and at <= len(data):
                found.append(data[begin:at])
        return found

    def _serve(self) -> None:
        for near in arrivals(self._listener):
            far = socket.create_connection(self._target)
            self._open += [near, far]
            threading.Thread(target=self._pump, args=(near, far, self._sent), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, bytearray()), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
        hang_up(source)
        hang_up(sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for sock in self._open:
            hang_up(sock)
            sock.close()


def padded(nbytes: int) -> int:
    """What a tensor takes in a payload."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
