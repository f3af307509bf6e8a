"""A recording in the Trace Event format that ui.perfetto.dev and chrome://tracing open: devices, stages, links, and frames across them.

device  ┌ stage 0     ▐ frame 7 ▌──┐                          X  what took how long, in microseconds
        └ → stage 1              ▐ 7 ▌──┐                     M  what devices, stages and links are called
device  ┌ stage 1                       └▶▐ frame 7 ▌         s, t, f  an arrow that a frame goes along

Messages of one link may be under way at the same time, and what is on one track must not overlap: such a link has several.
The format: Trace Event Format, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from edgekit.deploy.observe.clocks import Estimate
from edgekit.deploy.observe.recording import Recording, Track
from edgekit.plan import CLIENT
from edgekit.runtime.stage.status_records import Passage
from edgekit.runtime.verbs import End, end_name

__all__ = ["clock_words", "trace_events"]

Event = dict[str, Any]
Key = tuple[int, int]
"""A frame, by its epoch and its number in it."""


class _Slice(NamedTuple):
    """Where something is drawn: its track, and from when to when in microseconds."""

    pid: int
    tid: int
    begin_us: float
    end_us: float


Drawn = dict[Track, dict[Key, _Slice]]


def trace_events(recording: Recording) -> str:
    """The file."""
    begin_s = min((each.begin_s for passed in recording.tracks.values() for each in passed), default=0.0)
    devices = dict.fromkeys((*recording.clocks, *(track.device for track in recording.tracks)))
    pids = {name: number for number, name in enumerate(devices, 1)}
    events = [event for name, pid in pids.items() for event in _device(name, pid, recording.clocks.get(name))]
    drawn: Drawn = {}
    tids = dict.fromkeys(devices, 0)
    for track in sorted(recording.tracks, key=_place):
        lanes = list(_lanes(recording.tracks[track]))
        for number, lane in enumerate(lanes):
            tids[track.device] += 1
            events += _track(track, pids[track.device], tids[track.device], number)
            for each in lane:
                place = _Slice(pids[track.device], tids[track.device], _us(each.begin_s - begin_s), _us(each.end_s - begin_s))
                drawn.setdefault(track, {})[each.epoch, each.frame] = place
                events.append(_slice(track, each, place))
    events += _arrows(recording, drawn)
    clocks = {name: [each._asdict() for each in estimates] for name, estimates in recording.clocks.items()}
    other = {"plan": recording.plan.describe(), "clocks": clocks, "lacks": recording.lacks}
    lines = ",\n".join(json.dumps(event) for event in events)
    return f'{{"displayTimeUnit": "ms", "otherData": {json.dumps(other)}, "traceEvents": [\n{lines}\n]}}\n'


def clock_words(estimates: Iterable[Estimate]) -> str:
    """How far a clock was ahead at first and in the end, and how well that is known.

    >>> clock_words([Estimate(0, 12.5, 2e-4), Estimate(30, 12.50001, 1e-4)])
    'clock 12.500000 s ahead ± 0.200 ms, drifted +0.010 ms'
    """
    found = list(estimates)
    if not found:
        return "clock unknown"
    drift_s = found[-1].offset_s - found[0].offset_s
    within_s = max(each.within_s for each in found)
    return f"clock {found[0].offset_s:.6f} s ahead ± {within_s * 1e3:.3f} ms, drifted {drift_s * 1e3:+.3f} ms"


def _device(name: str, pid: int, estimates: Iterable[Estimate] | None) -> Iterator[Event]:
    words = "the clock of this recording" if estimates is None else clock_words(estimates)
    told = {"process_name": {"name": name}, "process_labels": {"labels": words}, "process_sort_index": {"sort_index": pid}}
    for kind, args in told.items():
        yield {"ph": "M", "name": kind, "pid": pid, "tid": 0, "args": args}


def _place(track: Track) -> tuple[object, ...]:
    """In the order in which a frame passes them."""
    stage = -1 if track.stage == CLIENT else track.stage
    return stage, track.replica, track.receiver is not None, str(track.receiver), track.receiver_replica


def _track(track: Track, pid: int, tid: int, lane: int) -> Iterator[Event]:
    name = end_name(track.stage)
    if track.receiver is not None:
        name += f" → {end_name(track.receiver)}" + (f", replica {track.receiver_replica}" if track.receiver_replica else "")
    yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": f"{name} ({lane + 1})" if lane else name}}
    yield {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": tid}}


def _lanes(passed: Iterable[Passage]) -> list[list[Passage]]:
    """As few rows as it takes for nothing in a row to overlap.

    >>> [[each.frame for each in lane] for lane in _lanes([Passage(1, 0, 0, 2), Passage(1, 1, 1, 3), Passage(1, 2, 2, 4)])]
    [[0, 2], [1]]
    """
    lanes: list[list[Passage]] = []
    for each in sorted(passed, key=lambda each: (each.begin_s, each.end_s)):
        lane = next((lane for lane in lanes if _us(lane[-1].end_s) <= _us(each.begin_s)), None)
        if lane is None:
            lanes.append([each])
        else:
            lane.append(each)
    return lanes


def _slice(track: Track, each: Passage, place: _Slice) -> Event:
    kind = "compute" if track.receiver is None else "transfer"
    span = {"ts": place.begin_us, "dur": round(place.end_us - place.begin_us, 3)}
    args = {"epoch": each.epoch, "frame": each.frame}
    return {"ph": "X", "name": f"frame {each.frame}", "cat": kind, "pid": place.pid, "tid": place.tid, **span, "args": args}


def _arrows(recording: Recording, drawn: Drawn) -> Iterator[Event]:
    """From where a frame is computed over its transfer to where it is computed next, as far as that was seen."""
    computes: dict[tuple[End, Key], _Slice] = {}
    sends: dict[tuple[End, End, Key], _Slice] = {}
    for track, slices in drawn.items():
        for key, place in slices.items():
            if track.receiver is None:
                computes[track.stage, key] = place
            else:
                sends[track.stage, track.receiver, key] = place
    number = 0
    for source, receiver in recording.plan.messages():
        for key in sorted({key for (stage, key) in computes if stage in (source, receiver)}):
            way = [computes.get((source, key)), sends.get((source, receiver, key)), computes.get((receiver, key))]
            seen = [place for place in way if place is not None]
            if len(seen) > 1:
                number += 1
                yield from _arrow(seen, number, f"{end_name(source)} → {end_name(receiver)}")


def _arrow(way: list[_Slice], number: int, name: str) -> Iterator[Event]:
    at_us = 0.0
    for place, phase in zip(way, ("s", *("t" * (len(way) - 2)), "f"), strict=True):
        at_us = min(max(at_us, place.begin_us), place.end_us)  # clocks that are not quite known must not turn an arrow round
        event = {"ph": phase, "name": name, "cat": "frame", "id": number, "pid": place.pid, "tid": place.tid, "ts": at_us}
        yield {**event, "bp": "e"} if phase == "f" else event


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 3)
