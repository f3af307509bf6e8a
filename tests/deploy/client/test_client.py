"""A client and real stages: order, equality, failures, losses, and clients that come and go."""

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import pytest

from edgekit.cluster import ANY, Link
from edgekit.deploy.client.sink import Result
from edgekit.deploy.serve.pipeline import deploy
from edgekit.errors import DeviceError, FrameError, StageError, UsageError
from edgekit.files import decode, encode
from edgekit.plan import CLIENT, Plan, Stage, Transfer
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import Bed, home, kill, threads, until
from tests.models import Net, local, paired, picking, serial, skipping, split

__all__ = ["home"]

Arrays = Mapping[str, np.ndarray]


def check_frames(net: Net, client, count: int = 9, window: int = 4) -> None:
    """Send different frames, and find each result in its place and equal to the unsplit run."""
    frames = [net.inputs(seed) for seed in range(count)]
    results = list(client.stream(frames, window=window))
    assert [result.frame for result in results] == list(range(count))
    for result, frame in zip(results, frames, strict=True):
        whole = run_once(net.data, frame)
        assert compare(result.value(), {name: whole[name] for name in net.graph.outputs}).worst <= TOLERANCE


CHAINS = {
    "three stages, relaying a skip": (skipping(), [(0, 1, "a"), (1, 2, "b"), (2, 5, "c")]),
    "two inputs, two outputs": (paired(), [(0, 1, "a"), (1, 2, "b"), (2, 3, "c")]),
    "one device twice": (serial(), [(0, 1, "a"), (1, 3, "b"), (3, 5, "a")]),
    "three replicas in the middle": (skipping(), [(0, 1, "a"), (1, 3, "b|c|d"), (3, 5, "e")]),
    "two replicas, then three": (serial(), [(0, 2, "a|b"), (2, 5, "c|d|e")]),
}


@pytest.mark.parametrize("drawn", CHAINS)
def test_results_come_in_order_and_equal_the_unsplit_run(home: Bed, drawn: str) -> None:
    net, stages = CHAINS[drawn]
    with home.client(split(net.graph, *stages), net) as client:
        check_frames(net, client)
        check_frames(net, client, 7, 1)  # a second stream on the same client


def test_tensors_may_go_directly_and_a_plan_by_hand_may_leave_transfers_out(home: Bed) -> None:
    net = skipping()
    stages = (Stage(0, 1, ("a",)), Stage(1, 2, ("b",)), Stage(2, 5, ("c",)))
    ends = [("x", CLIENT, 0), ("b", 0, 1), ("d", 1, 2), ("b", 0, 2), ("y", 2, CLIENT)]
    with home.client(Plan(net.graph.digest, stages, tuple(Transfer(*end) for end in ends)), net) as client:
        check_frames(net, client)
    by_hand = decode(encode(Plan(net.graph.digest, stages)), Plan)
    with home.client(by_hand, net) as client:
        check_frames(net, client)


def test_shaped_links_take_their_time(home: Bed) -> None:
    net = serial()
    links = (Link(ANY, ANY, latency_s=0.02, bytes_per_s=1e6, shaped=True),)
    with home.client(split(net.graph, (0, 2, "a"), (2, 5, "b")), net, local("a", "b", links=links)) as client:
        check_frames(net, client)
        result = next(iter(list(client.stream([net.inputs()]))))
        assert result.done_s - result.sent_s >= 3 * 0.02


def test_a_frame_that_fails_names_its_stage_and_the_others_are_fine(home: Bed) -> None:
    net = picking()
    bad = net.inputs() | {"i": np.array([0, 1, 2, 99])}
    with home.client(split(net.graph, (0, 1, "a"), (1, 2, "b"), (2, 3, "c")), net) as client:
        results = list(client.stream([net.inputs(), bad, net.inputs(), bad, net.inputs()]))
        assert [result.error is None for result in results] == [True, False, True, False, True]
        with pytest.raises(StageError, match="frame 3 failed: stage 1@b: ") as raised:
            results[3].value()
        assert (raised.value.stage, raised.value.frame) == ("stage 1@b", 3)
        check_frames(net, client)


