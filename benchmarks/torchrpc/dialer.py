"""The end of a link that calls over torch RPC, once it has met the other on a connection that it dials."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from torch.distributed import rpc

from benchmarks.torchrpc.agent import Agent, agent
from benchmarks.torchrpc.line import AHEAD, TorchLine, parts_of
from benchmarks.torchrpc.listener import Message, give, take
from benchmarks.torchrpc.reception import Meeting
from edgekit.errors import DeviceError
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.greeting import Door, Hello, Refused, decode_standing, reach, receive_note, send_note
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.messages import Views

__all__ = ["CallingLine", "dial"]


class CallingLine(TorchLine):
    """Calls whoever answers at the other end."""

    def __init__(self, sock: socket.socket, met: Meeting, here: Agent):
        super().__init__(sock)
        self._met, self._agent = met, here
        self._peer = here.peer(met.url)
        threading.Thread(target=self.watch, name="watching", daemon=True).start()
        for _ in range(AHEAD):
            self._ask()

    def _send(self, message: Views) -> None:
        number, self._sent = self._sent, self._sent + 1
        self._call(self._taken, give, self._met.token, number, parts_of(message))

    def _taken(self, known: bool) -> None:
        if not known:
            self.lost(ConnectionError("the peer closed the connection"))
            return
        with self._lock:
            self.went()

    def _ask(self) -> None:
        self._call(self._told, take, self._met.token)

    def _told(self, message: Message | None) -> None:
        if message is None:
            self.lost(ConnectionError("the peer closed the connection"))
            return
        self.put(*message)
        self._ask()

    def _call(self, done: Callable[[Any], None], function: Callable[..., object], *arguments: object) -> None:
        def ended(answer: Any) -> None:
            try:
                done(answer.value())
            except RuntimeError as error:
                self._failed(error)

        try:
            rpc.rpc_async(self._peer, function, arguments).add_done_callback(ended)
        except RuntimeError as error:
            self._failed(error)

    def _failed(self, error: RuntimeError) -> None:
        self._agent.forget(self._met.url, self._peer)
        self.lost(ConnectionError(str(error).partition("\n")[0]))


def dial(door: Door, hello: Hello, who: str, within_s: float) -> tuple[CallingLine, Standing]:
    """As ``wire.dial``, with the agent of whoever listens there."""
    end_s = time.monotonic() + within_s
    here = agent()
    sock = reach(door, who, within_s)
    hang_up = sock.close
    try:
        send_note(sock, Kind.PING)
        kind, note = receive_note(sock, end_s)
        if kind is Kind.PONG:
            sock.settimeout(None)
            line = CallingLine(sock, msgspec.msgpack.decode(note, type=Meeting), here)
            hang_up = line.close
            line.say(Kind.HELLO, msgspec.msgpack.encode(hello))
            kind, note = line.hear(end_s)
            if kind is Kind.WELCOME:
                return line, decode_standing(note)
        raise Refused(f"{who} refused the link: {note.decode(errors='replace')}")
    except (OSError, msgspec.DecodeError) as error:
        hang_up()
        raise DeviceError(f"{who} at {door.host}:{door.port} did not answer the greeting ({error}); is it running?") from error
    except BaseException:
        hang_up()
        raise
