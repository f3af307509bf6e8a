"""Tables of a profile: shares add up, the order is the one that is asked for, and files say the same."""

import csv
import io
import json

import pytest

from edgekit.conditions import Conditions
from edgekit.device import Variant
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.report import by_type, in_order, kernels_csv, perfetto, reconcile, top
from tests.models import serial

CONDITIONS = Conditions("x86_64", "a processor", ("onnxruntime 1.31.1",), 99, False, 1.0)
KERNELS = (
    Kernel("c0", "Conv", 0.004, (0,)),
    Kernel("r", "Reorder", 0.001, (0, 1)),
    Kernel("c1", "Conv", 0.003, (1,)),
    Kernel('a "quoted", name', "Add", 0.002, (2,)),
)
PROFILE = Profile(
    "digest", "pi", 5, Variant(), CONDITIONS, KERNELS, (SegmentTime(0, 5, 0.007, 0.008, 0.009, 0.0001, 100),), profiled_s=0.012
)


def test_kernels_stand_in_the_order_in_which_they_run() -> None:
    assert [(row.name, row.share, row.cumulative) for row in in_order(PROFILE)] == [
        ("c0", pytest.approx(0.4), pytest.approx(0.4)),
        ("r", pytest.approx(0.1), pytest.approx(0.5)),
        ("c1", pytest.approx(0.3), pytest.approx(0.8)),
        ('a "quoted", name', pytest.approx(0.2), pytest.approx(1.0)),
    ]


def test_the_longest_come_first_where_that_is_asked_for() -> None:
    assert [row.name for row in top(PROFILE, 2)] == ["c0", "c1"]
    assert [(row.op, row.kernels, row.seconds) for row in by_type(PROFILE)] == [
        ("Conv", 2, pytest.approx(0.007)),
        ("Add", 1, 0.002),
        ("Reorder", 1, 0.001),
    ]


def test_the_parts_are_reconciled_with_the_whole() -> None:
    found = reconcile(PROFILE)
    assert (found.kernels_s, found.profiled_s, found.real_s) == (pytest.approx(0.010), 0.012, 0.008)
    assert found.distortion == pytest.approx(1.5)


def test_a_profile_without_kernels_has_empty_tables() -> None:
    bare = Profile("digest", "pi", 5, Variant(), CONDITIONS, (), PROFILE.segments)
    assert (in_order(bare), by_type(bare), reconcile(bare).distortion) == ([], [], None)


def test_the_csv_says_the_same() -> None:
    rows = list(csv.DictReader(io.StringIO(kernels_csv(PROFILE))))
    assert [(row["kernel"], row["type"], float(row["seconds"]), row["units"]) for row in rows] == [
        (kernel.name, kernel.op, kernel.seconds, " ".join(map(str, kernel.units))) for kernel in KERNELS
    ]
    named = list(csv.DictReader(io.StringIO(kernels_csv(PROFILE, serial().graph))))
    assert named[1]["nodes"] == " ".join(node.name for unit in (0, 1) for node in serial().graph.unit_nodes(unit))


def test_the_trace_has_a_track_for_each_device_with_kernels_end_to_end() -> None:
    events = json.loads(perfetto([PROFILE, PROFILE]))["traceEvents"]
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == ["pi", "pi"]
    spans = [event for event in events if event["ph"] == "X" and event["pid"] == 1]
    assert [(span["name"], span["ts"], span["dur"]) for span in spans[:2]] == [("c0", 0.0, 4000.0), ("r", 4000.0, 1000.0)]
    assert all(later["ts"] == pytest.approx(span["ts"] + span["dur"]) for span, later in zip(spans, spans[1:], strict=False))
