"""Predicted against measured: what is judged, and the verdict in one line."""

import pytest

from edgekit.cli.verdict import exit_code, print_trace, verdict
from edgekit.plan import Cost, Term
from edgekit.trace import Equality, Trace


def cost(latency_s: float, period_s: float, small_s: float) -> Cost:
    return Cost(latency_s, period_s, 0, (Term("transfer pi→nano", small_s, "measured"),), (), (), device_count=2)


def trace(predicted: Cost | None) -> Trace:
    return Trace("g", "d" * 64, cost(0.1, 0.02, 0.001), Equality(1, True, 0.0, 0.0), 4, predicted=predicted)


def test_a_promise_that_is_kept_says_so_although_a_small_term_is_far_off(capsys: pytest.CaptureFixture[str]) -> None:
    kept = trace(cost(0.1021, 0.01994, 0.0044))
    print_trace(kept, 0.15)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "kept: latency +2.1 %, period -0.3 %, both within 15 %"
    assert "latency and period are judged; all other terms are shown for information" in lines
    assert "capacity 50.0 frames/s, predicted 50.2, with 4 frames in flight" in lines
    assert [line.rstrip().endswith("±15 %") for line in lines if "transfer" in line or "latency of" in line] == [False, True]
    assert exit_code(kept, 0.15) == 0


def test_a_promise_that_is_missed_names_what_was_off() -> None:
    missed = trace(cost(0.14, 0.02, 0.001))
    assert verdict(missed, 0.15) == "missed: latency +40.0 %, period +0.0 %; latency is off by more than 15 %"
    assert exit_code(missed, 0.15) == 1


def test_without_a_prediction_nothing_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    print_trace(trace(None), 0.15)
    assert "not judged: the plan carries no prediction" in capsys.readouterr().out


def test_a_trace_is_a_table_with_the_judged_terms_last() -> None:
    rows = trace(cost(0.11, 0.02, 0.002)).table()
    assert [(row["term"], row["judged"]) for row in rows] == [("transfer pi→nano", False), ("latency", True), ("period", True)]
    assert (rows[0]["predicted_s"], rows[0]["measured_s"], rows[0]["error"]) == (0.002, 0.001, 1.0)
    assert [row["error"] for row in trace(None).table()] == [None, None, None]
    assert repr(trace(None)) == "<Trace of 100 ms, 50 frames/s, estimated; trace.table() lists its terms>"
