"""The front as a picture: latency against throughput, with what was predicted and what then came."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.front import Front
from edgekit.plan import Cost, Plan
from edgekit.report.style import ACCENT, GREY, INK, Label, canvas, headline, legend_beneath, place
from edgekit.trace import Trace
from edgekit.wording import counted, three

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

__all__ = ["pareto_figure"]

SHAPES: dict[str, str] = {"split": "o", "replicas": "D", "single device": "s"}
"""Marker of each kind of plan."""

FILLING = ("#5cb8e6", "#1f6fb4", "#0b2545")
LOSING = ("#1f6fb4", "#c9a227", "#b3541e")
"""Colours of little memory to much, and of no loss to the largest."""

WIDE = 4
"""Ratio of largest to smallest value from which on an axis is logarithmic."""


def pareto_figure(front: Front, *, chosen: Plan | None = None, trace: Trace | None = None, ax: "Axes | None" = None) -> "Figure":
    """Latency of a frame alone (ms) against throughput (frames/s) of every plan of a front, by its number.

    Hollow marks are predictions, coloured by the accuracy lost (%) where that is an objective, else by peak memory (MB); grey ones
    are dominated; plans on one device are named. The
    ``chosen`` plan, or else the knee, has a ring; a line leads from its prediction to the mark of its ``trace``, which is
    filled unless its devices are only described. Axes are logarithmic where the plans spread wide.

    Args:
        ax: where to draw; None: in a new figure.
    """
    axes, drawn = canvas(ax, 10, 6.6)
    compared, plans = _priced(front.compared), _priced(front.plans)
    knee = chosen is None and trace is None and len(plans) == len(front.plans) > 0
    chosen = front.knee() if knee else chosen
    predicted = (trace.predicted if trace else None) or (chosen.predicted if chosen else None)
    _scale(axes, [_point(cost) for cost in (*(cost for _, cost in (*plans, *compared)), predicted, trace and trace.measured) if cost])
    _step(axes, [_point(cost) for _, cost in plans])
    for kind, marker in SHAPES.items():
        _scatter(axes, [_point(cost) for plan, cost in compared if _kind(plan) == kind], marker, s=42, color=GREY, alpha=0.75, linewidths=0)
    _colour_bar(drawn, axes, plans, "loss" in front.objectives)
    if predicted is not None:
        _scatter(axes, [_point(predicted)], "o", s=330, facecolors="none", edgecolors=ACCENT, linewidths=1.8, zorder=4)
    if trace is not None:
        _measured(axes, trace.measured, predicted, SHAPES[_kind(chosen)] if chosen else "o")
    ringed = "knee" if knee else "chosen" if predicted is not None else ""
    _legend(axes if ax else drawn, _kinds(plans), _kinds(compared), ringed, trace)
    headline(axes, f"Latency (ms) against throughput (frames/s) on {front.cluster}", _beneath(front, [cost for _, cost in plans], trace))
    axes.annotate("↖ better", (0.012, 0.975), xycoords="axes fraction", va="top", fontsize=10, color=GREY)
    _labels(axes, front, chosen, predicted, trace, "knee, " if knee else "")
    return drawn


def _point(cost: Cost) -> tuple[float, float]:
    """Milliseconds and frames per second; 0 where the period is, as for a plan that costs nothing."""
    return cost.latency_s * 1e3, 1 / cost.period_s if cost.period_s else 0.0


def _priced(plans: Iterable[Plan]) -> list[tuple[Plan, Cost]]:
    """Plans that have a place in the picture."""
    return [(plan, plan.predicted) for plan in plans if plan.predicted is not None]


def _kind(plan: Plan) -> str:
    if any(len(stage.devices) > 1 for stage in plan.stages):
        return "replicas"
    return "single device" if len(plan.devices) == 1 else "split"


def _kinds(plans: Sequence[tuple[Plan, Cost]]) -> list[str]:
    present = {_kind(plan) for plan, _ in plans}
    return [kind for kind in SHAPES if kind in present]


def _scale(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xlabel("latency of one frame alone (ms)", fontsize=11, color=INK)
    axes.set_ylabel("throughput (frames/s)", fontsize=11, color=INK)
    for side, values in zip("xy", zip(*points, strict=True), strict=False):
        low, high = min(values), max(values)
        if low > 0 and high / low > WIDE:
            margin = (high / low) ** 0.12
            axes.set(**{f"{side}scale": "log", f"{side}lim": (low / margin, high * margin)})
            axis = axes.xaxis if side == "x" else axes.yaxis
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        else:
            margin = 0.13 * (high - low) or 0.2 * high or 1.0
            axes.set(**{f"{side}lim": (max(low - margin, 0), high + margin)})


def _step(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    """The best throughput at each latency; plans that are on the front for their memory alone lie below the line."""
    corners: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not corners or y > corners[-1][1]:
            corners += [(x, level) for _, level in corners[-1:]] + [(x, y)]
    axes.plot([x for x, _ in corners], [y for _, y in corners], color="#b8cfe4", linewidth=2, zorder=1)


def _scatter(axes: "Axes", points: Sequence[tuple[float, float]], marker: str, **look: Any) -> "PathCollection | None":
    return axes.scatter(*zip(*points, strict=True), marker=marker, **look) if points else None


def _colour_bar(drawn: "Figure", axes: "Axes", plans: Sequence[tuple[Plan, Cost]], losing: bool) -> None:
    """The plans of the front, hollow, and the scale of their colours: accuracy lost, or memory."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    if not plans:
        return
    amounts = [(cost.accuracy_loss or 0.0) * 100 if losing else cost.peak_memory_bytes / 1e6 for _, cost in plans]
    colours = LinearSegmentedColormap.from_list("third", LOSING if losing else FILLING)
    scale = ScalarMappable(Normalize(min(amounts), max(amounts)), colours)
    edges = scale.to_rgba(np.array(amounts))
    for kind, marker in SHAPES.items():
        inside = [i for i, (plan, _) in enumerate(plans) if _kind(plan) == kind]
        look = {"facecolors": "white", "edgecolors": edges[inside], "linewidths": 2, "zorder": 3}
        _scatter(axes, [_point(plans[i][1]) for i in inside], marker, s=80, **look)
    if max(amounts) > min(amounts):
        bar = drawn.colorbar(scale, ax=axes, pad=0.015, aspect=32)
        bar.set_label("accuracy lost (%)" if losing else "predicted peak memory of a host (MB)", fontsize=11, color=INK)
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=INK, labelsize=10, length=0)


