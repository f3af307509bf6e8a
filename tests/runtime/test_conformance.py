"""What every transport has to hold: one suite for all of them, in clear and encrypted."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devices.authority import ECHO, Authority, of_probes
from devices.chaos import Chaos, Faults
from edgekit.errors import DeviceError, ProtocolError
from edgekit.graph import Tensor
from edgekit.ring import SLOTS
from edgekit.runtime.links.carrier import Carrier, Gate
from edgekit.runtime.links.frames import Kind, Layout
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.link_end import LinkEnd
from edgekit.runtime.links.link_probe import Echo, probe
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.links.rpc.channel_options import METHOD, SERVICE
from edgekit.runtime.links.rpc.stream import PIECE_BYTES
from edgekit.runtime.links.tls import Guard, Keys, host_name, named
from edgekit.runtime.links.transport import TRANSPORTS, receive
from edgekit.runtime.verbs import Probe, Transport
from tests.runtime.bed import eventually, stays

HELLO = Hello(plan="plan", source=0, source_replica=0, receiver=1, receiver_replica=0)
SMALL = Layout((Tensor("x", (300,), "uint8"),))
LARGE = Layout((Tensor("x", (1 << 20,), "uint8"),))
HOUSE, OTHER = Authority.fresh("house"), Authority.fresh("house")
THERE, HERE = named("house", "there"), named("house", "here")


@pytest.fixture(autouse=True, scope="module")
def libraries_run() -> Iterator[None]:
    """What gRPC has open for itself, as long as it is in use, was there before each test."""
    reception = receive("grpc", Gate(("127.0.0.1", 0), None, lambda carrier, hello: None))
    with grpc.insecure_channel("{}:{}".format(*reception.address)) as channel:
        grpc.channel_ready_future(channel).result(10)
        yield
    reception.close()


class Way(NamedTuple):
    """A transport, and whether it is encrypted."""

    transport: str
    secure: bool

    def guard(self, keys: Keys) -> Guard | None:
        return Guard(keys) if self.secure else None


WAYS = {
    "socket": Way("socket", False),
    "socket over TLS": Way("socket", True),
    "gRPC": Way("grpc", False),
    "gRPC over TLS": Way("grpc", True),
}
SECURE = {name: way for name, way in WAYS.items() if way.secure}
every = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
secured = pytest.mark.parametrize("way", SECURE.values(), ids=SECURE)


class Listener:
    """The end of a link that others dial."""

    def __init__(self, way: Way, end: LinkEnd, keys: Keys | None = None, plan: str = "plan"):
        self.end, self.plan, self.said = end, plan, list[str]()
        self.secure = way.secure
        gate = Gate(("127.0.0.1", 0), way.guard(keys or HOUSE.issue("there")), self._admit, self.said.append)
        self.reception = receive(way.transport, gate)

    @property
    def address(self) -> tuple[str, int]:
        return self.reception.address

    def _admit(self, carrier: Carrier, hello: Hello) -> None:
        if hello.plan != self.plan:
            raise ProtocolError(f"this is plan {self.plan}")
        if self.secure:
            carrier.require(HERE)
        self.end.answer(carrier, hello)


@contextmanager
def listening(way: Way, end: LinkEnd, keys: Keys | None = None, plan: str = "plan") -> Iterator[Listener]:
    made = Listener(way, end, keys, plan)
    try:
        yield made
    finally:
        end.leave()
        made.reception.close()


def door(way: Way, address: tuple[str, int], keys: Keys | None = None, name: str = THERE) -> Door:
    return Door(*address, name, way.guard(keys or HOUSE.issue("here")), way.transport)


@contextmanager
def joined(way: Way, layout: Layout, receiver_dials: bool = False) -> Iterator[tuple[Outlet, Inlet, Chaos]]:
    """Both ends of a link, through a proxy."""
    outlet, inlet = Outlet(layout, "there"), Inlet(layout, "here")
    end, caller = (outlet, inlet) if receiver_dials else (inlet, outlet)
    with listening(way, end) as listener, Chaos(*listener.address, Faults()) as chaos:
        caller.call(door(way, chaos.address), HELLO, "the other end")
        try:
            yield outlet, inlet, chaos
        finally:
            chaos.faults = Faults()
            outlet.abort()
            inlet.close()


def push(outlet: Outlet, frames: range, epoch: int = 1) -> None:
    """Frames whose elements tell their number."""
    for frame in frames:
        slot = outlet.acquire()
        slot.views["x"][...] = frame % 251
        outlet.give(epoch, frame, slot)


def take(inlet: Inlet, frames: range, epoch: int = 1) -> None:
    """Each of them comes once, in order and intact."""
    for frame in frames:
        item = inlet.head(20)
        assert (item.kind, item.epoch, item.frame) == (Kind.DATA, epoch, frame), item
        assert item.slot is not None and (item.slot.views["x"] == frame % 251).all()
        inlet.drop()


@contextmanager
def meanwhile(outlet: Outlet, frames: range) -> Iterator[None]:
    """Push them from a thread."""
    sender = threading.Thread(target=push, args=(outlet, frames))
    sender.start()
    yield
    sender.join(20)
    assert not sender.is_alive()


@every
@pytest.mark.parametrize("receiver_dials", [False, True], ids=["sender dials", "receiver dials"])
@pytest.mark.parametrize(("layout", "count"), [(SMALL, 1500), (LARGE, 20)], ids=["small", "large"])
def test_every_frame_comes_once_in_order_and_intact(way: Way, receiver_dials: bool, layout: Layout, count: int) -> None:
    with joined(way, layout, receiver_dials) as (outlet, inlet, _), meanwhile(outlet, range(count)):
        take(inlet, range(count))
        eventually(lambda: len(outlet.transfers) == count)


@every
def test_a_sender_waits_for_a_receiver_that_stalls(way: Way) -> None:
    with joined(way, LARGE) as (outlet, inlet, _), meanwhile(outlet, range(40)):
        assert stays(lambda: len(outlet.transfers)) <= SLOTS  # no more than there is room for has come
        take(inlet, range(40))


@every
def test_frames_that_fail_and_ends_come_in_their_place_and_another_stream_follows(way: Way) -> None:
    with joined(way, SMALL) as (outlet, inlet, _):
        push(outlet, range(1))
        outlet.fail(1, 1, "index 9 is out of range … 輸入", outlet.acquire())
        outlet.end(1)
        push(outlet, range(3), epoch=2)
        take(inlet, range(1))
        for kind, frame, note in ((Kind.FAIL, 1, "index 9 is out of range … 輸入"), (Kind.END, 0, "")):
            item = inlet.head(10)
            assert (item.kind, item.epoch, item.frame, item.note) == (kind, 1, frame, note)
            inlet.drop()
        take(inlet, range(3), epoch=2)


@every
def test_the_news_that_nothing_more_comes_is_heard(way: Way) -> None:
    with joined(way, SMALL) as (outlet, inlet, _):
        outlet.lose(1, "stage 0 is lost")
        item = inlet.head(10)
        assert item.lost and item.note == "stage 0 is lost"


@every
@pytest.mark.parametrize("receiver_dials", [False, True], ids=["sender dials", "receiver dials"])
def test_a_link_whose_connection_is_cut_goes_on(way: Way, receiver_dials: bool) -> None:
    with joined(way, SMALL, receiver_dials) as (outlet, inlet, chaos), meanwhile(outlet, range(3000)):
        for begin in range(0, 3000, 500):
            take(inlet, range(begin, begin + 500))
            chaos.cut()
        assert chaos.counts["connections"] > 3


@every
def test_large_frames_come_through_resets_in_their_middle(way: Way) -> None:
    with joined(way, LARGE) as (outlet, inlet, chaos):
        chaos.faults = Faults(reset=0.002, half=0.002)
        with meanwhile(outlet, range(40)):
            take(inlet, range(40))
        assert chaos.counts["connections"] > 1


@every
def test_bits_that_flip_do_no_harm(way: Way) -> None:
    with joined(way, SMALL) as (outlet, inlet, chaos):
        chaos.faults = Faults(flip=0.02)
        with meanwhile(outlet, range(1500)):
            take(inlet, range(1500))


@every
def test_a_long_frame_on_a_slow_link_is_no_silence(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.links.heartbeat.DEAD_S", 0.6)
    monkeypatch.setattr("edgekit.runtime.links.heartbeat.BEAT_S", 0.2)
    outlet, inlet = Outlet(LARGE, "there"), Inlet(LARGE, "here")
    with listening(way, inlet) as listener, Chaos(*listener.address, Faults(bytes_per_s=2e6)) as chaos:
        outlet.call(door(way, chaos.address), HELLO, "the other end")
        with meanwhile(outlet, range(4)):  # half a second each
            take(inlet, range(4))
        assert chaos.counts["connections"] == 1
        outlet.abort()
        inlet.close()


@every
def test_a_connection_that_goes_dark_is_left_for_another(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.links.heartbeat.DEAD_S", 0.3)
    monkeypatch.setattr("edgekit.runtime.links.heartbeat.BEAT_S", 0.1)
    monkeypatch.setattr("edgekit.runtime.links.link_end.REDIAL_S", 0.3)
    for dark in ("dark", "dark_back"):  # one way is enough
        with joined(way, SMALL) as (outlet, inlet, chaos), meanwhile(outlet, range(1000)):
            take(inlet, range(100))
            getattr(chaos, dark).set()
            eventually(lambda outlet=outlet: not outlet.connected)
            getattr(chaos, dark).clear()
            take(inlet, range(100, 1000))
            assert chaos.counts["connections"] > 1


def refusal(way: Way, address: tuple[str, int], keys: Keys | None = None, name: str = THERE, hello: Hello = HELLO) -> str:
    """Why a caller is not let in, as it is told within five seconds."""
    outlet, begin = Outlet(SMALL, "there"), time.monotonic()
    with pytest.raises(DeviceError) as caught:
        outlet.call(door(way, address, keys, name), hello, "the other end")
    assert time.monotonic() - begin < 5 and not outlet.linked
    return str(caught.value)


@every
def test_a_caller_with_another_plan_is_told_why_it_is_refused(way: Way) -> None:
    inlet = Inlet(SMALL, "here")
    with listening(way, inlet) as listener:
        assert "refused the link: this is plan plan" in refusal(
            way, listener.address, hello=Hello(plan="another", source=0, source_replica=0, receiver=1, receiver_replica=0)
        )
        assert "refused 127.0.0.1:" in listener.said[0] and not inlet.linked


@every
def test_nobody_listens(way: Way) -> None:
    with listening(way, Inlet(SMALL, "here")) as listener:
        address = listener.address
    assert f"the other end cannot be reached at 127.0.0.1:{address[1]}" in refusal(way, address)


@every
def test_one_address_is_for_one_alone(way: Way) -> None:
    with listening(way, Inlet(SMALL, "here")) as listener, pytest.raises(OSError):
        receive(way.transport, Gate(listener.address, None, listener._admit))


@every
def test_who_speaks_another_transport_is_not_let_in(way: Way) -> None:
    inlet = Inlet(SMALL, "here")
    with listening(way, inlet) as listener:
        for other in WAYS.values():
            if (other.transport != way.transport) and other.secure in (way.secure, False):
                assert refusal(other, listener.address)
        assert not inlet.linked


@secured
def test_the_certificate_of_another_authority_is_refused_at_either_end(way: Way) -> None:
    inlet = Inlet(SMALL, "here")
    with listening(way, inlet) as listener:
        assert "certificate" in refusal(way, listener.address, OTHER.issue("here")).lower()  # the caller does not know the listener
        foreign = msgspec.structs.replace(OTHER.issue("here"), authority=HOUSE.issue("here").authority)
        assert refusal(way, listener.address, foreign)  # the listener does not know the caller
        assert not inlet.linked


@secured
def test_another_machine_of_the_house_is_refused_at_either_end(way: Way) -> None:
    inlet = Inlet(SMALL, "here")
    with listening(way, inlet) as listener:
        why = refusal(way, listener.address, HOUSE.issue("neighbour"))
        assert f"the certificate shown is of {named('house', 'neighbour')}, expected {HERE}" in why
        assert refusal(way, listener.address, name=named("house", "attic"))
        assert not inlet.linked


@secured
def test_a_caller_without_a_certificate_is_refused(way: Way) -> None:
    inlet = Inlet(SMALL, "here")
    with listening(way, inlet) as listener:
        assert refusal(way._replace(secure=False), listener.address)
        assert not inlet.linked


@every
def test_tensors_of_another_size_end_a_link(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.links.link_end.RESUME_S", 0.2)
    outlet, inlet = Outlet(LARGE, "there"), Inlet(SMALL, "here")
    with listening(way, inlet) as listener:
        outlet.call(door(way, listener.address), HELLO, "the other end")
        push(outlet, range(1))
        assert inlet.head(10).lost
        eventually(lambda: outlet.broken)
        outlet.abort()
        inlet.close()


@every
@pytest.mark.parametrize("pull", [False, True], ids=["push", "pull"])
def test_what_a_link_costs_is_measured_over_what_carries_it(way: Way, pull: bool) -> None:
    echo_keys, keys = (of_probes().issue(name) if way.secure else None for name in (ECHO, "dialler"))
    echo = Echo("127.0.0.1", echo_keys, way.transport)
    host, port = echo.address
    request = Probe(
        listen=None, host=host, port=port, sizes=(1, 300_000), pull=pull, samples=6, budget_s=60.0, keys=keys, transport=way.transport
    )
    probed = probe(request)
    echo.close()
    assert [len(trips) for trips in probed.round_trips_s] == [6, 6] and probed.host == "127.0.0.1"
    assert len(probed.retransmits) == (2 if way.transport == "socket" else 0)  # gRPC does not tell


PEER = """
import sys
from edgekit.graph import Tensor
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.links.greeting import Door, Hello
outlet = Outlet(Layout((Tensor("x", (300,), "uint8"),)), "there")
hello = Hello(plan="plan", source=0, source_replica=0, receiver=1, receiver_replica=0)
outlet.call(Door("127.0.0.1", int(sys.argv[1]), transport=sys.argv[2]), hello, "the other end")
outlet.give(1, 0, outlet.acquire())
sys.stdin.read()
"""


@pytest.mark.parametrize("transport", ["socket", "grpc"])
def test_a_peer_that_is_killed_is_noticed(transport: Transport) -> None:
    inlet = Inlet(SMALL, "here")
    with listening(Way(transport, False), inlet) as listener:
        command = [sys.executable, "-c", PEER, str(listener.address[1]), transport]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as peer:
            take(inlet, range(1))
            os.kill(peer.pid, signal.SIGKILL)
            assert inlet.head(10).lost
        inlet.close()


def test_a_message_that_is_too_long_ends_its_stream() -> None:
    inlet = Inlet(SMALL, "here")
    with listening(WAYS["gRPC"], inlet) as listener, grpc.insecure_channel("{}:{}".format(*listener.address)) as channel:
        replies = channel.stream_stream(f"/{SERVICE}/{METHOD}")(iter([bytes(PIECE_BYTES + 1)]))
        with pytest.raises(grpc.RpcError):
            list(replies)
        assert not inlet.linked


def test_the_standard_health_service_tells_whether_all_is_well() -> None:
    well = threading.Event()
    reception = receive("grpc", Gate(("127.0.0.1", 0), None, lambda carrier, hello: None, well=well.is_set))
    with grpc.insecure_channel("{}:{}".format(*reception.address)) as channel:
        stub, status = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckResponse
        eventually(lambda: stub.Check(health_pb2.HealthCheckRequest()).status == status.NOT_SERVING)
        well.set()
        eventually(lambda: stub.Check(health_pb2.HealthCheckRequest()).status == status.SERVING)
    reception.close()


WITHOUT = """
import sys
sys.modules |= dict.fromkeys(("grpc", "grpc_health"))  # as if they were not installed
from edgekit.runtime.agent import server
from edgekit.runtime.links import transport, transport_packages
from edgekit.runtime.links.greeting import Door
from edgekit.runtime.stage import process
assert transport_packages.available() == ("socket",)
try:
    transport.dial(Door("127.0.0.1", 1, transport="grpc"), None, "the stage", 1.0)
