"""Several links of one end: frames are joined, dealt out in turn, and streams kept apart."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from edgekit.graph import Tensor
from edgekit.ring import SLOTS, slots_of
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.joint import Inlets, Outlets
from edgekit.runtime.verbs import End, Port
from tests.runtime.bed import attach, eventually

A = (Tensor("a", (2,), "float32"),)
B = (Tensor("b", (3,), "int64"),)


def push(outlets: Outlets, epoch: int, *frames: int) -> None:
    """Send frames whose elements are 1000 · epoch + their number."""
    for frame in frames:
        slots = outlets.acquire(frame)
        for slot in slots:
            for view in slot.views.values():
                view[...] = 1000 * epoch + frame
        outlets.give(epoch, frame, slots)


def take(inlets: Inlets, frame: int, epoch: int | None = None) -> tuple[Kind, int, object]:
    """A turn: kind, epoch, and its values or its note."""
    turn = inlets.take(frame, epoch, 10)
    if turn.kind is not Kind.DATA:
        return turn.kind, turn.epoch, turn.note
    values = {name: float(array.flat[0]) for name, array in turn.arrays.items()}
    inlets.done()
    return turn.kind, turn.epoch, values


class Bench:
    """Ends of a plan that are joined and in the end closed."""

    def __init__(self) -> None:
        self.closing: list[Callable[[], None]] = []

    def inlets(self, *ports: Port) -> Inlets:
        made = Inlets(ports)
        self.closing.append(made.close)
        return made

    def outlets(self, *ports: Port) -> Outlets:
        made = Outlets(ports)
        self.closing.insert(0, lambda: [link.abort() for link in made.links.values()])
        return made

    def join(self, outlets: Outlets, to: tuple[End, int], inlets: Inlets, source: tuple[End, int]) -> None:
        attach(outlets.links[to], inlets.links[source])


@pytest.fixture
def bench():
    made = Bench()
    yield made
    for close in made.closing:
        close()


def single(bench: Bench) -> tuple[Outlets, Inlets]:
    """One source, one receiver."""
    outlets, inlets = bench.outlets(Port(end=1, replicas=1, tensors=A)), bench.inlets(Port(end=0, replicas=1, tensors=A))
    bench.join(outlets, (1, 0), inlets, (0, 0))
    return outlets, inlets


def fan(bench: Bench, sources: int, receivers: int) -> tuple[list[Outlets], list[Inlets]]:
    """Replicas of stage 0 and of stage 1, all joined."""
    here = [bench.outlets(Port(end=1, replicas=receivers, tensors=A)) for _ in range(sources)]
    there = [bench.inlets(Port(end=0, replicas=sources, tensors=A)) for _ in range(receivers)]
    for a, outlets in enumerate(here):
        for b, inlets in enumerate(there):
            bench.join(outlets, (1, b), inlets, (0, a))
    return here, there


def test_a_frame_is_joined_from_all_its_sources(bench: Bench) -> None:
    inlets = bench.inlets(Port(end="client", replicas=1, tensors=A), Port(end=0, replicas=1, tensors=B))
    client, stage = bench.outlets(Port(end=1, replicas=1, tensors=A)), bench.outlets(Port(end=1, replicas=1, tensors=B))
    bench.join(client, (1, 0), inlets, ("client", 0))
    bench.join(stage, (1, 0), inlets, (0, 0))
    push(stage, 1, 0, 1)
    push(client, 1, 0, 1)
    assert [take(inlets, 0), take(inlets, 1, 1)] == [
        (Kind.DATA, 1, {"a": 1000.0, "b": 1000.0}),
        (Kind.DATA, 1, {"a": 1001.0, "b": 1001.0}),
    ]


def test_a_frame_that_failed_at_one_source_fails_alone(bench: Bench) -> None:
    inlets = bench.inlets(Port(end=0, replicas=1, tensors=A), Port(end=1, replicas=1, tensors=B))
    one, other = bench.outlets(Port(end=2, replicas=1, tensors=A)), bench.outlets(Port(end=2, replicas=1, tensors=B))
    bench.join(one, (2, 0), inlets, (0, 0))
    bench.join(other, (2, 0), inlets, (1, 0))
    push(one, 1, 0)
    other.fail(1, 0, "stage 1: too hot", other.acquire(0))
    push(one, 1, 1)
    push(other, 1, 1)
    assert take(inlets, 0) == (Kind.FAIL, 1, "stage 1: too hot")
    assert take(inlets, 1, 1) == (Kind.DATA, 1, {"a": 1001.0, "b": 1001.0})


def test_two_replicas_deal_to_three_in_turn(bench: Bench) -> None:
    sources, receivers = fan(bench, 2, 3)
    count = 60

    def source(replica: int) -> None:
        for epoch in (1, 2):
            push(sources[replica], epoch, *range(replica, count, 2))
            sources[replica].end(epoch)

    threads = [threading.Thread(target=source, args=(replica,)) for replica in range(2)]
    for thread in threads:
        thread.start()
    got: dict[int, list[object]] = {replica: [] for replica in range(3)}

    def receive(replica: int) -> None:
        for _ in (1, 2):
            frame, epoch = replica, None
            while (turn := take(receivers[replica], frame, epoch))[0] is not Kind.END:
                got[replica].append(turn[2]["a"])  # type: ignore[index]
                frame, epoch = frame + 3, turn[1]

    threads += [threading.Thread(target=receive, args=(replica,)) for replica in range(3)]
    for thread in threads[2:]:
        thread.start()
    for thread in threads:
        thread.join(30)
    #              frames 0 3 6 … of the first stream, then those of the second
    for replica in range(3):
        assert got[replica] == [1000.0 * epoch + frame for epoch in (1, 2) for frame in range(replica, count, 3)]


def test_short_streams_over_replicas_do_not_pile_up(bench: Bench) -> None:
    sources, (inlets,) = fan(bench, 3, 1)
    for epoch in range(1, 200):
        push(sources[0], epoch, 0)
        for source in sources:
            source.end(epoch)
        assert take(inlets, 0, epoch) == (Kind.DATA, epoch, {"a": 1000.0 * epoch})
        assert take(inlets, 1, epoch) == (Kind.END, epoch, "")
    assert all(inlet._filled.qsize() <= slots_of(inlet.layout.nbytes) for inlet in inlets.links.values())


def test_an_end_left_behind_does_not_end_the_next_stream(bench: Bench) -> None:
    sources, (inlets,) = fan(bench, 2, 1)
    for epoch in (1, 2, 3):
        push(sources[0], epoch, 0, 2)
        push(sources[1], epoch, 1)
        for source in sources:
            source.end(epoch)
        turns = [take(inlets, 0), *(take(inlets, frame, epoch) for frame in (1, 2, 3))]
        assert [kind for kind, *_ in turns] == [Kind.DATA] * 3 + [Kind.END]


def test_frames_of_an_earlier_stream_are_dropped(bench: Bench) -> None:
    outlets, inlets = single(bench)
    sender = threading.Thread(target=push, args=(outlets, 1, *range(10)))
    sender.start()
    assert take(inlets, 0, 1)[0] is Kind.DATA
    following = threading.Thread(target=lambda: (sender.join(), outlets.end(1), push(outlets, 2, 0)))
    following.start()
    assert take(inlets, 0, 2) == (Kind.DATA, 2, {"a": 2000.0})
    following.join()


def test_a_stream_ends_where_a_newer_one_begins(bench: Bench) -> None:
    outlets, inlets = single(bench)
    push(outlets, 1, 0)
    push(outlets, 2, 0)
    assert take(inlets, 0) == (Kind.DATA, 1, {"a": 1000.0})
    assert take(inlets, 1, 1) == (Kind.END, 1, "")
    assert take(inlets, 0) == (Kind.DATA, 2, {"a": 2000.0})


def test_a_source_that_ends_ends_the_frame(bench: Bench) -> None:
    inlets = bench.inlets(Port(end="client", replicas=1, tensors=A), Port(end=0, replicas=1, tensors=B))
    client, stage = bench.outlets(Port(end=1, replicas=1, tensors=A)), bench.outlets(Port(end=1, replicas=1, tensors=B))
    bench.join(client, (1, 0), inlets, ("client", 0))
    bench.join(stage, (1, 0), inlets, (0, 0))
    push(stage, 1, 0)
    client.end(1)
    assert take(inlets, 0) == (Kind.END, 1, "")
    stage.end(1)
    push(client, 2, 0)
    push(stage, 2, 0)
    assert take(inlets, 0) == (Kind.DATA, 2, {"a": 2000.0, "b": 2000.0})


@pytest.mark.parametrize("epoch", [None, 1])
def test_a_lost_source_is_told_after_what_it_sent(bench: Bench, epoch: int | None) -> None:
    outlets, inlets = single(bench)
    push(outlets, 1, 0)
    outlets.lose(1, "stage 0: out of memory")
    assert take(inlets, 0, epoch)[0] is Kind.DATA
    for _ in range(2):
        turn = inlets.take(1, epoch, 10)
        assert (turn.kind, turn.epoch, turn.note, turn.lost) == (Kind.FAIL, 1, "stage 0: out of memory", True)


def test_a_loss_reaches_every_replica(bench: Bench) -> None:
    (outlets,), receivers = fan(bench, 1, 3)
    outlets.lose(1, "stage 0: gone")
    assert [inlets.take(replica, None, 10).lost for replica, inlets in enumerate(receivers)] == [True] * 3


def test_a_replica_that_is_lost_is_told_when_its_turn_comes(bench: Bench) -> None:
    sources, (inlets,) = fan(bench, 2, 1)
    push(sources[0], 1, 0, 2)
    sources[1].lose(1, "stage 0: gone")
    assert take(inlets, 0)[0] is Kind.DATA
    assert inlets.take(1, 1, 10).note == "stage 0: gone"


def test_a_frame_out_of_turn_is_noticed(bench: Bench) -> None:
    outlets, inlets = single(bench)
    push(outlets, 1, 5)
    turn = inlets.take(0, None, 10)
    assert (turn.kind, turn.note, turn.lost) == (Kind.FAIL, "expected frame 0, got 5", True)


def test_waiting_ends_with_a_timeout(bench: Bench) -> None:
    _, inlets = single(bench)
    with pytest.raises(TimeoutError, match="nothing came from stage 0 for 0.01 s"):
        inlets.take(0, None, 0.01)


def test_buffers_come_back_whatever_becomes_of_a_frame(bench: Bench) -> None:
    inlets = bench.inlets(Port(end=0, replicas=1, tensors=A))
    outlets = bench.outlets(Port(end=1, replicas=1, tensors=A), Port(end=2, replicas=1, tensors=A))  # nobody listens to the second
    bench.join(outlets, (1, 0), inlets, (0, 0))
    for frame in range(0, 20 * SLOTS, 2):
        push(outlets, 1, frame)
        outlets.fail(1, frame + 1, "no", outlets.acquire(frame + 1))
        assert take(inlets, frame, 1 if frame else None)[0] is Kind.DATA
        assert take(inlets, frame + 1, 1)[0] is Kind.FAIL
    eventually(
        lambda: all(link._free.qsize() == slots_of(link.layout.nbytes) for link in (*inlets.links.values(), *outlets.links.values()))
    )


def test_thousands_of_frames_take_no_more_memory_than_a_few(bench: Bench) -> None:
    outlets, inlets = single(bench)
    slots: set[int] = set()
    sender = threading.Thread(target=push, args=(outlets, 1, *range(3000)))
    sender.start()
    for frame in range(3000):
        turn = inlets.take(frame, 1, 10)
        slots.add(turn.arrays["a"].ctypes.data)
        np.testing.assert_array_equal(turn.arrays["a"], np.float32(1000 + frame))
        inlets.done()
    sender.join()
    assert len(slots) == slots_of(inlets.links[0, 0].layout.nbytes)
