"""Logging in for real: to machines with their own sshd, and to a server that asks questions."""

import contextlib
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from devices import inventory
from devices.host_keys import fingerprint
from devices.login import login, offered, trust
from edgekit.device import Device
from edgekit.errors import DeviceError
from tests.runtime.bed import eventually
from tests.sshbed import Bed, Host, System, bed, run

EMPTY = "PasswordAuthentication yes\nPermitEmptyPasswords yes\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


@pytest.fixture(scope="module")
def host(lab: Bed) -> Host:
    made = lab.host("board")
    trust(made.device(), offered(made.device()))
    return made


def user(device: Device) -> str:
    with login(device) as shell:
        return shell.run("whoami").out.strip()


def test_a_key_lets_in(host: Host) -> None:
    assert user(host.device()) == "root"


def test_a_cipher_that_is_its_own_checksum_is_preferred(host: Host) -> None:
    with login(host.device()) as shell:
        assert "gcm" in shell._transport.local_cipher == shell._transport.remote_cipher


def test_an_unknown_host_is_refused_until_its_key_is_trusted(lab: Bed) -> None:
    stranger = lab.host("stranger")
    with pytest.raises(DeviceError, match=f"^stranger: {stranger.ip} is not known yet; its key is SHA256:.*run: edgekit devices add"):
        login(stranger.device())
    key = offered(stranger.device())
    assert fingerprint(key) == run("ssh-keygen", "-lf", stranger.folder / "hostkey.pub").split()[1]
    trust(stranger.device(), key)
    assert user(stranger.device()) == "root"
    stranger.stop()
    stranger.new_key()
    stranger.start()
    with pytest.raises(DeviceError, match=f"^stranger: the key of {stranger.ip} has changed: expected {re.escape(fingerprint(key))}"):
        login(stranger.device())


def test_an_alias_of_the_configuration_leads_there(lab: Bed, host: Host) -> None:
    (lab.client / ".ssh" / "config").write_text(f"Host desk\n  HostName {host.ip}\n  User root\n")
    try:
        assert user(Device("desk", "ssh://desk")) == "root"
    finally:
        (lab.client / ".ssh" / "config").unlink()


def test_a_host_behind_another_is_reached_through_it(lab: Bed, host: Host) -> None:
    inner = lab.behind(host, "inner")
    device = Device("inner", f"ssh://root@{inner.ip}")
    (lab.client / ".ssh" / "config").write_text(f"Host {inner.ip}\n  ProxyJump root@{host.ip}\n")
    try:
        trust(device, offered(device))
        with login(device) as shell:
            assert shell.run('echo "$SSH_CONNECTION"').out.split()[2] == inner.ip
        inner.stop()
        with pytest.raises(
            DeviceError, match=f"inner: {inner.ip} cannot be reached from the host before it .* is it up, and does that host"
        ):
            login(device)
    finally:
        (lab.client / ".ssh" / "config").unlink()


@contextlib.contextmanager
def only_key(lab: Bed, *arguments: object) -> Iterator[Path]:
    """The client with another key than the one that boards know, or none."""
    folder = lab.client / ".ssh"
    (folder / "id_ed25519").rename(folder / "kept")
    try:
        if arguments:
            run("ssh-keygen", "-q", "-t", "ed25519", "-f", folder / "id_ed25519", *arguments)
        yield folder / "id_ed25519"
    finally:
        (folder / "id_ed25519").unlink(missing_ok=True)
        (folder / "kept").rename(folder / "id_ed25519")


def test_a_key_that_is_not_known_there_is_refused_with_the_remedy(lab: Bed, host: Host) -> None:
    with only_key(lab, "-N", "") as path, pytest.raises(DeviceError) as caught:
        login(host.device())
    said = str(caught.value)
    assert said.startswith(f"board: {host.ip} does not let root in: none of {path} fits, and it takes no passwords; check the user's name")
    assert said.endswith("or let somebody who can log in add your key to ~/.ssh/authorized_keys there")
    with only_key(lab), pytest.raises(DeviceError, match="no key was found on this machine, and it takes no passwords") as caught:
        login(host.device())
    assert "; make one: ssh-keygen -t ed25519, then let somebody who can log in add the new ~/.ssh/id_ed25519.pub" in str(caught.value)


def test_a_host_that_takes_no_passwords_asks_for_none(host: Host) -> None:
    def ask(question: str, hidden: bool) -> str:
        raise AssertionError(question)

    with pytest.raises(DeviceError, match="does not let nobody-here in: none of .*id_ed25519 fits, and it takes no passwords"):
        login(Device("board", f"ssh://nobody-here@{host.ip}"), ask)


def test_an_encrypted_key_is_opened_by_whoever_knows_its_passphrase(lab: Bed, host: Host) -> None:
    with only_key(lab, "-N", "open sesame") as path:
        with (host.home / ".ssh" / "authorized_keys").open("a") as file:
            file.write(path.with_suffix(".pub").read_text())
        asked: list[tuple[str, bool]] = []

        def ask(question: str, hidden: bool) -> str:
            asked.append((question, hidden))
            return "open sesame"

        with login(host.device(), ask) as shell:
            assert shell.run("whoami").out == "root\n"
        assert asked == [(f"passphrase of {path}", True)]
        with pytest.raises(DeviceError, match="does not let root in"):
            login(host.device())  # nobody to ask
        with pytest.raises(DeviceError, match="does not let root in"):
            login(host.device(), lambda question, hidden: "wrong")


