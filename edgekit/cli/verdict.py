"""Predicted against measured, term by term, and the verdict on it."""

import sys
from typing import TYPE_CHECKING

from edgekit.cli.console import mb, ms, percent, table

if TYPE_CHECKING:
    from edgekit.trace import Trace

__all__ = ["exit_code", "print_trace", "verdict"]


BUSY = """the usual cause: other work on a device, now or when it was profiled
next: edgekit doctor, which names busy and hot devices; then verify again; if it stays, profile again"""


def print_trace(trace: "Trace", within: float) -> None:
    """The terms of a trace beside those of its prediction, which of them are judged, and the verdict."""
    predicted, measured = trace.predicted, trace.measured
    expected = {term.name: term for term in predicted.terms} if predicted else {}
    rows = []
    for term in measured.terms:
        there = expected.get(term.name)
        rows.append([f"  {term.name}", *_compared(there.seconds if there else None, term.seconds), there.badge if there else "", ""])
    judged = [_badge(trace), f"±{_share(within)}" if predicted else ""]
    rows.append(["latency of a frame alone", *_compared(predicted.latency_s if predicted else None, measured.latency_s), *judged])
    rows.append(["period (1 / throughput)", *_compared(predicted.period_s if predicted else None, measured.period_s), *judged])
    rows += _memory_rows(trace)
    table("", ["term", "predicted", "measured", "error", "prediction is", "judged"], rows)
    if predicted:
        print("latency and period are judged; all other terms are shown for information")
    before = f", predicted {1 / predicted.period_s:.1f}" if predicted and predicted.period_s else ""
    print(f"\ncapacity {1 / measured.period_s:.1f} frames/s{before}, with {trace.window} frames in flight", end="")
    print(" | emulated devices" if measured.emulated else "")
    for load in trace.loads:
        print(f"at {load.fraction:.0%} of it: p50 {ms(load.p50_s)}, p90 {ms(load.p90_s)}, p99 {ms(load.p99_s)} over {load.frames} frames")
    print(verdict(trace, within))
    if any(abs(error) > within for error in trace.errors.values()):
        print(BUSY)


def verdict(trace: "Trace", within: float) -> str:
    """Whether latency and period are as predicted: ``kept: latency +2.1 %, period -0.3 %, both within 15 %``."""
    errors = trace.errors
    if not errors:
        return "not judged: the plan carries no prediction; add -p with the folder of its profiles"
    told = ", ".join(f"{name} {percent(error)}" for name, error in errors.items())
    if not (missed := [name for name, error in errors.items() if abs(error) > within]):
        return f"kept: {told}, both within {_share(within)}"
    return f"missed: {told}; {' and '.join(missed)} {'are' if len(missed) > 1 else 'is'} off by more than {_share(within)}"


def _memory_rows(trace: "Trace") -> list[list[str]]:
    """Peak memory of each host; simulated ones have none to measure."""
    expected = {host.host: host.nbytes for host in trace.predicted.memory} if trace.predicted else {}
    rows = []
    for host in trace.measured.memory:
        if host.nbytes:
            there = expected.get(host.host)
            figures = [mb(there), mb(host.nbytes), percent(there / host.nbytes - 1)] if there else ["-", mb(host.nbytes), "-"]
            rows.append([f"peak memory of {host.host}", *figures, _badge(trace), ""])
    return rows


def exit_code(trace: "Trace", within: float) -> int:
    """0 where latency and period were predicted within ``within``, else 1 with the reason on standard error."""
    missed = {name: error for name, error in trace.errors.items() if abs(error) > within}
    for name, error in missed.items():
        print(f"promise missed: {name} was predicted {percent(error)} off, {_share(within)} is allowed", file=sys.stderr)
    return 1 if missed else 0


def _badge(trace: "Trace") -> str:
    return trace.predicted.badge if trace.predicted else ""


def _compared(predicted: float | None, measured: float) -> list[str]:
    if predicted is None:
        return ["-", ms(measured), "-"]
    return [ms(predicted), ms(measured), percent(predicted / measured - 1) if measured else "-"]


def _share(within: float) -> str:
    return f"{100 * within:.3g} %"
