"""Callers over torch RPC: they come on a connection, are told which agent to call, and greet there.

    caller ── PING ──▶ listener
           ◀─ PONG: its agent, a token ──
           ══ give(HELLO), take() of the agent ══▶ as on any link

Who speaks another transport begins otherwise, and is turned away.
"""

import secrets
import socket
import time

import msgspec

from benchmarks.torchrpc.agent import agent
from benchmarks.torchrpc.listener import AnsweringLine
from edgekit.errors import EdgekitError, ProtocolError
from edgekit.runtime.links import greeting
from edgekit.runtime.links.carrier import Gate
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.reception import SocketReception

__all__ = ["Meeting", "TorchReception"]


class Meeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the agent of a listener is to be called, and for whom."""

    url: str
    token: str


class TorchReception(SocketReception):
    """Those who are to call the agent of this process.

    Raises:
        OSError: the address is not to be had.
        DeviceError: the agent cannot listen there.
    """

    def __init__(self, gate: Gate):
        self._agent = agent(gate.address[0])
        super().__init__(gate)

    def _greet(self, sock: socket.socket) -> None:
        peer = "somebody"
        try:
            peer = "{}:{}".format(*sock.getpeername()[:2])
            end_s = time.monotonic() + greeting.HANDSHAKE_S
            kind, _ = greeting.receive_note(sock, end_s)
            if kind is not Kind.PING:
                raise ProtocolError(f"expected PING, got {kind.name}; links here are of torch RPC")
            met = Meeting(self._agent.url, secrets.token_hex(16))
            line = AnsweringLine(sock, met.token)
            greeting.send_note(sock, Kind.PONG, msgspec.msgpack.encode(met))
        except EdgekitError as error:
            self._gate.say(f"refused {peer}: {error}")
            greeting.refuse(sock, str(error))
        except OSError as error:
            self._gate.say(f"hung up on {peer}: {error}")
            sock.close()
        else:
            self._admit(sock, line, peer, end_s)
            line.watch()

    def _admit(self, sock: socket.socket, line: AnsweringLine, peer: str, end_s: float) -> None:
        try:
            kind, note = line.hear(end_s)
            if kind is not Kind.HELLO:
                raise ProtocolError(f"expected HELLO, got {kind.name}")
            hello = greeting.decode_hello(note)
            sock.settimeout(None)
            self._gate.admit(line, hello)
        except EdgekitError as error:
            self._gate.say(f"refused {peer}: {error}")
            line.refuse(str(error))
            sock.settimeout(greeting.HANDSHAKE_S)  # in which it has heard so and gone
        except OSError as error:
            self._gate.say(f"hung up on {peer}: {error}")
            line.close()