def test_the_agents_keys_are_offered(lab: Bed, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run("ssh-agent", "-s")
    names = dict(part.split("=", 1) for part in said.replace("\n", "").split(";") if "=" in part)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", names["SSH_AUTH_SOCK"])
        run("ssh-add", "-q", lab.client / ".ssh" / "id_ed25519")
        with only_key(lab):
            assert user(host.device()) == "root"
    finally:
        os.kill(int(names["SSH_AGENT_PID"]), 15)


@contextlib.contextmanager
def agent_with(folder: Path, patch: pytest.MonkeyPatch, *keys: Path, passphrase: str = "") -> Iterator[Path]:
    """An SSH agent that holds these keys; its socket."""
    ask = folder / "ask"
    ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    ask.chmod(0o700)
    sock = folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", sock], stdout=subprocess.DEVNULL) as agent:
        try:
            eventually(sock.exists)
            with patch.context() as during:
                during.setenv("SSH_AUTH_SOCK", str(sock))
                for name, value in (("SSH_ASKPASS", str(ask)), ("SSH_ASKPASS_REQUIRE", "force"), ("DISPLAY", "x")):
                    during.setenv(name, value)
                for key in keys:
                    run("ssh-add", "-q", key)
            yield sock
        finally:
            agent.terminate()


@contextlib.contextmanager
def alias(lab: Bed, host: Host, *lines: str) -> Iterator[Device]:
    """A device that the client's configuration describes, and to which none of its usual keys leads."""
    config = lab.client / ".ssh" / "config"
    config.write_text("\n ".join(["Host alias", f"HostName {host.ip}", "User root", *lines]) + "\n")
    try:
        with only_key(lab):
            yield Device("alias", "ssh://alias")
    finally:
        config.unlink()


def new_key(path: Path, passphrase: str = "") -> Path:
    """A key that no board knows yet."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path)
    return path


def let_in(host: Host, key: Path) -> None:
    """Have a board know a key, beside those that it knows."""
    with (host.home / ".ssh" / "authorized_keys").open("a") as file:
        file.write(key.with_name(f"{key.name}.pub").read_text())


@pytest.mark.xfail(strict=True, reason="IdentitiesOnly keeps the agent from being asked, also for the key that IdentityFile names")
@pytest.mark.parametrize("public_half_only", [False, True])
def test_identities_only_chooses_among_the_keys_of_the_agent(
    lab: Bed, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, public_half_only: bool
) -> None:
    key = new_key(tmp_path / "key", "secret")
    let_in(host, key)
    named = key
    if public_half_only:
        named = tmp_path / "half.pub"
        named.write_text((tmp_path / "key.pub").read_text())
    with agent_with(tmp_path, monkeypatch, key, passphrase="secret") as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
        with alias(lab, host, f"IdentityFile {named}", "IdentitiesOnly yes") as device:
            assert user(device) == "root"


@pytest.mark.xfail(strict=True, reason="IdentityAgent of ~/.ssh/config is not asked yet")
def test_the_agent_that_the_configuration_names_is_asked(lab: Bed, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key(tmp_path / "key", "secret")
    let_in(host, key)
    with agent_with(tmp_path, monkeypatch, key, passphrase="secret") as sock, alias(lab, host, f"IdentityAgent {sock}") as device:
        assert user(device) == "root"


@pytest.mark.xfail(
    strict=True, reason="all keys of the agent are offered before the one that IdentityFile names, and sshd hangs up meanwhile"
)
def test_of_many_keys_the_one_that_the_configuration_names_comes_first(
    lab: Bed, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [new_key(tmp_path / f"key{number}") for number in range(7)]  # sshd takes 6 at most
    let_in(host, keys[-1])
    with agent_with(tmp_path, monkeypatch, *keys) as sock:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
        with alias(lab, host, f"IdentityFile {keys[-1]}") as device:
            assert user(device) == "root"


@pytest.mark.xfail(strict=True, reason="a key file that is there and cannot be used is passed over in silence")
@pytest.mark.parametrize("ailment", ["encrypted", "cut short", "not there"])
def test_a_key_that_cannot_be_used_is_named(lab: Bed, host: Host, tmp_path: Path, ailment: str) -> None:
    key = new_key(tmp_path / "key", "secret")
    let_in(host, key)
    if ailment == "cut short":
        key.write_text(key.read_text()[:150])
    elif ailment == "not there":
        key.unlink()
    with alias(lab, host, f"IdentityFile {key}") as device, pytest.raises(DeviceError, match=f"does not let root in: .*{key}"):
        login(device)


def test_a_server_that_asks_for_nothing_lets_in(lab: Bed, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text("root::19000:0:99999:7:::\n")  # an empty password
    open_host = lab.host("open", binds=[(shadow, "/etc/shadow")], system=System(config=EMPTY))
    trust(open_host.device(), offered(open_host.device()))
    with alias(lab, open_host, "IdentityFile /nonexistent") as device:
        assert user(device) == "root"


THROUGH = """#!/usr/bin/env python3
import os, socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536): s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536): os.write(1, data)
"""


@pytest.mark.xfail(strict=True, reason="ProxyCommand is not run by a shell yet")
@pytest.mark.parametrize("command", ["$LAB/through.py %h %p", "$LAB/through.py $(echo %h) %p"])
def test_a_proxy_command_is_a_line_for_the_shell(
    lab: Bed, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "through.py").write_text(THROUGH)
    (tmp_path / "through.py").chmod(0o755)
    monkeypatch.setenv("LAB", str(tmp_path))
    key = new_key(tmp_path / "key")
    let_in(host, key)
    with alias(lab, host, f"IdentityFile {key}", f"ProxyCommand {command}") as device:
        assert user(device) == "root"


@pytest.mark.xfail(strict=True, reason="a program of ProxyCommand that is not there ends in an error of Python's")
def test_a_proxy_command_whose_program_is_not_there_says_so(lab: Bed, host: Host) -> None:
    with (
        alias(lab, host, "ProxyCommand cloudflared access ssh --hostname %h") as device,
        pytest.raises(DeviceError, match="cloudflared"),
    ):
        login(device)


def test_hosts_that_cannot_be_reached_say_why(host: Host, lab: Bed) -> None:
    for address, said in {
        "ssh://no-such-host.invalid": "there is no host called no-such-host.invalid .*; check the name, or use its IP address",
        f"ssh://root@{host.ip}:2222": "is up, but nothing listens on its port 2222; start sshd there",
    }.items():
        with pytest.raises(DeviceError, match=f"^pi: .*{said}"):
            login(Device("pi", address))
    host.cut()
    try:
        with pytest.raises(DeviceError, match=r"^pi: .* does not answer \(.*\); is it on, and on this network\?"):
            login(Device("pi", host.address))
    finally:
        host.mend()


def test_an_added_name_that_is_no_host_is_told_to_need_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    inventory.add(Device("board1.invalid", "ssh://pi@10.0.0.5"))
    with pytest.raises(DeviceError, match="a device was added by this name: in cluster.toml, write the name without an address"):
        login(Device("board1.invalid", "ssh://board1.invalid"))


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_what_is_no_ssh_server_is_told_so(greeting: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.login.BANNER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    sock.sendall(greeting)
                    sock.recv(1000)
                    if not greeting:
                        sock.recv(1000)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(DeviceError, match="web: .* answers, but not as an SSH server would .*; is it the right port?"):
            login(Device("web", f"ssh://root@127.0.0.1:{listener.getsockname()[1]}"))


class Asking(paramiko.ServerInterface):
    """A server that lets in who answers its questions, or knows the password."""

    def __init__(self, kinds: str):
        self.kinds = kinds

    def get_allowed_auths(self, username: str) -> str:
        return self.kinds

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == ("ada", "lovelace") else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> "int | paramiko.InteractiveQuery":
        if "keyboard-interactive" not in self.kinds:
            return paramiko.AUTH_FAILED
        query = paramiko.InteractiveQuery("Hello", "two questions")
        query.add_prompt("Password: ", False)
        query.add_prompt("Code: ", True)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return paramiko.AUTH_SUCCESSFUL if responses == ["lovelace", "1842"] else paramiko.AUTH_FAILED


@pytest.mark.parametrize(
    ("kinds", "answers", "asked"),
    [
        ("keyboard-interactive", ["lovelace", "1842"], [("Password: ", True), ("Code: ", False)]),
        ("password", ["lovelace"], [("password of ada@127.0.0.1", True)]),
    ],
)
def test_questions_are_passed_on(kinds: str, answers: list[str], asked: list[tuple[str, bool]], lab: Bed, tmp_path: Path) -> None:
    key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        device = Device("gate", f"ssh://ada@127.0.0.1:{listener.getsockname()[1]}")
        trust(device, key)

        def serve() -> None:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                for _ in range(2):
                    transport = paramiko.Transport(listener.accept()[0])
                    stack.callback(transport.close)
                    transport.add_server_key(key)
                    transport.start_server(server=Asking(kinds))

        threading.Thread(target=serve, daemon=True).start()
        heard: list[tuple[str, bool]] = []
        login(device, lambda question, hidden: (heard.append((question, hidden)), answers[len(heard) - 1])[1]).close()
        assert heard == asked
        with pytest.raises(DeviceError, match="gate: .* does not let ada in: .*: ssh-copy-id -p [0-9]+ ada@127.0.0.1$"):
            login(device, lambda question, hidden: "wrong")


def test_nothing_of_what_was_typed_is_kept(lab: Bed) -> None:
    found = subprocess.run(["grep", "-rl", "lovelace\\|sesame", str(lab.client)], capture_output=True, text=True, check=False)
    assert found.stdout == ""
