"""A trace as the Trace Event Format wants it: its schema, tracks whose slices do not overlap, arrows from slice to slice."""

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

__all__ = ["arrows", "checked", "names"]

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parent / "trace_event.schema.json").read_text()))

Event = dict[str, Any]


def checked(text: str) -> dict[str, Any]:
    """The trace, which is one."""
    trace: dict[str, Any] = json.loads(text)
    SCHEMA.validate(trace)
    events = trace["traceEvents"]
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    tracks: dict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    assert set(tracks) == named, "a track has no name, or there is nothing on it"
    for slices in tracks.values():
        for one, other in pairwise(sorted(slices, key=lambda event: event["ts"])):
            assert one["ts"] + one["dur"] <= other["ts"] + 1e-3, f"{one} overlaps {other}"
    for way in arrows(trace).values():
        assert [event["ph"] for event in way] == ["s", *("t" * (len(way) - 2)), "f"] and way[-1]["bp"] == "e"
        assert all(one["ts"] <= other["ts"] for one, other in pairwise(way)), "an arrow goes back in time"
        frames = [_slice(tracks[event["pid"], event["tid"]], event)["args"] for event in way]
        assert all(frame == frames[0] for frame in frames), "an arrow leads from one frame to another"
    return trace


def _slice(slices: list[Event], point: Event) -> Event:
    """What an end of an arrow is bound to."""
    (found,) = [each for each in slices if each["ts"] <= point["ts"] < each["ts"] + max(each["dur"], 1e-3)]
    return found


def arrows(trace: dict[str, Any]) -> dict[int, list[Event]]:
    """Flow events by their number, in the order of the file."""
    found: dict[int, list[Event]] = defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] in "stf":
            found[event["id"]].append(event)
    return found


def names(trace: dict[str, Any], kind: str) -> list[str]:
    """What devices (process_name) or tracks (thread_name) are called."""
    return [event["args"]["name"] for event in trace["traceEvents"] if event["name"] == kind]
