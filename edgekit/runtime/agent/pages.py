"""The pages of an agent for monitors: /metrics, /livez and /readyz over HTTP, for anyone who reaches the address, and GET alone.

who asks            a thread each, MOST at a time; who comes then is hung up on
says nothing        WORD_S later it is hung up on
says it slowly      WHOLE_S after it came it is hung up on, wherever it is
"""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple

from edgekit.errors import UsageError
from edgekit.runtime.links.sockets import hang_up

__all__ = ["PAGES_PORT", "Page", "Pages", "address_from"]

PAGES_PORT = 9464
"""Where an agent that stays is looked for, unless it was told another place."""

MOST = 8
WORD_S = 2.0
WHOLE_S = 15.0

TEXT = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """What is answered."""

    text: str
    code: int = 200
    kind: str = TEXT


class Pages(socketserver.ThreadingMixIn, HTTPServer):
    """Serves pages until it is closed; where a port is taken, at a free one."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]):
        self.pages = pages
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._room = threading.Semaphore(MOST)
        self._until_s: dict[Any, float] = {}
        try:
            super().__init__((host, port), _Asked)
        except OSError:
            if not port:
                raise
            super().__init__((host, 0), _Asked)
        threading.Thread(target=self.serve_forever, name="pages", daemon=True).start()

    @property
    def address(self) -> str:
        """HOST:PORT."""
        host, port = self.server_address[:2]
        return f"[{host!s}]:{port}" if self.address_family == socket.AF_INET6 else f"{host!s}:{port}"

    def close(self) -> None:
        """Serve no longer."""
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without asking the DNS for a name that nobody needs

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._until_s[request] = time.monotonic() + WHOLE_S
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._over(request)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._over(request)

    def service_actions(self) -> None:
        now_s = time.monotonic()
        for request, until_s in list(self._until_s.items()):
            if now_s > until_s:
                hang_up(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asks may go at any time: that is not ours to tell of."""

    def _over(self, request: Any) -> None:
        if self._until_s.pop(request, None) is not None:
            self._room.release()


class _Asked(BaseHTTPRequestHandler):
    server: Pages
    timeout = WORD_S
    server_version = "edgekit"
    sys_version = ""

    def do_GET(self) -> None:
        """One page."""
        look = self.server.pages.get(self.path.partition("?")[0])
        page = Page(f"there are {', '.join(self.server.pages)}\n", 404) if look is None else look()
        body = page.text.encode(errors="replace")
        self.send_response(page.code)
        for name, value in (("Content-Type", page.kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Who asks is not logged: a log must not grow by being looked at."""


def address_from(text: str) -> tuple[str, int]:
    """HOST:PORT in parts.

    >>> address_from("0.0.0.0:9464"), address_from("[::1]:0")
    (('0.0.0.0', 9464), ('::1', 0))

    Raises:
        UsageError: it is no such thing.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"expected an address such as 127.0.0.1:9464 for the metrics, got {text!r}")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)
