"""Who is let in, and who is not: a stage with certificates, and callers of all kinds."""

import datetime
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from devices import authority
from devices.authority import Authority
from edgekit.deploy.client.client import Client
from edgekit.deploy.client.client_links import Target
from edgekit.errors import DeviceError, FormatError
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.agent.supervisor import Supervisor
from edgekit.runtime.links import tls
from edgekit.runtime.links.greeting import Door, Hello, dial
from edgekit.runtime.links.tls import Guard, Keys, named
from edgekit.runtime.verbs import Load, Loaded, Logs, LogsReply, Port, Put, Run
from tests.runtime.bed import DOUBLE, X, Y, eventually, spec, written

HOUSE, OTHER = Authority.fresh("house"), Authority.fresh("house")
STAGE, CLIENT = named("house", "bench"), named("house", "client")
HELLO = Hello(plan="plan", source="client", source_replica=0, receiver=0, receiver_replica=0)


class Bench:
    """One stage that shows a certificate and asks for one."""

    def __init__(self, folder: Path, keys: Keys):
        self.folder = folder
        self.supervisor = Supervisor(folder)
        model = written(DOUBLE)
        port = Port(end="client", replicas=1, tensors=(X,), names=(CLIENT,))
        wanted = msgspec.structs.replace(
            spec(digest_of(model)), sources=(port,), receivers=(msgspec.structs.replace(port, tensors=(Y,)),), keys=keys
        )
        self.supervisor.answer(Put(wanted.model), model)
        there, _ = self.supervisor.answer(Load(wanted), b"")
        assert isinstance(there, Loaded)
        self.address = (there.host, there.port)
        self.supervisor.answer(Run(plan="plan", stage=0, replica=0, receivers=()), b"")

    def serves(self) -> None:
        """A client of the house is served."""
        ports = ((Port(end=0, replicas=1, tensors=(Y,), names=(STAGE,)),), (Port(end=0, replicas=1, tensors=(X,), names=(STAGE,)),))
        addresses = {("client", 0, 0, 0): self.address, (0, 0, "client", 0): self.address}
        with Client(Target("plan", ports, addresses, keys=HOUSE.issue("client"))) as client:
            (result,) = client.stream([{"x": np.full(4, 3, np.float32)}])
        assert float(result.value()["y"][0]) == 6

    @property
    def log(self) -> str:
        reply, _ = self.supervisor.answer(Logs(), b"")
        assert isinstance(reply, LogsReply)
        return reply.text


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, HOUSE.issue("bench"))
    yield made
    made.supervisor.stop(None)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Keys:
    """A certificate of the house that has expired."""
    monkeypatch.setattr(tls, "_require_time", lambda keys: None)
    monkeypatch.setattr(authority, "VALID", -datetime.timedelta(hours=1))
    return HOUSE.issue("client")


def refused(bench: Bench, keys: Keys, name: str = STAGE) -> str:
    """Why a caller with these keys is not let in, as it sees it; within five seconds."""
    begin = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        dial(Door(*bench.address, name, Guard(keys)), HELLO, "the stage")[0].close()
    assert time.monotonic() - begin < 5
    return str(caught.value)


def test_a_client_of_the_house_is_served_over_tls_1_3(bench: Bench) -> None:
    bench.serves()
    sock, _ = dial(Door(*bench.address, STAGE, Guard(HOUSE.issue("client"))), HELLO, "the stage")
    assert isinstance(sock, ssl.SSLSocket) and sock.version() == "TLSv1.3"
    sock.close()


def test_the_certificate_of_another_authority_is_refused(bench: Bench) -> None:
    assert "its certificate is not accepted: " in refused(bench, OTHER.issue("client"))
    foreign = msgspec.structs.replace(OTHER.issue("client"), authority=HOUSE.issue("client").authority)
    assert "UNKNOWN_CA" in refused(bench, foreign).upper()  # the caller knows the house, the house does not know the caller
    eventually(lambda: "hung up on 127.0.0.1" in bench.log and "certificate" in bench.log)
    bench.serves()


def test_a_certificate_that_has_ended_is_refused(bench: Bench, ended: Keys) -> None:
    assert "EXPIRED" in refused(bench, ended).upper()
    eventually(lambda: "expired" in bench.log)


def test_another_machine_of_the_house_is_refused_where_it_does_not_belong(bench: Bench) -> None:
    assert f"is of {named('house', 'neighbour')}, expected {CLIENT}" in refused(bench, HOUSE.issue("neighbour"))
    assert f"is of {STAGE}, expected {named('house', 'attic')}" in refused(bench, HOUSE.issue("client"), named("house", "attic"))
    eventually(lambda: "neighbour" in bench.log)
    bench.serves()


def plain(sock: socket.socket) -> None:
    sock.sendall(bytes(64))


def web(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n")


def nameless(sock: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(sock) as secured:
        assert not secured.recv(1)


def old(sock: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.wrap_socket(sock)


def drip(sock: socket.socket) -> None:
    for byte in b"\x16\x03\x01\x02\x00" + bytes(500):
        sock.sendall(bytes((byte,)))
        time.sleep(0.05)


@pytest.mark.parametrize("stranger", [plain, web, nameless, old, drip])
def test_a_stranger_is_hung_up_on_and_the_pipeline_goes_on(bench: Bench, stranger: Callable[[socket.socket], None]) -> None:
    begin = time.monotonic()
    with socket.create_connection(bench.address) as sock, pytest.raises(OSError):
        stranger(sock)
        sock.settimeout(6)
        if not sock.recv(100):
            raise ConnectionError
        assert not sock.recv(100)
        raise ConnectionError
    assert time.monotonic() - begin < 6
    eventually(lambda: "hung up on 127.0.0.1" in bench.log)
    bench.serves()


def test_who_hangs_up_before_the_handshake_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        select.select([sock], [], [], 5)
    descriptor = sock.fileno()
    with pytest.raises(ConnectionError, match="ended before it was secured"):
        Guard(HOUSE.issue("client")).call(sock, STAGE, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_clock_that_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = HOUSE.issue("bench")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with pytest.raises(DeviceError, match=r"the clock of this device says 1970-01-01 00:00, .* set the clock \(timedatectl"):
        Guard(keys)
    monkeypatch.setattr(time, "time", lambda: keys.end_s + 1)
    with pytest.raises(DeviceError, match="the certificate of this device ended"):
        Guard(keys)


def test_an_authority_is_kept_for_its_owner_alone_and_each_release_has_its_own(tmp_path: Path) -> None:
    made = Authority.fresh("house")
    made.keep(tmp_path, "one")
    assert Authority.kept("house", tmp_path, "one").issue("a").authority == made.issue("a").authority
    key = tmp_path / ".authority" / "one" / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_text("rubbish")
    with pytest.raises(FormatError, match="is damaged"):
        Authority.kept("house", tmp_path, "one")
    Authority.fresh("house").keep(tmp_path, "two")
    Authority.forget(tmp_path, but="two")
    assert [folder.name for folder in (tmp_path / ".authority").iterdir()] == ["two"]
    Authority.forget(tmp_path)
    assert not (tmp_path / ".authority").exists()


def test_an_authority_is_due_before_what_it_issued_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Authority.fresh("house").due
    monkeypatch.setattr(authority, "VALID", datetime.timedelta(seconds=-1))
    assert Authority.fresh("house").due