except Exception as error:
    print(error)
"""


def test_all_that_ships_to_a_device_runs_without_grpc_and_says_so_where_it_is_wanted() -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
    assert told.startswith("grpcio and grpcio-health-checking are not installed here; pip install what is not, or use --transport socket")


def test_a_caller_of_grpc_without_a_certificate_of_its_own_is_refused() -> None:
    inlet = Inlet(SMALL, "here")
    with listening(WAYS["gRPC over TLS"], inlet) as listener:
        nobody = grpc.ssl_channel_credentials(HOUSE.issue("here").authority.encode())
        override = (("grpc.ssl_target_name_override", host_name(THERE)),)
        with grpc.secure_channel("{}:{}".format(*listener.address), nobody, override) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                list(channel.stream_stream(f"/{SERVICE}/{METHOD}")(iter([b""])))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not inlet.linked


@every
def test_who_keeps_silent_is_hung_up_on(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.links.greeting.HANDSHAKE_S", 0.3)
    with (
        listening(way, Inlet(SMALL, "here")) as listener,
        socket.create_connection(listener.address, 5) as silent,
        contextlib.suppress(ConnectionResetError),
    ):
        while silent.recv(1024):  # gRPC tells its settings first
            pass


def test_a_stream_of_grpc_without_a_greeting_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.links.greeting.HANDSHAKE_S", 0.3)
    with listening(WAYS["gRPC"], Inlet(SMALL, "here")) as listener, grpc.insecure_channel("{}:{}".format(*listener.address)) as channel:
        over = threading.Event()
        replies = channel.stream_stream(f"/{SERVICE}/{METHOD}")(iter(lambda: over.wait(10) and b"", b""))
        with pytest.raises(grpc.RpcError):
            list(replies)
        over.set()
        assert "hung up on 127.0.0.1:" in listener.said[0] and "timed out" in listener.said[0]


def test_a_transport_of_ones_own_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRANSPORTS, "own", TRANSPORTS["socket"])
    with joined(Way("own", False), SMALL) as (outlet, inlet, _), meanwhile(outlet, range(20)):
        take(inlet, range(20))
