"""What a stage counts of its frames and of its links."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.chaos import Faults
from edgekit.codec import carried
from edgekit.graph import Tensor
from edgekit.runtime.links.frames import Header, Kind, Layout
from edgekit.runtime.links.line import Line
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.link_end import Greeting
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.stage.counters import BOUNDS_S, Histogram, Tally, bytes_by_codec
from edgekit.runtime.stage.status_records import LinkStatus, StageStatus
from edgekit.runtime.verbs import Logs, LogsReply
from tests.runtime.bed import eventually, framed, pair
from tests.runtime.links.test_link import SMALL, feed
from tests.runtime.stage.test_serving_stage import Bench, frame
from tests.runtime.test_resuming import SIZES, joined


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.supervisor.stop(None)


def told(bench: Bench, since_s: float | None = None) -> tuple[StageStatus, ...]:
    reply, _ = bench.supervisor.answer(Logs(since_s=since_s), b"")
    assert isinstance(reply, LogsReply)
    return reply.stages


def links(stage: StageStatus) -> dict[tuple[object, bool], LinkStatus]:
    """By neighbour, and whether the stage sends to it."""
    return {(each.peer, each.sends): each for each in stage.links}


def test_a_time_is_counted_up_to_the_first_bound_that_it_keeps() -> None:
    times = Histogram()
    for seconds in (0.0, BOUNDS_S[0], BOUNDS_S[0] * 1.01, BOUNDS_S[-1], 1e9):
        times.add(seconds)
    counts = times.told().counts
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2, 1, 1, 1)
    assert times.told().count == sum(counts) == 5


def test_bytes_are_told_by_how_their_tensors_are_written() -> None:
    x, y, z = (Tensor(name, (1, 1000), "float32") for name in "xyz")
    layout = Layout((*carried(x, "u8"), *carried(y, "fp16"), *carried(z, "raw")))
    assert bytes_by_codec(layout, 3) == {"u8": 3 * 1005, "fp16": 3 * 2000, "raw": 3 * 4000}


def test_a_frame_that_is_being_computed_counts_as_busy() -> None:
    tally = Tally()
    begin_s = tally.begin(7)
    assert tally.busy_s(begin_s + 3.0) == 3.0 and tally.computing == (7, begin_s)
    tally.done(1, 0, begin_s)
    assert tally.busy_s(begin_s + 99.0) == tally.seconds.sum_s == tally.passages[0].end_s - begin_s


def test_a_frame_remembers_when_a_board_computed_it() -> None:
    tally = Tally()
    tally.done(1, 0, tally.begin(0), board=(3.0, 4.5))
    tally.done(1, 1, tally.begin(1))
    assert [each.board for each in tally.passages] == [(3.0, 4.5), None]


def test_a_stage_counts_its_frames_and_what_goes_over_its_links(bench: Bench) -> None:
    bench.doubling(2)
    with bench.client() as client:
        assert len(list(client.stream(frame(value) for value in range(20)))) == 20
        first, second = told(bench, since_s=0.0)
    for stage, peers in ((first, ("client", 1)), (second, (0, "client"))):
        found = links(stage)
        assert list(found) == [(peers[0], False), (peers[1], True)]
        assert (stage.frames, stage.failed) == (20, 0)
        assert stage.seconds is not None and stage.seconds.count == 20 and stage.busy_s == stage.seconds.sum_s > 0
        for link in found.values():
            assert (link.messages, link.nbytes, link.resent, link.reconnects) == (20, {"raw": 20 * 16}, 0, 0)
        assert found[peers[0], False].queue == 0 and found[peers[0], False].credits is None
        sent = found[peers[1], True]
        assert sent.linked and sent.credits is not None and sent.credits > 0 and sent.seconds is not None and sent.seconds.count == 20
    assert [(each.epoch, each.frame) for each in first.passages] == [(each.epoch, each.frame) for each in second.passages]
    assert {each.epoch for each in first.passages} != {0} and [each.frame for each in first.passages] == list(range(20))
    assert first.now_s is not None
    assert told(bench, since_s=first.now_s)[0].passages == ()


def test_frames_that_a_stage_cannot_compute_are_counted_apart(bench: Bench) -> None:
    bench.lookup()
    with bench.client() as client:
        list(client.stream({"i": np.array([i])} for i in (0, 9, 1, 9, 2)))
        (stage,) = told(bench)
    assert (stage.frames, stage.failed) == (3, 2) and stage.seconds is not None and stage.seconds.count == 3


def test_a_neighbour_that_comes_anew_is_a_reconnect_and_a_client_is_none(bench: Bench) -> None:
    bench.doubling(2)
    for _ in range(2):
        with bench.client() as client:
            list(client.stream([frame(1.0)]))
    os.kill(bench.status(1).pid, signal.SIGKILL)
    eventually(lambda: [stage.state for stage in told(bench)] == ["serving", "serving"])
    first, second = told(bench)
    assert (links(first)["client", False].reconnects, links(first)[1, True].reconnects) == (0, 1)
    assert links(first)[1, True].messages == 2, "the links before it are counted on"
    assert links(second)[0, False].messages == 0


def test_a_stage_that_does_not_answer_keeps_nobody_waiting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.runtime.agent.status_poll.statuses.__defaults__", (0.5,))
    bench.doubling(2)
    pid = bench.status(1).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            first, second = told(bench)
            assert first.state == "serving" and second.state == "silent: it has not answered for 0.5 s" and second.pid == pid
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: [stage.state for stage in told(bench)] == ["serving", "serving"])


def test_what_is_sent_again_over_another_connection_is_counted() -> None:
    with joined(SIZES["large"], Faults(reset=0.05), seed=3) as (outlet, inlet, chaos):
        for number in range(60):
            slot = outlet.acquire()
            outlet.give(1, number, slot)
            assert inlet.head(20).frame == number
            inlet.drop()
        assert inlet.tally.messages == 60
        assert outlet.tally.resumed > 0 and outlet.tally.messages == 60 + outlet.tally.resent
        assert outlet.tally.began == inlet.tally.began == 1


@pytest.mark.parametrize(("held_us", "least_s", "most_s"), [(0, 0.2, 9.0), (8_000_000, 0.0, 0.0)])
def test_the_time_that_the_receiver_holds_a_message_is_not_the_links(held_us: int, least_s: float, most_s: float) -> None:
    outlet = Outlet(SMALL, "there")
    here, there = pair()
    with there:
        outlet.attach(Greeting(Line(here), Standing(0, 4)))
        feed(outlet, range(1))
        time.sleep(0.2)
        there.sendall(framed(Header(Kind.ACK, held_us, 1, 5)))
        eventually(lambda: outlet.transfers)
        (passage,) = outlet.transfers
        assert least_s <= passage.end_s - passage.begin_s <= most_s
        assert (passage.epoch, passage.frame) == (1, 0)
        outlet.abort()
