"""Logs in to a device over SSH, through as many hosts as its way has."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain

import paramiko
from paramiko.pkey import UnknownKeyType

from devices import inventory
from devices.host_keys import kinds, remember, require_known
from devices.shell import Shell
from devices.ssh_config import Hop, route
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError

__all__ = ["Ask", "known", "login", "offered", "trust"]

Ask = Callable[[str, bool], str]
"""A question, and whether what is typed has to be hidden; the answer."""

CONNECT_S = 10.0
BANNER_S = 15.0
AUTH_S = 30.0
KEEPALIVE_S = 3
"""How often something is sent, so that a machine that has gone is noticed though nobody asks it."""

SILENCE_MS = 8_000
"""Time after which a connection whose bytes nobody acknowledges is given up."""

TYPED = frozenset({"keyboard-interactive", "password"})
"""Ways to log in by what somebody types."""

WINDOW_BYTES = 16 * 1024 * 1024

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it has to say comes as errors


def login(device: Device, ask: Ask | None = None) -> Shell:
    """A shell on an ``ssh:`` device.

    ``ask`` is whom passphrases and passwords are asked of; nothing of them is kept. None: there is nobody.

    Raises:
        DeviceError: it cannot be reached, is not who it was, or lets nobody in; the message says which and what to do.
    """
    with ExitStack() as stack:
        transport = _along(device, route(device.address), stack, ask)
        return Shell(device.name, transport, stack.pop_all())


def offered(device: Device, ask: Ask | None = None) -> paramiko.PKey:
    """The key that a device shows before anybody logs in; hosts on the way have to be known already."""
    hops = route(device.address)
    with ExitStack() as stack:
        before = _along(device, hops[:-1], stack, ask) if hops[1:] else None
        return _greeted(device, hops[-1], before, stack).get_remote_server_key()


def known(device: Device, key: paramiko.PKey) -> bool:
    """Whether a device is trusted by this key already.

    Raises:
        DeviceError: it is trusted by another one, or this one was revoked.
    """
    hop = route(device.address)[-1]
    if not kinds(hop):
        return False
    with _named(device):
        require_known(hop, key)
    return True


def trust(device: Device, key: paramiko.PKey) -> None:
    """Know a device by this key from now on."""
    remember(route(device.address)[-1], key)


def _along(device: Device, hops: tuple[Hop, ...], stack: ExitStack, ask: Ask | None) -> paramiko.Transport:
    """Go from host to host, each through the one before."""
    transport = None
    for hop in hops:
        transport = _greeted(device, hop, transport, stack)
        with _named(device):
            require_known(hop, transport.get_remote_server_key())
        _authenticate(device, hop, transport, ask)
        transport.set_keepalive(KEEPALIVE_S)
    assert transport is not None
    return transport


@contextlib.contextmanager
def _named(device: Device) -> Iterator[None]:
    try:
        yield
    except EdgekitError as error:
        raise type(error)(f"{device.name}: {error}") from error


def _greeted(device: Device, hop: Hop, before: paramiko.Transport | None, stack: ExitStack) -> paramiko.Transport:
    """A connection on which the host has shown its key."""
    transport = paramiko.Transport(_dial(device, hop, before), default_window_size=WINDOW_BYTES)
    stack.callback(transport.close)
    transport.banner_timeout = BANNER_S
    transport.auth_timeout = AUTH_S
    options = transport.get_security_options()
    known = [kind for kind in kinds(hop) for kind in _algorithms(kind) if kind in options.key_types]
    options.key_types = (*known, *(kind for kind in options.key_types if kind not in known))
    options.ciphers = sorted(options.ciphers, key=lambda name: "gcm" not in name)  # those need no second pass for a checksum
    try:
        transport.start_client(timeout=BANNER_S)
        transport.get_remote_server_key()  # there is none where the time was up, of which paramiko says nothing
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise DeviceError(f"{device.name}: {hop.name} answers, but not as an SSH server would ({error}); is it the right port?") from error
    return transport


def _algorithms(kind: str) -> tuple[str, ...]:
    """An RSA key signs by several algorithms, of which the first is the old one."""
    return ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if kind == "ssh-rsa" else (kind,)


def _dial(device: Device, hop: Hop, before: paramiko.Transport | None) -> "socket.socket | paramiko.Channel | paramiko.ProxyCommand":
    if before is not None:
        try:
            return before.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=CONNECT_S)
        except (paramiko.SSHException, EOFError, OSError) as error:
            why = f"cannot be reached from the host before it ({error})"
            raise DeviceError(f"{device.name}: {hop.name} {why}; is it up, and does that host allow forwarding?") from error
    if hop.command is not None:
        return paramiko.ProxyCommand(hop.command)
    try:
        sock = socket.create_connection((hop.host, hop.port), CONNECT_S)
    except socket.gaierror as error:
        why = f"there is no host called {hop.host} ({error.strerror})"
        if hop.host in {each.name for each in inventory.known()}:
            remedy = "a device was added by this name: in cluster.toml, write the name without an address"
            raise DeviceError(f"{device.name}: {why}; {remedy}") from error
        raise DeviceError(f"{device.name}: {why}; check the name, or use its IP address") from error
    except ConnectionRefusedError as error:
        why = f"{hop.host} is up, but nothing listens on its port {hop.port}"
        raise DeviceError(f"{device.name}: {why}; start sshd there (sudo systemctl enable --now ssh)") from error
    except OSError as error:
        reason = error.strerror or f"no answer within {CONNECT_S:g} s"
        raise DeviceError(f"{device.name}: {hop.host} does not answer ({reason}); is it on, and on this network?") from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
    return sock


def _authenticate(device: Device, hop: Hop, transport: paramiko.Transport, ask: Ask | None) -> None:
    """Try what we have in the usual order: the agent's keys, key files, then what somebody types."""
    tried: list[str] = []
    takes: frozenset[str] = TYPED
    try:
        takes = _takes(hop, transport)
        if transport.is_authenticated():
            return
        for name, key in chain(_agent_keys(hop), _file_keys(hop, ask)):
            tried.append(name)
            with contextlib.suppress(paramiko.AuthenticationException):
                transport.auth_publickey(hop.user, key)
                if transport.is_authenticated():
                    return
        if ask is not None and _typed(hop, transport, takes, ask):
            return
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise DeviceError(f"{device.name}: {hop.name} ended the connection during login ({error}); see its sshd's log") from error
    raise DeviceError(f"{device.name}: {hop.name} does not let {hop.user} in: {_refusal(hop, tried, bool(takes & TYPED))}")


