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
from devices.hostkeys import fingerprint
from devices.login import login, offered, trust
from edgekit.device import Device
from edgekit.errors import DeviceError
from tests.sshbed import Bed, Host, bed, run


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
