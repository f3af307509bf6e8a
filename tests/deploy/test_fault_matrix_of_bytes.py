"""The fault matrix: bytes that lie, are sent again, are of another version, and frames that are poison (F12, F13, F15, F18, F20).

Each is done to one stage in a process of its own, in clear and over TLS with a certificate that is valid; it then serves a client.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from devices.shaper import Direction, carry
from edgekit.cluster import Shape
from edgekit.deploy.client import client_links
from edgekit.deploy.client.client import Client
from edgekit.errors import DeviceError
from edgekit.graph import Tensor
from edgekit.runtime.links.frames import MAX_NOTE_BYTES, Header, Kind, Layout, checks, encode_header, framed
from edgekit.runtime.links.greeting import Door, dial, receive_note
from edgekit.runtime.links.sockets import arrivals, hang_up
from edgekit.runtime.links.tls import Guard, Keys
from edgekit.runtime.verbs import Logs, LogsReply, Port, StageStatus
from tests.deploy.bed import Bed, home
from tests.models import serial, split
from tests.runtime.bed import X, Y, eventually
from tests.runtime.links.test_tls import HELLO, HOUSE, STAGE, Bench

__all__ = ["home"]

LAYOUT = Layout((X,))
DATA = Header(Kind.DATA, 1, 1, 0, len(LAYOUT.table), LAYOUT.nbytes)
PAYLOAD = bytes(LAYOUT.nbytes)


class Target(Bench):
    """A stage that is attacked, with certificates or without."""

    def __init__(self, folder: Path, secure: bool):
        self.keys: Keys | None = HOUSE.issue("client") if secure else None
        super().__init__(folder, HOUSE.issue("bench") if secure else None)  # type: ignore[arg-type]

    @contextmanager
    def client(self) -> Iterator[Client]:
        names = (STAGE,) if self.keys else ()
        ports = ((Port(end=0, replicas=1, tensors=(Y,), names=names),), (Port(end=0, replicas=1, tensors=(X,), names=names),))
        addresses = {("client", 0, 0, 0): self.address, (0, 0, "client", 0): self.address}
        with Client(client_links.Target("plan", ports, addresses, keys=self.keys)) as client:  # type: ignore[arg-type]
            yield client

    def serves(self, count: int = 1) -> None:
        """Each frame has its own result."""
        with self.client() as client:
            for number, result in enumerate(client.stream({"x": np.full(4, n, np.float32)} for n in range(count))):
                np.testing.assert_array_equal(result.value()["y"], np.full(4, 2 * number, np.float32))
        assert number == count - 1

    def linked(self) -> socket.socket:
        """A connection over which frames may come, and that is let in."""
        door = Door(*self.address, STAGE, Guard(self.keys) if self.keys else None)
        return dial(door, HELLO, "the stage")[0]

    def framed(self, header: Header, *body: bytes) -> bytes:
        """A frame with checks that fit, whatever it says."""
        return framed(header, b"".join(body), checked=not self.keys)

    @property
    def status(self) -> StageStatus:
        reply, _ = self.supervisor.answer(Logs(), b"")
        assert isinstance(reply, LogsReply)
        return reply.stages[0]

    @property
    def peak_bytes(self) -> int:
        text = Path(f"/proc/{self.status.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture(scope="module", params=["clear", "TLS"])
def target(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("target"), request.param == "TLS")
    yield made
    made.supervisor.stop(None)


def table(*tensors: Tensor) -> bytes:
    return Layout(tensors).table


SQUARE = table(Tensor("x", (2, 2), "float32"))

LIES = {
    "oversized": (replace(DATA, payload_bytes=2**40), LAYOUT.table),
    "negative": (replace(DATA, payload_bytes=2**64 - 16), LAYOUT.table),
    "a table of gigabytes": (replace(DATA, table_bytes=2**32 - 1), LAYOUT.table),
    "shorter than its tensors": (replace(DATA, payload_bytes=LAYOUT.nbytes - 1), LAYOUT.table, PAYLOAD[:-1]),
    "no table": (replace(DATA, table_bytes=0), PAYLOAD),
    "another name": (DATA, table(Tensor("z", (4,), "float32")), PAYLOAD),
    "another type": (DATA, table(Tensor("x", (4,), "int32")), PAYLOAD),
    "another shape": (replace(DATA, table_bytes=len(SQUARE)), SQUARE, PAYLOAD),
    "a note above its cap": (Header(Kind.FAIL, 1, 1, 0, 0, MAX_NOTE_BYTES + 1), bytes(100)),
    "a note of exabytes": (Header(Kind.FAIL, 1, 1, 0, 0, 2**62), bytes(100)),
    "a frame too early": (replace(DATA, sequence=7), LAYOUT.table, PAYLOAD),
    "a frame twice": (DATA, LAYOUT.table, PAYLOAD, DATA, LAYOUT.table, PAYLOAD),
    "what only the receiver says": (Header(Kind.ACK, sequence=9, frame=9),),
    "a second greeting": (Header(Kind.HELLO, payload_bytes=3), b"abc"),
}


def pieces(target: Target, lie: tuple[Header | bytes, ...]) -> bytes:
    """Its frames, one behind the other."""
    frames: list[tuple[Header, list[bytes]]] = []
    for part in lie:
        if isinstance(part, Header):
            frames.append((part, []))
        else:
            frames[-1][1].append(part)
    return b"".join(target.framed(header, *body) for header, body in frames)


def hello(content: object, version: int | None = None) -> bytes:
    note = msgspec.msgpack.encode(content)
    head = bytearray(encode_header(Header(Kind.HELLO, payload_bytes=len(note))))
    if version is not None:
        head[4] = version
    return bytes(head) + checks(head, memoryview(note)) + note


OTHER = msgspec.structs.replace(HELLO, plan="another")
RESUMING = msgspec.structs.replace(HELLO, link="0123456789abcdef", resumes=True)


@pytest.mark.parametrize("lie", LIES)
def test_f12_a_frame_that_lies_ends_its_connection_before_room_is_made(target: Target, lie: str) -> None:
    target.serves()
    before = target.peak_bytes
    with target.linked() as sock:
        sock.sendall(pieces(target, LIES[lie]))
        sock.settimeout(5)
        with pytest.raises(OSError):
            while True:
                if not sock.recv(65536):
                    raise ConnectionError
    assert target.peak_bytes - before < 4e6
    eventually(lambda: "the link with client ended: " in target.log)
    target.serves()


def logged(target: Target) -> int:
    """Lines of its log."""
    return (target.folder / "agent.log").read_text().count("\n")


def test_f13_a_stream_goes_on_while_others_knock(target: Target) -> None:
    over, knocks = threading.Event(), [bytes(64), b"GET / HTTP/1.1\r\n\r\n", hello(HELLO), hello(OTHER), hello(RESUMING), hello(HELLO)[:30]]

    def knock(greeting: bytes) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                plain = socket.create_connection(target.address)
                with Guard(target.keys).call(plain, STAGE, 5) if target.keys else plain as sock:
                    sock.sendall(greeting + pieces(target, LIES["oversized"]))
                    sock.settimeout(0.2)
                    sock.recv(100)

    before, begin = logged(target), time.monotonic()
    threads = [threading.Thread(target=knock, args=(greeting,)) for greeting in knocks]
    with target.client() as client:
        for thread in threads:
            thread.start()
        for number, result in enumerate(client.stream({"x": np.full(4, n, np.float32)} for n in range(1500))):
            np.testing.assert_array_equal(result.value()["y"], np.full(4, 2 * number, np.float32))
        over.set()
        for thread in threads:
            thread.join()
    assert number == 1499
    assert logged(target) - before < 6 * (time.monotonic() - begin) + 20  # who knocks does not fill the disk
    target.serves()


def test_f15_a_session_that_is_recorded_and_sent_again_is_not_let_in(tmp_path: Path) -> None:
    target = Target(tmp_path, secure=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorded: list[list[bytes]] = []
        threading.Thread(target=record, args=(listener, target.address, recorded), daemon=True).start()
        real, target.address = target.address, listener.getsockname()[:2]
        target.serves()
        target.address = real
        hang_up(listener)
    frames = target.status.frames
    assert frames == 1 and len(recorded) == 2
    for session in recorded:
        with socket.create_connection(real) as sock:
            sock.settimeout(6)
            try:
                for data in session:
                    sock.sendall(data)
                while sock.recv(65536):
                    pass
            except OSError:
                pass  # hung up on
    eventually(lambda: target.log.count("hung up on 127.0.0.1") >= 2)
    assert target.status.frames == frames
    target.serves()
    target.supervisor.stop(None)


class Recorded(Direction):
    """Passes on what comes, and keeps it."""

    def __init__(self, source: socket.socket, sink: socket.socket, kept: list[bytes]):
        self._kept = kept
        super().__init__(source, sink, Shape())

    def _deliver(self, data: bytes) -> None:
        self._kept.append(data)
        super()._deliver(data)


def record(listener: socket.socket, there: tuple[str, int], into: list[list[bytes]]) -> None:
    """Pass connections on, and keep what their callers send."""

    def relay(near: socket.socket) -> None:
        into.append([])
        carry(near, there, lambda far, kept=into[-1]: (Recorded(near, far, kept), Direction(far, near, Shape())))  # type: ignore[misc]

    for near in arrivals(listener):
        threading.Thread(target=relay, args=(near,), daemon=True).start()


def greeted(target: Target, greeting: bytes) -> str:
    """The reason that a caller who greets like this is given."""
    plain = socket.create_connection(target.address)
    sock = Guard(target.keys).call(plain, STAGE, 5) if target.keys else plain
    with sock:
        sock.sendall(greeting)
        kind, note = receive_note(sock, time.monotonic() + 5)
    assert kind is Kind.REJECT
    return note.decode()


@pytest.mark.parametrize("version", [1, 3])
def test_f18_a_peer_of_another_version_is_told_so(target: Target, version: int) -> None:
    text = greeted(target, hello(HELLO, version))
    assert text == f"the peer speaks frame version {version}, this side 2; bring both to the same edgekit"
    target.serves()


def test_f18_a_peer_of_another_plan_or_of_a_later_edgekit_is_told_so(target: Target) -> None:
    assert "not what the caller looks for; deploy again" in greeted(target, hello(OTHER))
    later = msgspec.to_builtins(HELLO) | {"compressed": True}
    assert "the greeting does not decode: Object contains unknown field `compressed`" in greeted(target, hello(later))
    with pytest.raises(DeviceError, match="refused the link: .*deploy again"):
        dial(Door(*target.address, STAGE, Guard(target.keys) if target.keys else None), OTHER, "the stage")
    target.serves()


def test_f20_a_frame_without_numbers_is_computed_like_any_other_and_its_neighbours_are_right(home: Bed) -> None:
    net = serial()
    poison = {"x": np.full((1, 3, 8, 8), np.nan, np.float32)}
    frames = [net.inputs(0), poison, net.inputs(0), {"x": np.full((1, 3, 8, 8), np.inf, np.float32)}, net.inputs(0)]
    with home.client(split(net.graph, (0, 1, "a"), (1, 3, "b"), (3, 5, "c")), net) as client:
        values = [result.value()["y"] for result in client.stream(frames)]
    assert not np.isfinite(values[1]).any() and not np.isfinite(values[3]).any()
    assert values[0].tobytes() == values[2].tobytes() == values[4].tobytes() and np.isfinite(values[0]).all()
