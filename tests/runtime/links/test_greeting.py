"""Greetings and frames over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import DeviceError, ProtocolError
from edgekit.runtime.links import greeting
from edgekit.runtime.links.frames import Header, Kind, encode_header
from edgekit.runtime.links.greeting import Door, Hello, Refused, accept, dial, receive_note, refuse, send_note, welcome
from edgekit.runtime.links.link import Standing
from tests.runtime.bed import framed, pair

HELLO = Hello(plan="plan", source="client", source_replica=0, receiver=3, receiver_replica=1)
END = st.integers(-(2**63), 2**63 - 1) | st.just("client")


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """The port of a server that sends ``answer`` to whoever calls and then keeps silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            sock, _ = listener.accept()
            sock.sendall(answer)
            held.append(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()
        held[0].close()


def greet(caller: socket.socket, hello: bytes) -> None:
    send_note(caller, Kind.HELLO, hello)


def test_a_caller_and_a_listener_greet() -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                heard.append(accept(sock))
                welcome(sock, Standing(3, 5))

        thread = threading.Thread(target=serve)
        thread.start()
        sock, there = dial(Door(*listener.getsockname()), HELLO, "stage 3")
        thread.join()
    sock.close()
    assert heard == [HELLO] and there == Standing(3, 5)


def test_a_refusal_carries_its_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            accept(sock)
            refuse(sock, "this is stage 2 of another plan")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Refused, match="stage 3 refused the link: this is stage 2 of another plan"):
            dial(Door(*listener.getsockname()), HELLO, "stage 3")
        thread.join()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Refused, match=f"stage 3 cannot be reached at 127.0.0.1:{port}"):
        dial(Door("127.0.0.1", port), HELLO, "stage 3")


def test_a_listener_that_keeps_silent_is_given_up() -> None:
    with answering(b"") as port, pytest.raises(DeviceError, match="did not answer the greeting"):
        dial(Door("127.0.0.1", port), HELLO, "stage 3", within_s=0.1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        framed(Header(Kind.DATA, table_bytes=2**32 - 1, payload_bytes=2**63)),
    ],
)
def test_a_listener_of_another_kind_is_noticed(answer: bytes) -> None:
    with answering(answer) as port, pytest.raises(DeviceError, match="is something else using this port|DATA came"):
        dial(Door("127.0.0.1", port), HELLO, "stage 3")


@pytest.mark.parametrize("opening", [b"GET / HTTP/1.1\r\nHost: edge\r\nAccept: */*\r\n\r\n", framed(Header(Kind.PING)), bytes(48)])
def test_a_caller_of_another_kind_is_noticed(opening: bytes) -> None:
    caller, listener = pair()
    with caller, listener:
        caller.sendall(opening)
        with pytest.raises((ConnectionError, ProtocolError), match="is something else using this port|expected HELLO"):
            accept(listener)


def test_a_caller_that_drips_its_greeting_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greeting, "HANDSHAKE_S", 0.2)
    caller, listener = pair()
    over = threading.Event()

    def drip() -> None:
        for byte in encode_header(Header(Kind.HELLO, payload_bytes=60000)) + bytes(60000):
            if over.wait(0.02):
                return
            caller.sendall(bytes((byte,)))

    thread = threading.Thread(target=drip)
    with caller, listener:
        thread.start()
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            accept(listener)
        assert time.monotonic() - begin < 5  # a timeout for each byte would never end
        over.set()
        thread.join()


REPLICAS = st.integers(0, 9)


@given(
    st.builds(
        Hello,
        plan=st.text(max_size=80),
        source=END,
        source_replica=REPLICAS,
        receiver=END,
        receiver_replica=REPLICAS,
        gives=st.booleans(),
    )
)
def test_every_greeting_survives_the_way(hello: Hello) -> None:
    caller, listener = pair()
    with caller, listener:
        greet(caller, msgspec.msgpack.encode(hello))
        assert accept(listener) == hello


@given(st.binary(max_size=80) | st.builds(lambda hello, cut: msgspec.msgpack.encode(hello)[:cut], st.just(HELLO), st.integers(0, 60)))
def test_a_greeting_that_is_damaged_is_refused(note: bytes) -> None:
    if note == msgspec.msgpack.encode(HELLO):
        return
    caller, listener = pair()
    with caller, listener:
        greet(caller, note)
        with pytest.raises(ProtocolError):
            accept(listener)


def test_a_peer_that_closes_is_told_from_one_that_is_slow() -> None:
    here, there = pair()
    with there:
        with here:
            here.sendall(framed(Header(Kind.END))[:17])
        with pytest.raises(ConnectionError, match="closed"):
            receive_note(there, time.monotonic() + 5)


def test_a_greeting_of_which_a_bit_has_flipped_is_not_believed() -> None:
    note = msgspec.msgpack.encode(HELLO)
    whole = framed(Header(Kind.HELLO, payload_bytes=len(note)), note)
    for at in range(0, 8 * len(whole), 13):
        here, there = pair()
        with here, there:
            flipped = bytearray(whole)
            flipped[at // 8] ^= 1 << at % 8
            here.sendall(flipped)
            here.shutdown(socket.SHUT_WR)
            with pytest.raises((ConnectionError, ProtocolError)):
                accept(there)


def test_no_room_is_made_for_a_note_that_is_none() -> None:
    here, there = pair()
    with here, there:
        here.sendall(framed(Header(Kind.DATA, payload_bytes=2**62)))
        with pytest.raises(ProtocolError):
            receive_note(there, time.monotonic() + 5)
