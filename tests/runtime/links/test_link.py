"""One link between two threads: order, bounded memory, and peers that go away."""

import contextlib
import socket
import threading
import time

import pytest
from msgspec.structs import replace

from edgekit.errors import DeviceError
from edgekit.graph import Tensor
from edgekit.ring import SLOTS, slots_of
from edgekit.runtime.links import heartbeat
from edgekit.runtime.links.frames import EVERY_FRAME, MAX_NOTE_BYTES, Header, Kind, Layout
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link import Item, Standing
from edgekit.runtime.links.link_end import Greeting
from edgekit.runtime.links.outlet import Outlet
from tests.runtime.bed import attach, eventually, framed, pair, stays

SMALL = Layout((Tensor("x", (3,), "float32"),))
LARGE = Layout((Tensor("x", (1 << 20,), "uint8"),))
OTHER = Layout((Tensor("z", (3,), "float32"),)).table


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
    assert [each.frame for each in outlet.transfers] == list(range(SLOTS))
    assert all(each.end_s >= each.begin_s for each in outlet.transfers)


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


def sent(frame: int, epoch: int = 1, number: int = 1) -> bytes:
    """A message of zeros as its sender would write it."""
    return framed(Header(Kind.DATA, epoch, number, frame, len(SMALL.table), SMALL.nbytes), SMALL.table, bytes(SMALL.nbytes))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that wait less long for another connection."""
    monkeypatch.setattr("edgekit.runtime.links.link_end.RESUME_S", 0.1)


@pytest.mark.usefixtures("hasty")
def test_the_news_that_a_link_is_lost_comes_after_its_frames_and_stays(ends) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(Greeting(Line(there)))
    with here:  # and without a look at acknowledgements
        here.sendall(sent(0, number=1) + sent(1, number=2))
        here.shutdown(socket.SHUT_WR)
        assert [frame for _, _, frame, _ in drain(inlet, 2)] == [0, 1]
    for _ in range(3):
        item = inlet.head(10)
        assert item.lost and "lost here" in item.note
        inlet.drop()


@pytest.mark.usefixtures("hasty")
def test_a_peer_that_vanishes_within_a_frame_is_lost(ends) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(Greeting(Line(there)))
    with here:
        here.sendall(sent(0)[:-5])
    assert inlet.head(10) == Item(Kind.FAIL, 0, EVERY_FRAME, note="lost here: the peer closed the connection")


@pytest.mark.usefixtures("hasty")
def test_a_client_that_vanishes_within_a_frame_may_come_again() -> None:
    inlet = Inlet(LARGE, "here", returning=True)
    for epoch in range(1, 2 * SLOTS + 2):  # a slot that is lost each time would be missed
        here, there = pair()
        inlet.attach(Greeting(Line(there)), str(epoch))
        header = Header(Kind.DATA, epoch, 1, 0, len(LARGE.table), LARGE.nbytes)
        with here:
            here.sendall(framed(header, LARGE.table, bytes(LARGE.nbytes)))
            here.sendall(framed(replace(header, sequence=2), LARGE.table, bytes(LARGE.nbytes))[:1000])
        assert [item[:2] for item in drain(inlet, 2)] == [(Kind.DATA, epoch), (Kind.END, epoch)]
    inlet.close()


def test_a_client_that_says_goodbye_has_gone_at_once(ends) -> None:
    outlet, _ = ends()
    inlet = Inlet(SMALL, "here", returning=True)
    attach(outlet, inlet)
    feed(outlet, range(1))
    drain(inlet, 1)
    outlet.abort()
    assert [item[:2] for item in drain(inlet, 1)] == [(Kind.END, 1)]
    eventually(lambda: not inlet.linked)


def test_a_client_that_ended_its_stream_ends_it_once(ends) -> None:
    outlet, _ = ends()
    inlet = Inlet(SMALL, "here", returning=True)
    attach(outlet, inlet)
    outlet.end(1)
    drain(inlet, 1)
    outlet.abort()
    eventually(lambda: not inlet.linked)
    with pytest.raises(TimeoutError, match="nothing came from here"):
        inlet.head(0.01)


@pytest.mark.parametrize(
    ("bytes_", "why"),
    [
        (framed(Header(Kind.DATA, 1, 1, 0, len(SMALL.table), 2**62)), "the two ends run different plans"),
        (framed(Header(Kind.DATA, 1, 1, 0, 2**32 - 1, SMALL.nbytes)), "the two ends run different plans"),
        (framed(Header(Kind.DATA, 1, 1, 0, len(SMALL.table), SMALL.nbytes), OTHER, bytes(SMALL.nbytes)), "tensors other than x came"),
        (framed(Header(Kind.HELLO)), "HELLO of 0 bytes does not belong on this end of a link"),
        (framed(Header(Kind.ACK)), "ACK of 0 bytes does not belong on this end of a link"),
        (framed(Header(Kind.PING, payload_bytes=3), b"hey"), "PING of 3 bytes does not belong on this end of a link"),
        (sent(0, number=2), "message 2 came, expected 1 at most 64"),
        (framed(Header(Kind.END, payload_bytes=MAX_NOTE_BYTES + 1)), "at most 65536 are allowed"),
    ],
)
def test_what_does_not_belong_on_a_link_ends_it(ends, bytes_: bytes, why: str) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(Greeting(Line(there)), "token")
    with here:
        here.sendall(bytes_)
        item = inlet.head(10)
        assert item.lost and why in item.note
        with contextlib.suppress(ConnectionResetError):  # where something was left unread
            while here.recv(1024):
                pass


def test_more_than_there_is_room_for_ends_a_link(ends) -> None:
    _, inlet = ends()
    here, there = pair()
    inlet.attach(Greeting(Line(there)))
    with here:
        here.sendall(b"".join(sent(frame, number=frame + 1) for frame in range(65)))
        eventually(lambda: not inlet.linked)
        assert [kind for kind, *_ in drain(inlet, 64)] == [Kind.DATA] * 64
        assert "message 65 came, expected 65 at most 64" in inlet.head(10).note


@pytest.mark.usefixtures("hasty")
def test_a_bit_that_flips_anywhere_is_noticed(ends) -> None:
    frame = sent(7)
    for at in range(0, 8 * len(frame), 29):
        _, inlet = ends()
        here, there = pair()
        inlet.attach(Greeting(Line(there)))
        with here:
            flipped = bytearray(frame)
            flipped[at // 8] ^= 1 << at % 8
            here.sendall(flipped)
            with contextlib.suppress(OSError):  # it has hung up
                here.shutdown(socket.SHUT_WR)
            assert inlet.head(10).lost, at


def test_an_acknowledgement_of_what_was_never_sent_ends_a_link(ends) -> None:
    outlet, _ = ends()
    here, there = pair()
    outlet.attach(Greeting(Line(here)))
    with there:
        there.sendall(framed(Header(Kind.ACK, sequence=1, frame=9)))
        eventually(lambda: outlet.broken)


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
    for _ in range(slots_of(SMALL.nbytes)):
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


@pytest.mark.usefixtures("hasty")
def test_a_peer_that_is_silent_is_taken_for_dead(ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "DEAD_S", 0.2)
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
    outlet, inlet = ends()
    here, there = pair()
    outlet.attach(Greeting(Line(here)))
    with there:
        eventually(lambda: outlet.broken)
    outlet, _ = ends()
    attach(outlet, inlet)
    time.sleep(0.5)
    feed(outlet, range(1))
    assert drain(inlet, 1) == [data(0)]  # those who have nothing to say give signs of life


def test_a_lost_client_gives_way_to_the_next(ends) -> None:
    outlet, first = ends()
    _, second = ends()
    attach(outlet, first)
    feed(outlet, range(1), epoch=1)
    drain(first, 1)
    first.close()
    eventually(lambda: not outlet.linked)
    attach(outlet, second)
    assert not outlet.broken
    feed(outlet, range(1), epoch=2)
    assert drain(second, 1) == [data(0, epoch=2)]


def test_a_receiver_that_never_acknowledges_does_no_harm(ends) -> None:
    outlet, _ = ends()
    here, there = pair()
    with there:
        outlet.attach(Greeting(Line(here), Standing(0, 64)))
        feed(outlet, range(64))
        time.sleep(0.1)
        outlet.abort()
        with pytest.raises(DeviceError):
            outlet.acquire()
    assert not outlet.transfers
