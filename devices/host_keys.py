"""Which host is it really? Keys that are trusted, on whose word, and what is said when another one is offered.

Trust is explicit: a key is known when the user's own known_hosts says so, or when ``edgekit devices add`` was told to
remember it. A key that has changed is never accepted.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import paramiko

from devices.ssh_config import Hop
from edgekit import folders
from edgekit.errors import DeviceError

__all__ = ["fingerprint", "kinds", "ours", "remember", "require_known"]


def ours() -> Path:
    """The file of the keys that edgekit was told to trust."""
    return folders.config() / "known_hosts"


def fingerprint(key: paramiko.PKey) -> str:
    """As ssh-keygen -l writes it: ``SHA256:…``."""
    text: str = key.fingerprint
    return text


def _lines() -> Iterator[tuple[str, Path, paramiko.hostkeys.HostKeyEntry]]:
    """Marker (``@revoked`` or nothing), file and entry of every key that is known."""
    for path in (ours(), Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            marker, _, rest = line.strip().partition(" ") if line.startswith("@") else ("", "", line.strip())
            if not rest or rest.startswith("#") or marker == "@cert-authority":
                continue
            try:
                entry = paramiko.hostkeys.HostKeyEntry.from_line(rest)
            except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey):
                continue
            if entry is not None and entry.key is not None:
                yield marker, path, entry


def _known(hop: Hop) -> list[tuple[str, Path, paramiko.PKey]]:
    return [(marker, path, entry.key) for marker, path, entry in _lines() if _matches(entry.hostnames, hop.name)]


def _matches(patterns: list[str], name: str) -> bool:
    """Whether an entry is about a host: by name, by pattern, by its hash; and not excepted from it."""

    def one(pattern: str) -> bool:
        return paramiko.HostKeys.hash_host(name, pattern) == pattern if pattern.startswith("|1|") else fnmatchcase(name, _literal(pattern))

    return any(map(one, patterns)) and not any(one(pattern[1:]) for pattern in patterns if pattern.startswith("!"))


def _literal(pattern: str) -> str:
    """Only * and ? are special in known_hosts, and ports are in brackets there."""
    return pattern.replace("[", "[[]")


def kinds(hop: Hop) -> list[str]:
    """The types of the keys known for a host, to be asked for first: its others say nothing about it."""
    return list(dict.fromkeys(key.get_name() for marker, _, key in _known(hop) if not marker))


def require_known(hop: Hop, key: paramiko.PKey) -> None:
    """Raise unless ``key`` is one that is trusted for the host.

    Raises:
        DeviceError: the key is unknown, has changed, or was revoked.
    """
    known = _known(hop)
    if any(marker == "@revoked" and key == other for marker, _, other in known):
        raise DeviceError(f"{hop.name} offers the key {fingerprint(key)}, which was revoked; do not connect, find out who answers there")
    trusted = [(path, other) for marker, path, other in known if not marker]
    if any(key == other for _, other in trusted):
        return
    if trusted:
        path, other = trusted[0]
        raise DeviceError(
            f"the key of {hop.name} has changed: expected {fingerprint(other)} (in {path}), got {fingerprint(key)}. "
            "Somebody may be listening in, or the machine was installed anew; if you know that it was: "
            f"ssh-keygen -R '{hop.name}' -f {path}, then add it again"
        )
    raise DeviceError(
        f"{hop.name} is not known yet; its key is {fingerprint(key)}. If that is its own (on it: ssh-keygen -lf "
        f"/etc/ssh/ssh_host_ed25519_key.pub), run: edgekit devices add NAME ssh://{hop.user}@{hop.host}:{hop.port}"
    )


def remember(hop: Hop, key: paramiko.PKey) -> None:
    """Trust a key from now on."""
    path = ours()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{hop.name} {key.get_name()} {key.get_base64()}\n")
