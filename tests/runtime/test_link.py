"""One link between two threads: order, bounded memory, and peers that go away."""

import contextlib
import socket
import threading
import time

import numpy as np
import pytest

from edgekit.errors import DeviceError, ProtocolError
from edgekit.graph import Tensor
from edgekit.runtime import wire
from edgekit.runtime.frames import EVERY_FRAME, Header, Kind, Layout, encode_header
from edgekit.runtime.inlet import Inlet
from edgekit.runtime.link import SLOTS, Item
from edgekit.runtime.outlet import Outlet
from edgekit.runtime.wire import receive_header, receive_note, send, send_note
from tests.runtime.bed import attach, eventually, pair, stays

SMALL = Layout((Tensor("x", (3,), "float32"),))
LARGE = Layout((Tensor("x", (1 << 20,), "uint8"),))


def feed(outlet: Outlet, frames: range, epoch: int = 1) -> None:
    """Send frames whose elements are their number."""
    for frame in frames:
        slot = outlet.acquire()
        slot.views["x"][...] = frame % 256
        outlet.give(epoch, frame, slot)


def drain(inlet: Inlet, count: int) -> list[tuple[Kind, int, int, float | str]]:
    """The next items: kind, epoch, frame, and the value of their elements or their note."""
    found = []
    for _ in range(count):
        item = inlet.head(10)
        value = float(item.slot.views["x"].flat[0]) if item.slot and item.kind is Kind.DATA else item.note
        found.append((item.kind, item.epoch, item.frame, value))
        if item.slot and item.kind is Kind.DATA:
            assert (item.slot.views["x"] == item.slot.views["x"].flat[0]).all()
        inlet.drop()
    return found


def data(frame: int, epoch: int = 1) -> tuple[Kind, int, int, float]:
    return Kind.DATA, epoch, frame, float(frame % 256)


@pytest.fixture
def ends():
    """An outlet and an inlet that are closed in the end."""
    made = []

    def make(layout: Layout = SMALL) -> tuple[Outlet, Inlet]:
        made.append((Outlet(layout, "there"), Inlet(layout, "here")))
        return made[-1]

    yield make
    for outlet, inlet in made:
        outlet.abort()
        inlet.close()


