"""Callers over gRPC: greeted, and let in or told why not; beside them, whoever asks the standard health service."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from edgekit.errors import EdgekitError, ProtocolError
from edgekit.runtime.links import greeting
from edgekit.runtime.links.carrier import Gate
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.greeting import Hello
from edgekit.runtime.links.rpc.channel_options import BOTH, METHOD, SERVICE, address_of
from edgekit.runtime.links.rpc.stream import RpcLine

__all__ = ["RpcReception"]

MOST_STREAMS = 256
"""Callers at once: each has a thread, also those who never greet."""

LOOK_S = 0.2
"""How often it is looked whether all is well, so that those who watch are told."""


class RpcReception:
    """A gRPC server.

    Raises:
        OSError: the address is not to be had.
    """

    def __init__(self, gate: Gate):
        self._gate = gate
        self._pool = ThreadPoolExecutor(MOST_STREAMS, "stream")
        options = (
            *BOTH,
            ("grpc.so_reuseport", 0),  # an address that somebody has is not to be had
            ("grpc.server_handshake_timeout_ms", int(1e3 * greeting.HANDSHAKE_S)),
        )
        self._server = grpc.server(self._pool, options=options, maximum_concurrent_rpcs=MOST_STREAMS)
        carry: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._greet)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: carry}),))
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.address = gate.address[0], self._bound()
        self._over = threading.Event()
        self._server.start()
        threading.Thread(target=self._look, name="health", daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._health.enter_graceful_shutdown()
        self._server.stop(None).wait()
        self._pool.shutdown(wait=False)

    def _bound(self) -> int:
        address, guard = address_of(*self._gate.address), self._gate.guard
        try:
            if guard is None:
                return self._server.add_insecure_port(address)
            keys = guard.keys
            pair = keys.key.encode(), keys.certificate.encode()
            return self._server.add_secure_port(address, grpc.ssl_server_credentials([pair], keys.authority.encode(), True))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from error

    def _greet(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> RpcLine:
        peer = unquote(context.peer().partition(":")[2])
        line = RpcLine(self.address[0], _names(context) if self._gate.guard else None, context.cancel)
        if not context.add_callback(lambda: line.lost(ConnectionError("the peer closed the connection"))):
            line.close()
            return line
        threading.Thread(target=line.read, args=(messages,), name="reading", daemon=True).start()
        try:
            self._gate.admit(line, _hello(line))
        except EdgekitError as error:
            self._gate.say(f"refused {peer}: {error}")
            line.refuse(str(error))
        except OSError as error:
            self._gate.say(f"hung up on {peer}: {error}")
            line.close()
        return line

    def _look(self) -> None:
        status = health_pb2.HealthCheckResponse
        known = None
        while not self._over.wait(LOOK_S):
            if (well := self._gate.well()) is not known:
                known = well
                self._health.set("", status.SERVING if well else status.NOT_SERVING)


def _hello(line: RpcLine) -> Hello:
    """The greeting on a stream, within HANDSHAKE_S."""
    kind, note = line.hear(time.monotonic() + greeting.HANDSHAKE_S)
    if kind is not Kind.HELLO:
        raise ProtocolError(f"expected HELLO, got {kind.name}")
    return greeting.decode_hello(note)


def _names(context: grpc.ServicerContext) -> tuple[str, ...]:
    """What the caller's certificate calls it, as ``tls.named`` does."""
    known: Mapping[str, Any] = context.auth_context()
    return tuple(name.decode(errors="replace") for name in known.get("peer_uri", ()))
