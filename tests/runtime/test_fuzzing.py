"""Bytes that nobody of ours would send: each end of a link, and a stage that serves, refuse them and go on."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edgekit.errors import DeviceError, ProtocolError
from edgekit.graph import Tensor
from edgekit.runtime.links.frames import EVERY_FRAME, MAX_NOTE_BYTES, Header, Kind, Layout, encode_header
from edgekit.runtime.links.frames import checks as sealed
from edgekit.runtime.links.greeting import Door, Hello, dial, receive_note
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link import Item, Standing
from edgekit.runtime.links.outlet import Outlet
from tests.runtime.bed import eventually, framed, pair
from tests.runtime.stage.test_serving_stage import Bench, frame, values

LAYOUT = Layout((Tensor("t0", (4,), "float32"),))
HELLO = Hello(plan="plan", source="client", source_replica=0, receiver=0, receiver_replica=0)
MOST_GROWN_BYTES = 32 * 2**20

U64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2, 2**31, 2**32, 2**63, EVERY_FRAME])
SIZES = st.integers(0, 200) | U64 | st.sampled_from([LAYOUT.nbytes, MAX_NOTE_BYTES, MAX_NOTE_BYTES + 1])
SMALL = st.integers(0, 2**32 - 1) | st.sampled_from([0, len(LAYOUT.table)])
BODIES = st.binary(max_size=120) | st.just(LAYOUT.table + bytes(LAYOUT.nbytes))


@st.composite
def forged(draw: st.DrawFn) -> bytes:
    """A frame whose header says anything at all, with checks that fit it and what follows."""
    kind = draw(st.sampled_from(list(Kind)))
    head = encode_header(Header(kind, draw(SMALL), draw(st.integers(0, 3) | U64), draw(U64), draw(SMALL), draw(SIZES)))
    body = draw(BODIES)
    return head + sealed(head, memoryview(body)) + body


@st.composite
def mutated(draw: st.DrawFn, honest: bytes) -> bytes:
    """Bytes of ours of which some are others, missing, or there twice."""
    data = bytearray(honest)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 60))]
            case 2:
                data[at:at] = draw(st.binary(max_size=60))
            case 3:
                data[at:at] = data[at : at + 60]
        data = data or bytearray(1)
    return bytes(data)


def greeting() -> bytes:
    """As a client sends it."""
    note = msgspec.msgpack.encode(HELLO)
    return framed(Header(Kind.HELLO, payload_bytes=len(note)), note)


def frames() -> bytes:
    """Three of them, as a client sends them."""
    head = Header(Kind.DATA, 1, 1, 0, len(LAYOUT.table), LAYOUT.nbytes)
    return b"".join(framed(replace(head, sequence=n + 1, frame=n), LAYOUT.table, bytes(LAYOUT.nbytes)) for n in range(3))


CONVERSATIONS = mutated(greeting() + frames()) | st.lists(forged(), min_size=1, max_size=4).map(b"".join) | st.binary(max_size=300)
ON_A_LINK = st.lists(forged(), min_size=1, max_size=4).map(lambda forgeries: frames() + b"".join(forgeries))


@pytest.mark.parametrize("kind", [Inlet, Outlet])
@given(data=CONVERSATIONS | ON_A_LINK)
def test_an_end_of_a_link_only_ends_and_makes_no_room_for_what_is_announced(kind: type[Inlet | Outlet], data: bytes) -> None:
    end = kind(LAYOUT, "fuzzer")
    if isinstance(end, Outlet):
        end._begin()
        end._give(Item(Kind.END, 1, 0))
    else:
        end._state = end._state.__class__(room=8)
    end._resume(Standing(0, 8))
    views: list[int] = []
    incoming = end.incoming

    def measured(header: Header):
        found = incoming(header)
        views.append(len(found))
        return found

    end.incoming = measured  # type: ignore[method-assign]
    here, there = pair()
    with there:
        there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        with here, pytest.raises((OSError, ProtocolError)):  # at the latest where what was sent ends
            Line(here).run(end)
    assert max(views, default=0) <= max(MAX_NOTE_BYTES, LAYOUT.nbytes + len(LAYOUT.table))


@given(mutated(greeting() + frames()) | forged() | st.binary(max_size=200))
def test_a_note_is_one_or_is_refused(data: bytes) -> None:
    here, there = pair()
    with here, there:
        there.sendall(data)
        there.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError, ProtocolError):
            kind, note = receive_note(here, time.monotonic() + 5)
            assert kind is not Kind.DATA and len(note) <= MAX_NOTE_BYTES


NUMBERS = st.integers(-(2**63), 2**64 - 1)


@given(st.binary(max_size=64) | st.lists(NUMBERS, max_size=3).map(msgspec.msgpack.encode))
def test_a_welcome_is_one_or_is_refused(note: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                receive_note(sock, time.monotonic() + 5)
                sock.sendall(framed(Header(Kind.WELCOME, payload_bytes=len(note)), note))

        thread = threading.Thread(target=answer)
        thread.start()
        with contextlib.suppress(DeviceError):
            sock, there = dial(Door(*listener.getsockname()[:2]), HELLO, "stage 0")
            sock.close()
            assert msgspec.msgpack.decode(note) == list(there)
        thread.join()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("fuzzed")).doubling(1)
    yield made
    made.supervisor.stop(None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=CONVERSATIONS | ON_A_LINK.map(lambda data: greeting() + data))
def test_a_stage_that_serves_refuses_them_and_serves_on(bench: Bench, data: bytes) -> None:
    before = peak_bytes(bench)
    with socket.create_connection(bench.addresses["client", 0, 0, 0]) as sock, contextlib.suppress(OSError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(10)
        while sock.recv(65536):
            pass
    assert peak_bytes(bench) - before < MOST_GROWN_BYTES
    eventually(lambda: bench.status().state == "serving")


def test_after_all_of_them_it_still_computes_and_has_logged_no_surprise(bench: Bench) -> None:
    with bench.client() as client:
        assert values(list(client.stream([frame(3), frame(-1)]))) == [6, -2]
    assert "Traceback" not in (Path(bench.supervisor._folder) / "agent.log").read_text()


def peak_bytes(bench: Bench) -> int:
    status = Path(f"/proc/{bench.status().pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