def _described(cost: Cost) -> bool:
    """Whether it comes from a pipeline of devices that are only described."""
    return cost.badge in ("spec", "estimated")


def _measured(axes: "Axes", measured: Cost, predicted: Cost | None, marker: str) -> None:
    if predicted is not None:
        axes.plot(*zip(_point(predicted), _point(measured), strict=True), color=ACCENT, linewidth=1.8, zorder=2)
    face, edge = ("white", ACCENT) if _described(measured) else (ACCENT, "white")
    _scatter(axes, [_point(measured)], marker, s=90, facecolors=face, edgecolors=edge, linewidths=1.2, zorder=6)


def _legend(on: "Figure | Axes", kinds: Sequence[str], dominated: Sequence[str], ringed: str, trace: Trace | None) -> None:
    from matplotlib.lines import Line2D

    def mark(label: str, marker: str, **look: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker=marker, label=label, **({"markersize": 8, "markeredgewidth": 1.8} | look))

    marks = [mark(f"{kind}, predicted", SHAPES[kind], markerfacecolor="white", markeredgecolor="#1f6fb4") for kind in kinds]
    marks += [mark(f"{kind}, dominated", SHAPES[kind], color=GREY, markeredgewidth=0, markersize=7) for kind in dominated]
    marks += [mark(ringed, "o", markersize=13, markerfacecolor="none", markeredgecolor=ACCENT)] if ringed else []
    if trace is not None and _described(trace.measured):
        marks.append(mark("computed for the pipeline", "o", markerfacecolor="white", markeredgecolor=ACCENT))
    elif trace is not None:
        marks.append(mark("measured in the pipeline", "o", color=ACCENT, markeredgewidth=0))
    legend_beneath(on, marks)


def _beneath(front: Front, costs: Sequence[Cost], trace: Trace | None) -> str:
    """Where the numbers come from, in words."""
    badges = "/".join(badge for badge in ("spec", "estimated", "measured", "certified") if badge in {cost.badge for cost in costs})
    says = [f"predicted: {badges or 'nothing'}{_emulated(costs)}"]
    if trace is not None:
        says.append(f"pipeline: {trace.measured.badge}{_emulated([trace.measured])}")
    kind = "exact" if front.certificate.kind == "exact" else "bounded"
    return "  ·  ".join([*says, f"front: {kind} over {front.certificate.cuts} cuts, {counted(len(front.plans), 'plan')}"])


def _emulated(costs: Sequence[Cost]) -> str:
    return ", emulated" if any(cost.emulated for cost in costs) else ""


def _labels(axes: "Axes", front: Front, chosen: Plan | None, predicted: Cost | None, trace: Trace | None, says: str) -> None:
    """The plan that was chosen, single devices, and the numbers of the plans, as far as there is room."""
    labels: list[Label] = []
    plans = _priced((*front.plans, *front.compared))
    points = [_point(cost) for _, cost in plans]
    number = front.number(chosen) if chosen else None
    name = says + (f"plan {number}: " if number is not None else "") + (chosen.describe() if chosen else "the plan that ran")
    if trace is not None:
        x, y = _point(trace.measured)
        points.append((x, y))
        against = f"\n{_against(trace.measured, predicted)}" if predicted else ""
        came = "computed" if _described(trace.measured) else "measured"
        labels.append((x, y, f"{name}\n{came} {three(x)} ms, {three(y)} frames/s{against}", ACCENT))
    elif predicted is not None:
        labels.append((*_point(predicted), name, ACCENT))
    seen = {chosen.devices[0]} if chosen and _kind(chosen) == "single device" else set()
    for plan, cost in plans:
        if _kind(plan) == "single device" and plan.devices[0] not in seen:
            seen.add(plan.devices[0])
            labels.append((*_point(cost), f"{plan.devices[0]} alone", INK))
    place(axes, labels, points)
    numbers = [(*_point(plan.predicted), str(i), INK) for i, plan in enumerate(front.plans) if plan.predicted and i != number]
    place(axes, numbers, points, size=8, spare=True)


def _against(measured: Cost, predicted: Cost) -> str:
    pairs = zip(("latency", "throughput"), _point(measured), _point(predicted), strict=True)
    parts = [f"{100 * (came / expected - 1):+.1f} % {name}" for name, came, expected in pairs if expected]
    return f"{', '.join(parts)} against the prediction".replace("-", "−")
