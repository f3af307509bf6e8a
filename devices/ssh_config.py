"""The way to an SSH host: an address, filled in from ``~/.ssh/config``, with the hosts that have to be jumped through."""

import getpass
import glob
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import paramiko

from edgekit.errors import UsageError

__all__ = ["Hop", "route"]

MOST_JUMPS = 8
MOST_INCLUDES = 16
DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


class Hop(NamedTuple):
    """One host on the way, the last of which is the device. ``only``: no keys but ``keys`` are to be offered to it.

    ``alias``: what its own key is known by, wherever it is (HostKeyAlias).
    """

    host: str
    port: int
    user: str
    keys: tuple[str, ...]
    only: bool = False
    command: str | None = None
    alias: str | None = None

    @property
    def name(self) -> str:
        """As known_hosts writes it."""
        return self.alias or (self.host if self.port == 22 else f"[{self.host}]:{self.port}")


def route(address: str) -> tuple[Hop, ...]:
    """The hops to ``ssh://[user@]host[:port]``, where host may be an alias of ``~/.ssh/config``.

    Raises:
        UsageError: no such address, a password in it, or a configuration that cannot be read.
    """
    host, port, user = _parts(address)
    try:
        config = paramiko.SSHConfig.from_text(_expanded(Path("~/.ssh/config").expanduser(), 0))
        return _route(config, host, port, user, 0)
    except paramiko.ConfigParseError as error:
        raise UsageError(f"~/.ssh/config cannot be read ({error}); ssh -G {host} may say more") from error


def _parts(address: str) -> tuple[str, int | None, str | None]:
    text = address if address.startswith("ssh://") else f"ssh://{address}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"expected ssh://user@host:port, got {address!r} ({error})") from error
    if parts.password is not None:
        raise UsageError(f"an address holds no password: others could read it; use a key (ssh-copy-id {parts.username}@{host})")
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(f"expected ssh://user@host:port, got {address!r}")
    return parts.netloc.rpartition("@")[2].partition(":")[0] if ":" not in host else host, port, parts.username or None


def _route(config: paramiko.SSHConfig, host: str, port: int | None, user: str | None, depth: int) -> tuple[Hop, ...]:
    if depth > MOST_JUMPS:
        raise UsageError(f"ProxyJump of {host} in ~/.ssh/config leads in a circle; see ssh -G {host}")
    found = config.lookup(host)
    keys = tuple(found.get("identityfile") or DEFAULT_KEYS)
    hop = Hop(
        found["hostname"],
        port or _number(host, found.get("port", "22")),
        user or found.get("user") or getpass.getuser(),
        tuple(os.path.expanduser(key) for key in keys),
        found.get("identitiesonly", "no") == "yes",
        found.get("proxycommand") if "proxyjump" not in found else None,
        found.get("hostkeyalias"),
    )
    return (*_jumps(config, found.get("proxyjump", "none"), depth), hop)


def _number(host: str, port: str) -> int:
    try:
        return int(port)
    except ValueError as error:
        raise UsageError(f"expected a number as Port of {host} in ~/.ssh/config, got {port!r}; mend it") from error


def _jumps(config: paramiko.SSHConfig, value: str, depth: int) -> tuple[Hop, ...]:
    """Hops of a comma-separated ProxyJump; only the first may itself have to be jumped to."""
    if value.lower() == "none":
        return ()
    first, *others = value.split(",")
    hops = _route(config, *_parts(first.strip()), depth + 1)
    for other in others:
        hops = (*hops, _route(config, *_parts(other.strip()), depth + 1)[-1])
    return hops


def _expanded(path: Path, depth: int) -> str:
    """The text of a file with what it includes in place, each back in the block that it was included from."""
    if depth > MOST_INCLUDES:
        raise UsageError(f"Include in {path} leads in a circle; mend ~/.ssh/config")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); see its permissions") from error
    block, out = "Host *", []
    for line in lines:
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() in ("host", "match"):
            block = line
        if word.lower() != "include":
            out.append(line)
            continue
        for pattern in rest.split():
            for each in sorted(glob.glob(os.path.join(Path("~/.ssh").expanduser(), os.path.expanduser(pattern.strip('"'))))):
                out += [block, _expanded(Path(each), depth + 1), block]
    return "\n".join(out) + "\n"
