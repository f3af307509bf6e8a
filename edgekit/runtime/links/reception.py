"""Callers of a socket: secured, greeted, and let in or told why not, each on a thread of its own."""

import socket
import threading

from edgekit.errors import EdgekitError
from edgekit.runtime.links.carrier import Gate
from edgekit.runtime.links.greeting import accept, refuse, secured
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.sockets import address_of, arrivals, hang_up

__all__ = ["SocketReception"]

BACKLOG = 16


class SocketReception:
    """Callers of sockets.

    Raises:
        OSError: the address is not to be had.
    """

    def __init__(self, gate: Gate):
        self._gate = gate
        self._listener = socket.create_server(gate.address, backlog=BACKLOG)
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return address_of(self._listener)

    def close(self) -> None:
        hang_up(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        for sock in arrivals(self._listener):
            threading.Thread(target=self._greet, args=(sock,), name="greeting", daemon=True).start()

    def _greet(self, sock: socket.socket) -> None:
        peer = "somebody"
        try:
            peer = "{}:{}".format(*sock.getpeername()[:2])
            sock = secured(sock, self._gate.guard)
            hello = accept(sock)
            self._gate.admit(Line(sock), hello)
        except EdgekitError as error:
            self._gate.say(f"refused {peer}: {error}")
            refuse(sock, str(error))
        except OSError as error:
            self._gate.say(f"hung up on {peer}: {error}")
            sock.close()
