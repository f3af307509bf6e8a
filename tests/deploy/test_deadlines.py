"""Frames whose time is limited, and frames that are submitted one at a time: each ends once, as it should, when it should."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from itertools import repeat
from types import SimpleNamespace

import numpy as np
import pytest

from edgekit.cluster import ANY, Link
from edgekit.deploy.client import sink
from edgekit.deploy.client.sink import Result
from edgekit.deploy.client.submission import Submitting
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.errors import DeadlineError, FrameError, StageError, UsageError
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import Bed, home, kill, until
from tests.models import local, picking, serial, simulated, split

__all__ = ["home"]

Arrays = Mapping[str, np.ndarray]
NET = serial()
PLAN = ((0, 2, "a"), (2, 5, "b"))
INPUTS = [NET.inputs(seed) for seed in range(5)]
ANSWERS = [run_once(NET.data, frame) for frame in INPUTS]
SLACK_S = 2.0
"""By how much a busy machine may be late."""


def check(results: list[Result], count: int, deadline_s: float) -> int:
    """Each frame has one end, in its place, and it is right or in time; how many were late."""
    assert [result.frame for result in results] == list(range(count))
    late = [result for result in results if result.error]
    assert all(isinstance(result.error, DeadlineError) and result.error.frame == result.frame for result in late)
    assert all(result.done_s - result.intended_s < deadline_s + SLACK_S for result in results)
    for result in results:
        if result.error is None:
            assert compare(result.value(), ANSWERS[result.frame % 5]).worst <= TOLERANCE
    return len(late)


def pause(pipeline: Pipeline, stage: int, seconds: float) -> threading.Timer:
    """Stop a stage process, and have it go on some time later."""
    (pid,) = (s.pid for reply in pipeline.logs().values() for s in reply.stages if s.plan == pipeline.release and s.stage == stage)
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    timer.start()
    return timer


def test_frames_that_are_late_end_at_their_deadline_and_those_that_follow_are_theirs(home: Bed) -> None:
    with home.pipeline(split(NET.graph, *PLAN), NET) as pipeline, pipeline.client() as client:
        results = []
        for result in client.stream((INPUTS[i % 5] for i in range(200)), window=4, deadline_s=0.3):
            results.append(result)
            if result.frame == 20:
                timer = pause(pipeline, 1, 1.0)
        timer.join()
        assert 4 <= check(results, 200, 0.3) < 150
        assert all(result.error is None for result in client.stream(INPUTS))


def test_frames_are_late_where_the_way_alone_takes_longer(home: Bed) -> None:
    links = (Link(ANY, ANY, latency_s=0.2, shaped=True),)
    with home.client(split(NET.graph, *PLAN), NET, local("a", "b", links=links)) as client:
        assert check(list(client.stream((INPUTS[i % 5] for i in range(12)), window=4, deadline_s=0.1)), 12, 0.1) >= 4
        assert check(list(client.stream((INPUTS[i % 5] for i in range(12)), window=4, deadline_s=30.0)), 12, 30.0) == 0


def test_deadlines_pass_while_a_plan_heals(home: Bed) -> None:
    with home.pipeline(split(NET.graph, *PLAN), NET) as pipeline, pipeline.client() as client:
        results = []
        for result in client.stream((INPUTS[i % 5] for i in range(60)), window=4, deadline_s=0.1):
            results.append(result)
            if result.frame == 10:
                kill(pipeline, 1)
        check(results, 60, 0.1)  # it may have healed in time
        assert all(result.error is None for result in client.stream(INPUTS))


def test_a_first_stage_that_is_lost_is_noticed_though_deadlines_pass_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "NEWS_S", 0.2)
    monkeypatch.setattr(sink, "LOOK_S", 0.01)

    def nothing(frame: int, epoch: int, timeout_s: float) -> None:
        time.sleep(timeout_s)
        raise TimeoutError

    inlets = SimpleNamespace(take=nothing, come=0)
    leg = SimpleNamespace(epoch=1, first=0, ends=SimpleNamespace(inlets=inlets, lost="stage 0"))
    source = SimpleNamespace(legs=[leg], sent=1, answered=0, times=SimpleNamespace(intended_s=0.0))
    taking, late = sink.Sink(source, 0.05), 0  # type: ignore[arg-type]
    while True:
        source.times.intended_s = time.perf_counter()
        if (turn := taking.take()) is not None:
            break
        late += 1
        assert late < 100, "frames end at their deadlines, and nobody looks after the stage"
    assert turn.lost and turn.note == "lost stage 0: its connection ended" and late > 1


def test_described_devices_keep_deadlines_by_their_own_clock() -> None:
    from edgekit.deploy.serve.pipeline import deploy

    links = (Link(ANY, ANY, latency_s=0.05, bytes_per_s=1e9),)
    with deploy(split(NET.graph, *PLAN), NET.graph, NET.model, simulated("a", "b", links=links)) as pipeline, pipeline.client() as client:
        assert [type(result.error) for result in client.stream(INPUTS, deadline_s=0.1)] == [DeadlineError] * 5
        assert [result.error for result in client.stream(INPUTS, deadline_s=0.2)] == [None] * 5


def test_each_frame_that_is_submitted_has_a_future_of_its_outputs(home: Bed) -> None:
    with home.client(split(NET.graph, *PLAN), NET) as client:
        with Submitting(client, window=3) as door:
            frame = {name: array.copy() for name, array in INPUTS[0].items()}
            futures = []
            for number in range(20):
                frame["x"][...] = INPUTS[number % 5]["x"]  # as from a camera, which has one buffer
                futures.append(door.submit(frame))
        assert all(future.done() for future in futures)
        for number, future in enumerate(futures):
            assert compare(future.result(), ANSWERS[number % 5]).worst <= TOLERANCE
        with pytest.raises(UsageError, match="no frame can be submitted any more: the stream is closed"):
            door.submit(frame)
        assert all(result.error is None for result in client.stream(INPUTS))


def test_a_frame_that_does_not_fit_is_refused_and_one_that_fails_fails_alone(home: Bed) -> None:
    net = picking()
    with home.client(split(net.graph, (0, 1, "a"), (1, 2, "b"), (2, 3, "c")), net) as client, Submitting(client) as door:
        with pytest.raises(FrameError, match="expected an input"):
            door.submit({})
        good, bad, after = door.submit(net.inputs()), door.submit(net.inputs() | {"i": np.array([0, 1, 2, 99])}), door.submit(net.inputs())
        assert good.result(10) and after.result(10)
        with pytest.raises(StageError, match="frame 1 failed: stage 1@b"):
            bad.result(10)


def test_a_future_that_is_cancelled_leaves_the_others_alone(home: Bed) -> None:
    with home.pipeline(split(NET.graph, *PLAN), NET) as pipeline, pipeline.client() as client:
        with Submitting(client, window=6) as door:
            timer = pause(pipeline, 1, 0.5)
            futures = [door.submit(INPUTS[number]) for number in range(5)]
            assert futures[3].cancel()
            timer.join()
        with pytest.raises(CancelledError):
            futures[3].result()
        assert all(future.result() for number, future in enumerate(futures) if number != 3)
        assert all(result.error is None for result in client.stream(INPUTS))


def test_submitting_waits_while_the_window_is_full(home: Bed) -> None:
    with home.pipeline(split(NET.graph, *PLAN), NET) as pipeline, pipeline.client() as client, Submitting(client, window=2) as door:
        timer = pause(pipeline, 0, 0.5)
        futures: list[Future[Arrays]] = []
        thread = threading.Thread(target=lambda: futures.extend(door.submit(frame) for frame in INPUTS))
        thread.start()
        assert not until(lambda: len(futures) > 2, 0.3)
        timer.join()
        thread.join()
        assert len(futures) == 5


def test_what_ends_a_stream_ends_every_future_and_an_error_in_the_context_cancels_them(home: Bed) -> None:
    with home.client(split(NET.graph, *PLAN), NET) as client:
        other = client.stream(repeat(INPUTS[0]))
        next(other)
        door = Submitting(client)
        with pytest.raises(UsageError, match="in the middle of a stream"):
            _submitted(door)
        other.close()
    with home.pipeline(split(NET.graph, *PLAN), NET) as pipeline, pipeline.client() as client:
        timer = pause(pipeline, 1, 0.5)
        futures = []
        with pytest.raises(KeyError, match="mine"), Submitting(client, window=6) as door:
            futures += [door.submit(frame) for frame in INPUTS]
            raise KeyError("mine")
        timer.join()
        assert all(future.cancelled() for future in futures)
        assert all(result.error is None for result in client.stream(INPUTS))


def _submitted(door: Submitting) -> Iterator[Arrays]:
    return door.submit(INPUTS[0]).result(10)