def test_an_input_that_does_not_fit_ends_the_stream_after_the_results_before_it(home: Bed) -> None:
    net = serial()
    with home.client(split(net.graph, (0, 2, "a"), (2, 5, "b")), net) as client:
        stream = client.stream([net.inputs(), net.inputs(), {"x": np.zeros((1, 3, 8, 8))}])
        assert [next(stream).frame, next(stream).frame] == [0, 1]
        with pytest.raises(FrameError, match="frame 2: input 'x' is expected as float32 .*, got float64"):
            next(stream)
        check_frames(net, client)

        def interrupted():
            yield net.inputs()
            raise KeyError("camera")

        stream = client.stream(interrupted())
        assert next(stream).frame == 0
        with pytest.raises(KeyError, match="camera"):
            next(stream)
        check_frames(net, client)
        assert list(client.stream([])) == []
        with pytest.raises(UsageError, match="got a window of 0"):
            next(client.stream([], window=0))


def lose(pipeline, net: Net, break_it) -> tuple[list, StageError, float]:
    """Break a pipeline in mid-stream: the results from then on, what the stream raises, and how long that took."""
    after = []
    with pipeline.client() as client:
        stream = client.stream(repeat(net.inputs()))
        for _ in islice(stream, 20):
            pass
        break_it()
        begin = time.monotonic()
        with pytest.raises(StageError) as raised:
            for result in stream:
                after.append(result)
        return after, raised.value, time.monotonic() - begin


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits less long, for the one before it to leave and for what was lost to come back."""
    monkeypatch.setattr("edgekit.deploy.client.client.RETURN_S", 0.1)
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 0.5)


def check_all(net: Net, results: Iterable[Result], frames: Sequence[Arrays]) -> None:
    """Each frame has one result, in its place, and it is that of the unsplit run."""
    answers = [run_once(net.data, frame) for frame in frames]
    for number, result in enumerate(results):
        assert result.frame == number
        whole = answers[number % len(frames)]
        assert compare(result.value(), {name: whole[name] for name in net.graph.outputs}).worst <= TOLERANCE


@pytest.mark.parametrize("drawn", [*CHAINS][:4])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_stage_that_is_killed_comes_back_and_every_frame_has_its_result(home: Bed, drawn: str, stage: int) -> None:
    net, stages = CHAINS[drawn]
    frames = [net.inputs(seed) for seed in range(5)]
    with home.pipeline(split(net.graph, *stages), net) as pipeline, pipeline.client() as client:

        def killing() -> Iterator[Result]:
            for result in client.stream((frames[i % 5] for i in range(120)), window=6):
                if result.frame in (20, 60):
                    kill(pipeline, stage)
                yield result

        check_all(net, killing(), frames)
        check_frames(net, client)


def test_a_frame_that_kills_its_stage_again_and_again_fails_and_the_others_are_fine(home: Bed) -> None:
    net = serial()
    with home.pipeline(split(net.graph, (0, 2, "a"), (2, 5, "b")), net) as pipeline, pipeline.client() as client:
        results = []
        stream = client.stream(repeat(net.inputs(), 12), window=4)
        poison = threading.Event()

        def killer() -> None:  # as long as the sixth frame is in the pipeline, its stage dies
            while not poison.wait(0.1):
                with contextlib.suppress(IndexError, OSError):  # it is not there at the moment
                    kill(pipeline, 1)

        thread = threading.Thread(target=killer)
        for result in stream:
            results.append(result)
            if result.frame == 5:
                thread.start()
            if result.error is not None:
                poison.set()
                thread.join()
        assert [result.frame for result in results] == list(range(12))
        failed = [result for result in results if result.error]
        assert len(failed) <= 1 and all("stage 1@b is lost" in str(result.error) for result in failed)
        poison.set()
        thread.join()


def test_a_source_that_waits_for_results_is_answered_after_a_loss(home: Bed) -> None:
    net = serial()
    with home.pipeline(split(net.graph, (0, 2, "a"), (2, 5, "b")), net) as pipeline, pipeline.client() as client:
        heard = threading.Semaphore(1)

        def asking() -> Iterator[Arrays]:
            for number in range(10):
                assert heard.acquire(timeout=10)
                yield net.inputs(number)
                if number == 4:
                    kill(pipeline, 0)

        for result in client.stream(asking()):
            assert result.error is None
            heard.release()
        assert result.frame == 9


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_when_a_stage_does_not_come_back_every_frame_ends_with_a_typed_error_and_the_stream_raises(stage: int) -> None:
    net = serial()
    plan = split(net.graph, (0, 1, "a"), (1, 3, "b"), (3, 5, "c"))
    with deploy(plan, net.graph, net.model, local("a", "b", "c")) as pipeline:
        agent = pipeline.connections["abc"[stage]].process.pid
        after, error, seconds = lose(pipeline, net, lambda: os.kill(agent, signal.SIGKILL))
        assert seconds < 5
        failed = [result for result in after if result.error]
        assert failed and all(isinstance(result.error, StageError) for result in failed)
        assert [result.frame for result in after] == list(range(20, 20 + len(after)))
        assert (error.stage, error.frame) == (f"stage {stage}@{'abc'[stage]}", None)
        with pytest.raises(DeviceError), pipeline.client() as client:
            list(client.stream([net.inputs()]))


def test_a_client_may_leave_in_mid_stream_and_another_may_come(home: Bed) -> None:
    net = serial()
    with home.pipeline(split(net.graph, (0, 2, "a"), (2, 5, "b|c")), net) as pipeline:
        for count in (1, 3, 6):
            with pipeline.client() as client:
                assert [result.frame for result in islice(client.stream(repeat(net.inputs())), count)] == list(range(count))
        with pipeline.client() as client:
            check_frames(net, client)


@pytest.mark.usefixtures("impatient")
def test_a_second_client_at_the_same_time_is_refused(home: Bed) -> None:
    net = serial()
    with home.pipeline(split(net.graph, (0, 2, "a"), (2, 5, "b")), net) as pipeline, pipeline.client() as client:
        with pytest.raises(DeviceError, match="already serves"), pipeline.client():
            pass
        check_frames(net, client)


def test_a_stream_that_is_left_hangs_up_and_leaves_no_thread(home: Bed) -> None:
    net = serial()
    with home.pipeline(split(net.graph, (0, 2, "a"), (2, 5, "b")), net) as pipeline:
        before = threads()
        with pipeline.client() as client:
            for _ in client.stream(repeat(net.inputs())):
                break
            assert until(lambda: threads() <= before)
            with pytest.raises(UsageError, match="has hung up, as it does when a stream is left before its end; open another"):
                next(client.stream([]))
            client.close()
            client.close()
        with pipeline.client() as client:
            stream = client.stream(repeat(net.inputs()))
            next(stream)
            with pytest.raises(UsageError, match="in the middle of a stream"):
                next(client.stream([]))
            stream.close()
        assert until(lambda: threads() <= before)


def test_thousands_of_frames_take_no_more_memory_than_a_few(home: Bed) -> None:
    net = serial()
    with home.pipeline(split(net.graph, (0, 2, "a"), (2, 5, "b")), net) as pipeline, pipeline.client() as client:

        def held() -> int:
            pids = [os.getpid(), *(s.pid for reply in pipeline.logs().values() for s in reply.stages if s.plan == pipeline.release)]
            return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * resource.getpagesize()

        stream = client.stream(repeat(net.inputs(), 3000))
        for _ in islice(stream, 1000):
            pass
        early = held()
        assert sum(1 for _ in stream) == 2000
        assert held() - early < 4 * 2**20


def test_open_loop_arrivals_count_from_when_a_frame_was_meant_to_be_sent(home: Bed) -> None:
    net = serial()
    with home.client(split(net.graph, (0, 5, "a")), net) as client:
        begin = time.perf_counter()
        results = list(client.stream(repeat(net.inputs(), 3), arrivals_s=[0.0, 0.1, 0.2]))
        assert [round(result.intended_s - begin, 1) for result in results] == [0.0, 0.1, 0.2]
        assert all(result.intended_s <= result.sent_s < result.done_s for result in results)