def test_frames_arrive_in_order_and_intact(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    sender = threading.Thread(target=feed, args=(outlet, range(2000)))
    sender.start()
    assert drain(inlet, 2000) == [data(frame) for frame in range(2000)]
    sender.join()


def test_large_frames_arrive_intact(ends) -> None:
    outlet, inlet = ends(LARGE)
    attach(outlet, inlet)
    sender = threading.Thread(target=feed, args=(outlet, range(20)))
    sender.start()
    assert drain(inlet, 20) == [data(frame) for frame in range(20)]
    sender.join()


def test_every_acknowledged_frame_has_a_transfer_time(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    feed(outlet, range(SLOTS))
    drain(inlet, SLOTS)
    eventually(lambda: len(outlet.transfers) == SLOTS)
    assert [frame for frame, _ in outlet.transfers] == list(range(SLOTS))
    assert all(seconds >= 0 for _, seconds in outlet.transfers)


def test_a_sender_waits_for_a_receiver_that_stalls(ends) -> None:
    outlet, inlet = ends(LARGE)
    attach(outlet, inlet)
    given = []

    def push() -> None:
        for frame in range(40):
            feed(outlet, range(frame, frame + 1))
            given.append(frame)

    sender = threading.Thread(target=push)
    sender.start()
    # the ring here, the ring there, and less than three frames in the sockets' buffers
    assert stays(lambda: len(given)) <= 2 * SLOTS + 3
    assert drain(inlet, 40) == [data(frame) for frame in range(40)]
    sender.join()


def test_failed_frames_wait_as_well(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    given = []

    def push() -> None:
        for frame in range(5000):
            outlet.fail(1, frame, "x" * 4000, outlet.acquire())
            given.append(frame)

    sender = threading.Thread(target=push)
    sender.start()
    assert stays(lambda: len(given)) < 2000
    assert [frame for _, _, frame, _ in drain(inlet, 5000)] == list(range(5000))
    sender.join()


def test_failures_and_ends_travel_in_their_place(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    feed(outlet, range(1))
    outlet.fail(1, 1, "index 9 is out of range … 輸入", outlet.acquire())
    outlet.end(1)
    assert drain(inlet, 3) == [data(0), (Kind.FAIL, 1, 1, "index 9 is out of range … 輸入"), (Kind.END, 1, 0, "")]


def test_a_note_that_is_too_long_is_cut(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    outlet.fail(1, 0, "é" * 100_000, outlet.acquire())
    ((_, _, _, note),) = drain(inlet, 1)
    assert isinstance(note, str) and note.startswith("ééé") and len(note) < 5000


def test_the_news_that_a_link_is_lost_comes_after_its_frames_and_stays(ends) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(there, returning=False)
    with here:  # and without a look at acknowledgements
        for frame in range(2):
            header = Header(Kind.DATA, 1, 0, frame, len(SMALL.table), SMALL.nbytes)
            send(here, header, SMALL.table, np.zeros(SMALL.nbytes, np.uint8))
        here.shutdown(socket.SHUT_WR)
        assert [frame for _, _, frame, _ in drain(inlet, 2)] == [0, 1]
    for _ in range(3):
        item = inlet.head(10)
        assert item.lost and "lost here" in item.note
        inlet.drop()


def test_a_peer_that_vanishes_within_a_frame_is_lost(ends) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(there, returning=False)
    header = Header(Kind.DATA, 1, 0, 0, len(SMALL.table), SMALL.nbytes)
    with here:
        here.sendall(encode_header(header) + SMALL.table + b"half")
    assert inlet.head(10) == Item(Kind.FAIL, 0, EVERY_FRAME, note="lost here: the peer closed the connection")


def test_a_client_that_vanishes_within_a_frame_may_come_again(ends) -> None:
    _, inlet = ends()
    for epoch in range(1, 2 * SLOTS + 2):  # a slot that is lost each time would be missed
        eventually(lambda: not inlet.connected)
        here, there = pair()
        inlet.attach(there, returning=True)
        header = Header(Kind.DATA, epoch, 0, 0, len(SMALL.table), SMALL.nbytes)
        with here:
            send(here, header, SMALL.table, np.zeros(SMALL.nbytes, np.uint8))
            here.sendall(encode_header(header) + SMALL.table + b"half")
        assert [item[:2] for item in drain(inlet, 2)] == [(Kind.DATA, epoch), (Kind.END, epoch)]


def test_a_client_that_ended_its_stream_ends_it_once(ends) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(there, returning=True)
    with here:
        send_note(here, Kind.END, epoch=1)
    drain(inlet, 1)
    eventually(lambda: not inlet.connected)
    with pytest.raises(TimeoutError, match="nothing came from here"):
        inlet.head(0.01)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (encode_header(Header(Kind.DATA, 1, 0, 0, len(SMALL.table), 2**62)), "the two ends run different plans"),
        (encode_header(Header(Kind.DATA, 1, 0, 0, 2**32 - 1, SMALL.nbytes)), "the two ends run different plans"),
        (
            encode_header(Header(Kind.DATA, 1, 0, 0, len(SMALL.table), SMALL.nbytes))
            + Layout((Tensor("z", (3,), "float32"),)).table
            + bytes(SMALL.nbytes),
            "tensors other than x came",
        ),
        (encode_header(Header(Kind.HELLO)), "HELLO is not what an inlet gets"),
        (b"GET / HTTP/1.1\r\nHost: edge\r\nAccept: */*\r\n", "is something else using this port?"),
    ],
)
def test_what_does_not_belong_on_a_link_ends_it(ends, sent: bytes, why: str) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(there, returning=False)
    with here:
        here.sendall(sent)
        item = inlet.head(10)
        assert item.lost and why in item.note
        with contextlib.suppress(ConnectionResetError):  # where something was left unread
            assert here.recv(1) == b""


def test_an_outlet_without_a_peer_discards(ends) -> None:
    outlet, _ = ends()
    feed(outlet, range(100))
    assert not outlet.connected and not outlet.broken


def test_a_sender_goes_on_when_its_peer_closes(ends) -> None:
    outlet, inlet = ends(LARGE)
    attach(outlet, inlet)
    given = []

    def push() -> None:
        for frame in range(40):
            feed(outlet, range(frame, frame + 1))
            given.append(frame)

    sender = threading.Thread(target=push)
    sender.start()
    assert stays(lambda: len(given)) < 40
    inlet.close()
    sender.join(10)
    assert not sender.is_alive()
    eventually(lambda: outlet.broken)


def test_hanging_up_wakes_whoever_waits_for_a_buffer(ends) -> None:
    outlet, _ = ends()
    for _ in range(SLOTS):
        outlet.acquire()
    raised = []

    def wait() -> None:
        try:
            outlet.acquire()
        except DeviceError as error:
            raised.append(str(error))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    outlet.abort()
    for thread in waiting:
        thread.join(10)
    assert raised == ["the link to there is closed; open a new client"] * 3


def test_closing_an_inlet_wakes_whoever_reads(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    closing = threading.Timer(0.05, inlet.close)
    closing.start()
    assert inlet.head(10).lost
    closing.join()


def test_closing_an_inlet_whose_ring_is_full_does_not_hang(ends) -> None:
    outlet, inlet = ends()
    attach(outlet, inlet)
    sender = threading.Thread(target=feed, args=(outlet, range(100)))
    sender.start()
    time.sleep(0.05)
    inlet.close()
    sender.join(10)
    assert not sender.is_alive()


def test_a_peer_that_does_not_answer_pings_is_given_up(ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HANDSHAKE_S", 0.1)
    outlet, _ = ends()
    here, there = pair()
    with there, pytest.raises(TimeoutError):
        outlet.attach(here)
    assert here.fileno() == -1 and not outlet.connected


def test_a_peer_that_answers_something_else_is_given_up(ends) -> None:
    outlet, _ = ends()
    here, there = pair()
    with there:
        send_note(there, Kind.ACK)
        with pytest.raises(ProtocolError, match="does not answer a ping"):
            outlet.attach(here)
    assert here.fileno() == -1


def test_nothing_is_discarded_once_a_peer_is_welcome(ends) -> None:
    outlet, inlet = ends()
    here, there = pair()
    sender = threading.Thread(target=feed, args=(outlet, range(20)))

    def welcome(sock: socket.socket) -> None:
        assert sock is here
        sender.start()
        time.sleep(0.05)  # the peer's frames are quicker than its answers to pings
        inlet.attach(there, returning=False)

    outlet.attach(here, welcome)
    assert drain(inlet, 20) == [data(frame) for frame in range(20)]
    sender.join()


def test_a_lost_client_gives_way_to_the_next(ends) -> None:
    outlet, first = ends()
    _, second = ends()
    attach(outlet, first)
    feed(outlet, range(1), epoch=1)
    drain(first, 1)
    first.close()
    eventually(lambda: not outlet.connected)
    attach(outlet, second)
    assert not outlet.broken
    feed(outlet, range(1), epoch=2)
    assert drain(second, 1) == [data(0, epoch=2)]


def test_a_receiver_that_never_acknowledges_does_no_harm(ends) -> None:
    outlet, _ = ends()
    here, there = pair()
    with there:

        def answer() -> None:
            for _ in range(3):
                receive_note(there, receive_header(there))
                send_note(there, Kind.PONG)
            while there.recv(1 << 16):
                pass

        thread = threading.Thread(target=answer)
        thread.start()
        outlet.attach(here)
        feed(outlet, range(500))
        outlet.abort()
        thread.join()
    assert not outlet.transfers