def _takes(hop: Hop, transport: paramiko.Transport) -> frozenset[str]:
    """The ways in which a host lets somebody in."""
    try:
        transport.auth_none(hop.user)
    except paramiko.BadAuthenticationType as error:
        return frozenset(error.allowed_types)
    except paramiko.AuthenticationException:
        pass
    return TYPED


def _refusal(hop: Hop, tried: list[str], passwords: bool) -> str:
    """Why nobody was let in, and what to do about it."""
    what = f"none of {', '.join(dict.fromkeys(tried))} fits" if tried else "no key was found on this machine"
    closed = "" if passwords else ", and it takes no passwords"
    copy = f"ssh-copy-id -p {hop.port} {hop.user}@{hop.host}"
    if not tried:
        copied = copy if passwords else "let somebody who can log in add the new ~/.ssh/id_ed25519.pub to ~/.ssh/authorized_keys there"
        return f"{what}{closed}; make one: ssh-keygen -t ed25519, then {copied}"
    if passwords:
        return f"{what}; check the user's name, or give it your key: {copy}"
    return f"{what}{closed}; check the user's name, or let somebody who can log in add your key to ~/.ssh/authorized_keys there"


def _agent_keys(hop: Hop) -> Iterator[tuple[str, paramiko.PKey]]:
    if not hop.only and os.environ.get("SSH_AUTH_SOCK"):
        with contextlib.closing(paramiko.Agent()) as agent:
            yield from (("a key of the SSH agent", key) for key in agent.get_keys())


def _file_keys(hop: Hop, ask: Ask | None) -> Iterator[tuple[str, paramiko.PKey]]:
    for path in hop.keys:
        with contextlib.suppress(OSError, paramiko.SSHException, ValueError, UnknownKeyType):
            try:
                yield path, paramiko.PKey.from_path(path)
            except (paramiko.PasswordRequiredException, TypeError):  # encrypted
                if ask is not None:
                    yield path, paramiko.PKey.from_path(path, ask(f"passphrase of {path}", True).encode())  # type: ignore[arg-type]


def _typed(hop: Hop, transport: paramiko.Transport, takes: frozenset[str], ask: Ask) -> bool:
    """Log in by what is typed, where the host takes that; its own questions first."""
    if "keyboard-interactive" in takes:
        with contextlib.suppress(paramiko.AuthenticationException):
            transport.auth_interactive(hop.user, lambda title, about, prompts: [ask(text, not echo) for text, echo in prompts])
    if "password" in takes and not transport.is_authenticated():
        with contextlib.suppress(paramiko.AuthenticationException):
            transport.auth_password(hop.user, ask(f"password of {hop.user}@{hop.host}", True), fallback=False)
    return transport.is_authenticated()
