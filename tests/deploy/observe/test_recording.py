"""What passes on real agents, recorded: every frame on every device, by one clock, in a file that trace viewers open."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from jsonschema import ValidationError

from devices.agent_connection import AgentConnection
from edgekit.deploy.observe import recording
from edgekit.deploy.observe.clocks import Estimate, estimate, ours_s
from edgekit.deploy.observe.perfetto import clock_words, trace_events
from edgekit.deploy.observe.recording import Recorder, Recording, Track
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.errors import DeviceError
from edgekit.runtime.stage.status_records import Passage
from edgekit.runtime.verbs import LogsReply
from tests.deploy.bed import Bed, home
from tests.models import Net, serial, split
from tests.traceevents import arrows, checked, names

__all__ = ["home"]

STAGES = ((0, 1, "a"), (1, 3, "b"), (3, 5, "c"))
FRAMES = 40


class Shifted:
    """A device whose clock is far ahead of ours, and gains."""

    def __init__(self, connection: AgentConnection, ahead_s: float, gain: float):
        self._connection, self._ahead_s, self._gain, self._begin_s = connection, ahead_s, gain, connection.clock()

    def clock(self) -> float:
        return self._theirs(self._connection.clock())

    def logs(self, spans: int = 0, after: int | None = None, since_s: float = 0.0) -> LogsReply:
        reply = self._connection.logs(since_s=0.0)
        stages = []
        for stage in reply.stages:
            sent = tuple(msgspec.structs.replace(each, passages=self._all(each.passages, since_s)) for each in stage.transfers)
            assert stage.now_s is not None
            stages.append(
                msgspec.structs.replace(stage, now_s=self._theirs(stage.now_s), passages=self._all(stage.passages, since_s), transfers=sent)
            )
        return msgspec.structs.replace(reply, stages=tuple(stages))

    def _all(self, passages: tuple[Passage, ...], since_s: float) -> tuple[Passage, ...]:
        moved = (Passage(each.epoch, each.frame, self._theirs(each.begin_s), self._theirs(each.end_s)) for each in passages)
        return tuple(each for each in moved if each.end_s > since_s)

    def offset_s(self, theirs_s: float) -> float:
        """How far it is ahead at a time of its own."""
        return theirs_s - (theirs_s - self._ahead_s + self._begin_s * self._gain) / (1 + self._gain)

    def _theirs(self, real_s: float) -> float:
        return real_s + self._ahead_s + (real_s - self._begin_s) * self._gain


def slowly(net: Net, frames: int) -> Iterator[Mapping[str, np.ndarray]]:
    for seed in range(frames):
        time.sleep(0.005)
        yield net.inputs(seed)


def recorded(bed: Bed, frames: int = FRAMES, **connections: Callable[..., Any]) -> tuple[Pipeline, Recording]:
    net = serial()
    with bed.pipeline(split(net.graph, *STAGES), net) as pipeline, pipeline.client() as client:
        list(client.stream(net.inputs(seed) for seed in range(3)))  # what was before is not recorded
        known = {name: connections[name](each) if name in connections else each for name, each in pipeline.connections.items()}
        with Recorder(pipeline.plan, pipeline.release, known, client=("client", client)) as recorder:
            assert len([result.value() for result in client.stream(slowly(net, frames))]) == frames
        return pipeline, recorder.recording


def test_every_frame_is_followed_across_all_devices(home: Bed) -> None:
    _, found = recorded(home)
    assert not found.lacks
    trace = checked(trace_events(found))
    assert names(trace, "process_name") == ["a", "b", "c", "client"]
    assert {name.partition(" (")[0] for name in names(trace, "thread_name")} == {
        *("stage 0", "stage 1", "stage 2"),
        *("client → stage 0", "stage 0 → stage 1", "stage 1 → stage 2", "stage 2 → client"),
    }
    slices = Counter((event["cat"], event["args"]["frame"]) for event in trace["traceEvents"] if event["ph"] == "X")
    assert slices == {(kind, frame): count for frame in range(FRAMES) for kind, count in (("compute", 3), ("transfer", 4))}
    ways = Counter((way[0]["name"], len(way)) for way in arrows(trace).values())
    inner = {("stage 0 → stage 1", 3): FRAMES, ("stage 1 → stage 2", 3): FRAMES}
    assert ways == {**inner, ("client → stage 0", 2): FRAMES, ("stage 2 → client", 2): FRAMES}


def test_clocks_are_as_far_apart_as_is_said_and_the_file_says_so(home: Bed) -> None:
    _, found = recorded(home)
    for estimates in found.clocks.values():
        assert len(estimates) == 2
        assert all(abs(each.offset_s) <= each.within_s for each in estimates), "on one machine there is one clock"
    trace = json.loads(trace_events(found))
    assert trace["otherData"]["clocks"]["b"][0] == found.clocks["b"][0]._asdict()
    (label,) = [e["args"]["labels"] for e in trace["traceEvents"] if e["name"] == "process_labels" and e["pid"] == 2]
    assert label == clock_words(found.clocks["b"]) and "±" in label


def test_a_device_whose_clock_differs_and_drifts_is_brought_into_line(home: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LOOK_S", 0.02)
    monkeypatch.setattr(recording, "AGAIN_S", 0.05)
    made: list[Shifted] = []
    _, found = recorded(home, b=lambda connection: made.append(Shifted(connection, 5000.0, 0.05)) or made[0])
    estimates = found.clocks["b"]
    assert len(estimates) > 2
    for each in estimates:
        assert abs(each.offset_s - made[0].offset_s(each.at_s)) <= 1.05 * each.within_s + 1e-6
    unsure_s = 2 * max(each.within_s for clock in found.clocks.values() for each in clock)
    first, second, third = ({each.frame: each for each in found.tracks[Track(name, stage, 0)]} for stage, name in enumerate("abc"))
    assert len(first) == len(second) == len(third) == FRAMES
    for frame in range(FRAMES):
        assert first[frame].end_s <= second[frame].begin_s + unsure_s and second[frame].end_s <= third[frame].begin_s + unsure_s
    checked(trace_events(found))


def test_a_device_that_is_lost_meanwhile_has_what_it_told_before(home: Bed) -> None:
    class Lost:
        """An agent that answers pings, and nothing else."""

        def __init__(self, connection: AgentConnection):
            self.clock = connection.clock

        def logs(self, **_: object) -> LogsReply:
            raise DeviceError("b: the cable was pulled")

    _, found = recorded(home, b=Lost)
    assert found.lacks == {"b": "what came after it was lost (b: the cable was pulled)"}
    trace = checked(trace_events(found))
    assert trace["otherData"]["lacks"] == found.lacks
    assert {way[0]["name"] for way in arrows(trace).values()} >= {"client → stage 0", "stage 0 → stage 1", "stage 2 → client"}


def test_the_quickest_ping_counts_and_drift_is_drawn_as_a_line() -> None:
    here = iter((0.0, 3.0, 10.0, 10.5, 20.0, 22.0))
    found = estimate(iter((101.0, 110.2, 121.0)).__next__, here.__next__, pings=3)
    assert found == Estimate(110.2, 99.95, 0.25)
    line = [Estimate(100.0, 50.0, 0.1), Estimate(130.0, 53.0, 0.1), Estimate(160.0, 53.0, 0.1)]
    assert [ours_s(line, theirs_s) for theirs_s in (90.0, 100.0, 110.0, 130.0, 145.0, 200.0)] == pytest.approx([40, 50, 59, 77, 92, 147])


@pytest.mark.parametrize(
    "wrong",
    [
        {"ph": "X", "name": "x", "cat": "c", "pid": 1, "tid": 1, "ts": 0},
        {"ph": "X", "name": "x", "cat": "c", "pid": 1, "tid": 1, "ts": 0, "dur": -1},
        {"ph": "s", "name": "x", "cat": "c", "pid": 1, "tid": 1, "ts": 0},
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {}},
        {"ph": "?", "name": "x", "pid": 1, "tid": 1},
        {"ph": "X", "name": "x", "cat": "c", "pid": 1, "tid": 1, "ts": 0, "dur": 1, "colour": "red"},
    ],
)
def test_what_is_no_trace_event_is_seen(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        checked(json.dumps({"traceEvents": [wrong]}))
