"""A trace as a picture: which stage worked on which frame, and when."""

from typing import TYPE_CHECKING, Any

from edgekit.report.style import CYCLE, GREY, INK, canvas, headline
from edgekit.trace import Span, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["timeline_figure"]


def timeline_figure(trace: Trace, frames: int = 12, ax: "Axes | None" = None) -> "Figure":
    """The first ``frames`` frames of a trace, one row per stage and per link, over milliseconds since the first of them started.

    ::

        0@pi                ▮0▮▮1▮▮2▮
        transfer pi→nano       ▮0▮▮1▮▮2▮
        1@nano                    ▮ 0 ▮▮ 1 ▮▮ 2 ▮

    Args:
        ax: where to draw; None: in a new figure.
    """
    shown = set(sorted({span.frame for span in trace.spans})[:frames])
    spans = sorted((span for span in trace.spans if span.frame in shown), key=lambda span: span.start_s)
    rows = _rows(spans)
    axes, drawn = canvas(ax, 11, 1.9 + 0.62 * max(len(rows), 1))
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    _bars(axes, spans, rows)
    axes.set_yticks(range(len(rows)), rows, fontsize=11, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("time since the first frame started (ms)", fontsize=11, color=INK)
    headline(axes, f"Stages and links over time (ms), {_which(len(shown))}", _beneath(trace))
    return drawn


def _rows(spans: list[Span]) -> list[str]:
    """Stages and links in the order in which one frame passes them that all have seen."""
    firsts: dict[str, int] = {}
    for span in spans:
        firsts[span.stage] = min(firsts.get(span.stage, span.frame), span.frame)
    frame = max(firsts.values(), default=0)
    starts = {span.stage: span.start_s for span in reversed(spans)} | {span.stage: span.start_s for span in spans if span.frame == frame}
    return sorted(starts, key=lambda name: starts[name])


def _bars(axes: "Axes", spans: list[Span], rows: list[str]) -> None:
    """One bar per span, coloured by frame, with the frame's number where it fits."""
    if not spans:
        axes.text(0.5, 0.5, "this trace holds no spans", transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=12)
        axes.set_xticks([])
        return
    origin, stop = spans[0].start_s, max(span.stop_s for span in spans)
    wide = 0.02 * (stop - origin)
    for span in spans:
        row, start, long = rows.index(span.stage), (span.start_s - origin) * 1e3, (span.stop_s - span.start_s) * 1e3
        axes.barh(row, long, left=start, height=0.62, color=CYCLE[span.frame % len(CYCLE)], edgecolor="white", **_look(span))
        if long > wide * 1e3:
            axes.text(
                start + long / 2, row, str(span.frame), ha="center", va="center_baseline", color="white", fontsize=9, fontweight="bold"
            )
    axes.set_xlim(0, (stop - origin) * 1e3 * 1.01)


def _look(span: Span) -> dict[str, Any]:
    """Links and serial lines are hatched, so that they are told from stages."""
    return {"linewidth": 0.8, "hatch": "////"} if span.stage.startswith(("transfer ", "line ")) else {"linewidth": 0.8}


def _which(count: int) -> str:
    return {0: "no frames", 1: "one frame"}.get(count, f"first {count} frames")


def _beneath(trace: Trace) -> str:
    cost = trace.measured
    return (
        f"one frame alone {cost.latency_s * 1e3:.3g} ms  ·  a frame every {cost.period_s * 1e3:.3g} ms with {trace.window} in flight"
        f"  ·  {cost.badge}{', emulated' if cost.emulated else ''}"
    )
