"""Who is at the other end of a connection: TLS 1.3 in which both show a certificate of the pipeline's own authority.

    edgekit://CLUSTER/DEVICE        the name in a certificate (a URI among its alternative names); addresses do not matter

Certificates come with the stage, over the connection to its agent. A key never leaves the two machines that it has to be on.
"""

import contextlib
import hashlib
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from edgekit.errors import DeviceError
from edgekit.quantity import Name

__all__ = ["Guard", "Keys", "host_name", "named", "require_name"]

OP_PRIORITIZE_CHACHA = 0x200000
"""Of OpenSSL: a caller that asks for ChaCha20 first, having no instructions for AES, gets it. The ssl module has no name for it."""

LEAVE_S = 1.0
LEAVE_BYTES = 64 * 1024
"""How long, and for how much, a connection that failed is read on."""


class Keys(Struct, frozen=True):
    """A certificate, its key, and the authority whose word counts, as PEM; they hold between two moments of Unix time."""

    name: Name
    certificate: str
    key: str
    authority: str
    begin_s: float
    end_s: float


def named(cluster: str, device: str) -> str:
    """What a device is called in its certificate.

    >>> named("my house", "pi")
    'edgekit://my%20house/pi'
    """
    return f"edgekit://{quote(cluster, safe='')}/{quote(device, safe='')}"


def host_name(name: str) -> str:
    """The same for libraries that ask a certificate for the name of a host: a digest of it, as a name of the DNS.

    >>> host_name("edgekit://house/pi")
    '49f5a6bb5835924ad41735d9a24e6c7119c66285.edgekit'
    """
    return f"{hashlib.sha256(name.encode()).hexdigest()[:40]}.edgekit"


class Guard:
    """Secures connections at one end, and tells who is at the other.

    Raises:
        DeviceError: by the clock of this machine the certificate does not hold.
    """

    def __init__(self, keys: Keys):
        _require_time(keys)
        self.keys = keys
        self._server, self._client = (_context(keys, side) for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))

    def answer(self, sock: socket.socket, within_s: float) -> ssl.SSLSocket:
        """Secure a connection that came in.

        Raises:
            OSError: the caller shows no certificate of ours, or is too slow.
        """
        return _shake(self._server, sock, within_s)

    def call(self, sock: socket.socket, name: str, within_s: float) -> ssl.SSLSocket:
        """Secure a connection that was dialled.

        Raises:
            OSError: the listener shows no certificate of ours.
            DeviceError: it is not the one that ``name`` names.
        """
        secured = _shake(self._client, sock, within_s)
        try:
            require_name(secured, name)
        except BaseException:
            secured.close()
            raise
        return secured


def require_name(sock: socket.socket, name: str) -> None:
    """Refuse a peer that is another one of ours.

    Raises:
        DeviceError: with the name in its certificate.
    """
    known: Any = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    names = [value for kind, value in (known or {}).get("subjectAltName", ()) if kind == "URI"]
    if names != [name]:
        raise DeviceError(f"the certificate shown is of {', '.join(map(str, names)) or 'nobody'}, expected {name}; deploy again")


class _Secured(ssl.SSLSocket):
    """A secured socket that closes when the peer left before it was secured; the library's stays open then, in nobody's hands."""

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError as error:
            self.close()
            raise ConnectionError("the connection ended before it was secured") from error


def _shake(context: ssl.SSLContext, sock: socket.socket, within_s: float) -> ssl.SSLSocket:
    sock.settimeout(within_s)
    served = context.protocol is ssl.PROTOCOL_TLS_SERVER
    secured = context.wrap_socket(sock, server_side=served, do_handshake_on_connect=False)
    try:
        secured.do_handshake()
    except ssl.SSLError as error:
        _leave(secured)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise ConnectionError(f"its certificate is not accepted: {error.verify_message}") from error
        raise ConnectionError(f"it does not speak TLS as we do: {error.reason or error}") from error
    except BaseException:
        secured.close()
        raise
    return secured


def _leave(sock: ssl.SSLSocket) -> None:
    """Close a connection, but read on until the peer does too: what lies unread would reset it, and the peer miss the alert."""
    end_s, left = time.monotonic() + LEAVE_S, LEAVE_BYTES
    with sock, contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while left > 0 and time.monotonic() < end_s:
            sock.settimeout(LEAVE_S)
            got = len(sock.recv(LEAVE_BYTES))
            left = left - got if got else 0


def _context(keys: Keys, side: "ssl._SSLMethod") -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= OP_PRIORITIZE_CHACHA
    context.sslsocket_class = _Secured
    context.check_hostname = False  # addresses change; require_name compares what does not
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=keys.authority)
    if side is ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    with _file(keys.certificate + keys.key) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _file(text: str) -> Iterator[str]:
    """A file that only this process can read, which the ssl module asks for; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("keys")
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(text)
    try:
        yield file.name
    finally:
        with contextlib.suppress(OSError):
            Path(file.name).unlink()


def _require_time(keys: Keys) -> None:
    now = time.time()
    if now < keys.begin_s:
        raise DeviceError(
            f"the clock of this device says {_date(now)}, and its certificate begins {_date(keys.begin_s)}; "
            "set the clock (timedatectl set-ntp true), then deploy again"
        )
    if now > keys.end_s:
        raise DeviceError(f"the certificate of this device ended {_date(keys.end_s)} by its clock, which says {_date(now)}; deploy again")


def _date(unix_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(unix_s))
