"""``ssh:`` devices: the contract of every connection, and what belongs to a network in between."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from devices import Connection, connect
from devices.login import offered, trust
from devices.setup.agent_file import agent_file
from devices.setup.paths import AGENT, ROOT
from devices.ssh import SshConnection
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.runtime.agent.store import digest_of
from tests.devices.contract import *  # noqa: F403
from tests.runtime.bed import DOUBLE, eventually, spec, written
from tests.sshbed import Bed, Host, System, bed, install

MODEL = written(DOUBLE)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


@pytest.fixture(scope="module")
def host(lab: Bed) -> Host:
    """A machine that is known and set up."""
    return lab.board("bench")


@pytest.fixture
def device(host: Host) -> Device:
    return Device("bench", host.address)


@pytest.fixture
def connection(device: Device, host: Host) -> Iterator[Connection]:
    with connect(device) as made:
        yield made
    eventually(lambda: not host.processes())


def test_nothing_is_left_but_what_was_put(device: Device, host: Host) -> None:
    with connect(device) as made:
        made.load(spec(made.put(MODEL)))
    eventually(lambda: not host.processes())
    assert sorted(path.name for path in (host.home / ROOT).iterdir()) == ["agent.pyz", "store", "venv"]


def test_stages_listen_where_the_connection_arrived(connection: Connection, host: Host) -> None:
    loaded, _ = connection.load(spec(connection.put(MODEL)))
    assert loaded.host == host.ip
    elsewhere, _ = connection.load(msgspec.structs.replace(spec(digest_of(MODEL)), listen="127.0.0.1"))
    assert elsewhere.host == "127.0.0.1"


def test_an_agent_that_stays_outlives_the_connection_and_is_found_again(device: Device, host: Host, tmp_path: Path) -> None:
    with connect(device, tmp_path) as first:
        first.load(spec(first.put(MODEL)))
    eventually(lambda: len(host.processes()) == 2)
    with connect(device, tmp_path) as second:
        assert [stage.state for stage in second.logs().stages] == ["loaded"]
        second.stop()
    eventually(lambda: not host.processes())


def test_a_killed_agent_that_was_to_stay_is_started_again(device: Device, host: Host, tmp_path: Path) -> None:
    with connect(device, tmp_path):
        os.kill(int((host.home / ROOT / "agent" / "agent.pid").read_text()), signal.SIGKILL)
    with connect(device, tmp_path) as again:
        assert again.logs().stages == ()
        again.stop()
    eventually(lambda: not host.processes())


def test_a_device_that_is_not_set_up_says_so(lab: Bed) -> None:
    bare = lab.host("bare")
    trust(bare.device(), offered(bare.device()))
    with pytest.raises(DeviceError, match="^bare is not set up; run: edgekit devices setup bare$"):
        connect(bare.device())
    with pytest.raises(DeviceError, match="^bare is not set up"):
        connect(bare.device(), bare.folder)


def test_an_agent_of_another_edgekit_is_refused(device: Device, host: Host) -> None:
    agent = host.home / AGENT
    agent.write_bytes(agent_file().data + b"# changed")
    try:
        with pytest.raises(DeviceError, match=r"bench has the agent of edgekit .*, this is .*; run: edgekit devices setup bench"):
            connect(device)
    finally:
        agent.write_bytes(agent_file().data)


def test_a_venv_that_is_broken_says_what_it_lacks(device: Device, host: Host, tmp_path: Path) -> None:
    venv = host.home / ROOT / "venv"
    venv.unlink()
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to("/usr/bin/python3")
    try:
        with pytest.raises(DeviceError, match="bench: its agent did not start .*No module named .*; run: edgekit devices setup bench"):
            connect(device)
    finally:
        (venv / "bin" / "python").unlink()
        (venv / "bin").rmdir()
        venv.rmdir()
        venv.symlink_to(sys.prefix)


@pytest.mark.xfail(strict=True, reason="the agent is started without -I, so that packages of PYTHONPATH come before those of its venv")
def test_packages_of_a_login_are_not_taken_for_ours(lab: Bed) -> None:
    host = lab.host("paths", system=System(config="SetEnv PYTHONPATH=/mnt/dist-packages\n"))
    trust(host.device(), offered(host.device()))
    install(host)
    other = host.home / "dist-packages" / "msgspec"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('raise ImportError("the msgspec of the system, for another Python")\n')
    with connect(host.device()) as made:
        assert made.facts().machine.cores >= 1


def test_a_login_shell_that_prints_is_no_harm(device: Device, host: Host) -> None:
    rc = host.home / ".ssh" / "rc"  # run by sshd before every command
    rc.write_text("echo edgekit of the day; echo welcome\n")
    try:
        with connect(device) as made:
            assert made.facts().machine.cores >= 1
    finally:
        rc.unlink()


@pytest.mark.parametrize("held", [30_000_000, 40_000_000])
def test_what_was_sent_of_a_file_is_not_sent_again(device: Device, host: Host, held: int) -> None:
    data = os.urandom(40_000_000)
    with connect(device) as made:
        assert isinstance(made, SshConnection)
        part = host.home / ROOT / "store" / f"{digest_of(data)}.part"
        part.write_bytes(data[:held])
        sent: list[int] = []
        plain = made._channel._stream.sendall
        made._channel._stream.sendall = lambda piece: (sent.append(len(piece)), plain(piece))[1]  # type: ignore[method-assign]
        made.put(data)
    assert 0 < sum(sent) - (len(data) - held) < 10_000
    assert (host.home / ROOT / "store" / digest_of(data)).stat().st_size == len(data)


@pytest.mark.parametrize("wait", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_pulled_cable_ends_the_connection_on_both_sides(host: Host, device: Device, monkeypatch: pytest.MonkeyPatch, wait: bool) -> None:
    monkeypatch.setattr("devices.login.SILENCE_MS", 1500)
    with connect(device) as made:
        made.load(spec(made.put(MODEL)))
        host.cut()
        try:
            with pytest.raises(DeviceError, match="bench (went away|closed its control connection)"):
                made.facts()
        finally:
            host.mend()
    if not wait:
        host.stop()
        host.start()
    eventually(lambda: not host.processes(), 90)
