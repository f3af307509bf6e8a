"""What both ends of a link over torch RPC have in common: messages made of tensors, in their order, as long as the peer is there.

    caller ── give(message 1, 2 …) ─────▶ listener          long pieces as tensors in the link's own buffers
           ── take() ── its message ◀────                   some calls wait there for what it has to say
           ══ the connection on which they met ══           its end is the end of the line, as torch does not tell who has gone

Only the end that dialled calls the other, so only listeners have to be reached, as over sockets.
"""

import contextlib
import socket
import threading
from collections.abc import Sequence

import torch

from edgekit.runtime.links.messages import JOIN_BYTES, MessageLine, Views
from edgekit.runtime.links.sockets import hang_up

__all__ = ["AHEAD", "Parts", "TorchLine", "parts_of"]

PIECE_BYTES = 1024 * 1024
"""Longest message, which a link of 350 kB/s carries before silence counts as the end; longer ones cost fewer calls."""

AHEAD = 4
"""Calls under way in either direction."""

Parts = Sequence["torch.Tensor"]


class TorchLine(MessageLine):
    """An end of a link; ``watch`` has to run on a thread of its own."""

    def __init__(self, sock: socket.socket):
        super().__init__(sock.getsockname()[0], None, PIECE_BYTES, AHEAD)
        self._socket = sock
        self._lock = threading.Lock()
        self._sent = self._due = 0
        self._early: dict[int, Parts] = {}
        """Messages that came before those that precede them."""

    def close(self) -> None:
        hang_up(self._socket)

    def watch(self) -> None:
        """Read nothing until the peer hangs up, or this end does."""
        with self._socket, contextlib.suppress(OSError):
            while self._socket.recv(1024):
                pass
        self.lost(ConnectionError("the peer closed the connection"))

    def put(self, number: int, parts: Parts) -> None:
        """A message has come, as calls overtake each other."""
        with self._lock:
            self._early[number] = parts
            while (due := self._early.pop(self._due, None)) is not None:
                self._due += 1
                self.come([memoryview(part.numpy()) for part in due])


def parts_of(message: Views) -> Parts:
    """Tensors of its bytes: what is long shares its memory, what is short is joined."""
    parts, short = list[torch.Tensor](), bytearray()
    for view in message:
        if len(view) < JOIN_BYTES or view.readonly:
            short += view
            continue
        if short:
            parts.append(_tensor(short))
            short = bytearray()
        parts.append(_tensor(view))
    return [*parts, _tensor(short)] if short else parts


def _tensor(data: bytearray | memoryview) -> "torch.Tensor":
    return torch.frombuffer(data, dtype=torch.uint8)
