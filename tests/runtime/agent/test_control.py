"""Requests and replies between a controller, an agent and its stage processes."""

import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import DeviceError, EdgekitError, GraphError, ProtocolError, UsageError
from edgekit.runtime.agent.control import AHEAD, Channel, Failure
from edgekit.runtime.verbs import Done, Facts, Logs, Put, PutReply, Reply, Request

Ends = tuple[Channel, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A channel and the bare socket at its other end."""
    here, there = socket.socketpair()
    with here, there:
        yield Channel(here, "pi"), there


def message(json: bytes, blob_bytes: int = 0) -> bytes:
    return struct.pack("!IQ", len(json), blob_bytes) + json


def answering(there: socket.socket, *answers: tuple[Reply | Failure, bytes]) -> threading.Thread:
    """A peer that answers one request after the other."""

    def serve() -> None:
        channel = Channel(there, "the controller")
        for answer, blob in answers:
            channel.receive(Request)
            channel.send(answer, blob)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_a_blob_travels_with_its_message(ends: Ends, size: int) -> None:
    channel, there = ends
    blob = bytes(range(256)) * (size // 256) + bytes(size % 256)
    thread = threading.Thread(target=Channel(there, "pi").send, args=(Put("abc"), blob))
    thread.start()
    assert channel.receive(Request) == (Put("abc"), blob)
    thread.join()


def test_replies_come_in_the_order_of_requests(ends: Ends) -> None:
    channel, there = ends
    thread = answering(there, (PutReply(True), b""), (Done(), b"blob"))
    assert channel.ask(Put("a"), PutReply) == (PutReply(True), b"")
    assert channel.ask(Facts(), Done) == (Done(), b"blob")
    thread.join()


def test_requests_go_ahead_of_their_replies_and_no_further(ends: Ends) -> None:
    channel, there = ends
    peer, begun, seen = Channel(there, "the controller"), [], []

    def requests() -> Iterator[tuple[Put, bytes]]:
        for number in range(10):
            begun.append(number)
            yield Put("a", 10, number), b"x"

    def serve() -> None:
        for _ in range(AHEAD):
            peer.receive(Request)
        for number in range(10):
            seen.append(len(begun))
            peer.send(PutReply(False, number))
            if number + AHEAD < 10:
                peer.receive(Request)

    thread = threading.Thread(target=serve)
    thread.start()
    assert channel.ask_ahead(requests(), PutReply) == (PutReply(False, 9), b"")
    thread.join()
    assert all(number + AHEAD >= count - 1 for number, count in enumerate(seen))  # the next one waits to be sent


def test_of_several_requests_the_first_failure_is_raised_and_the_last_that_is_sent_for(ends: Ends) -> None:
    channel, there = ends
    answers = [PutReply(False), Failure("UsageError", "first"), Failure("DeviceError", "second"), *[PutReply(False)] * (AHEAD - 2)]
    thread = answering(there, *((answer, b"") for answer in answers), (Done(), b""))
    with pytest.raises(UsageError, match="^pi: first$"):
        channel.ask_ahead(((Put("a", 100, number), b"x") for number in range(100)), PutReply)
    assert channel.ask(Facts(), Done) == (Done(), b"")  # which is the answer to this request
    thread.join()


@pytest.mark.parametrize(
    ("kind", "raised"), [("GraphError", GraphError), ("UsageError", UsageError), ("SomethingNew", DeviceError), ("SystemExit", DeviceError)]
)
def test_a_failure_is_raised_as_what_it_stands_for(ends: Ends, kind: str, raised: type[EdgekitError]) -> None:
    channel, there = ends
    thread = answering(there, (Failure(kind, "no such operator"), b""), (Done(), b""))
    with pytest.raises(raised, match="^pi: no such operator$") as caught:
        channel.ask(Facts(), Done)
    assert type(caught.value) is raised
    assert channel.ask(Facts(), Done) == (Done(), b"")  # the connection goes on
    thread.join()


@pytest.mark.parametrize("length", [2**32 - 1, 64 * 1024**2 + 1])
def test_a_message_that_announces_too_much_is_refused(ends: Ends, length: int) -> None:
    channel, there = ends
    there.sendall(struct.pack("!IQ", length, 0))
    with pytest.raises(ProtocolError, match="that is not one of ours"):
        channel.receive(Request)


def test_no_room_is_made_for_what_does_not_come(ends: Ends) -> None:
    channel, there = ends
    there.sendall(message(b'{"type":"facts"}', 4 * 1024**3) + b"little")
    there.shutdown(socket.SHUT_WR)
    tracemalloc.start()
    try:
        with pytest.raises(DeviceError, match="pi closed its control connection"):
            channel.receive(Request)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=60) | st.text(max_size=20).map(lambda text: text.encode()) | st.just(b"[" * 100_000) | st.just(b'{"type":"fly"}'))
def test_a_message_of_another_kind_is_refused(json: bytes) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(message(json))
        with pytest.raises(ProtocolError, match="unknown message"):
            Channel(here, "pi").receive(Request)


def test_a_peer_that_goes_away_is_named(ends: Ends) -> None:
    channel, there = ends
    there.close()
    with pytest.raises(DeviceError, match="^pi (went away|closed)"):
        channel.ask(Facts(), Done)


def test_an_interrupted_request_ends_the_connection(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    channel, there = ends

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(channel, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            channel.ask(Logs(), Done)
    with pytest.raises(DeviceError):  # and does not take the late reply for its own
        channel.ask(Facts(), Done)


def test_closing_wakes_whoever_waits_for_a_reply(ends: Ends) -> None:
    channel, _ = ends
    closing = threading.Timer(0.05, channel.close)
    closing.start()
    with pytest.raises(DeviceError):
        channel.receive(Request)
    closing.join()
    channel.close()
