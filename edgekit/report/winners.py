"""Which plan wins under which conditions, as a map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgekit.report.style import CYCLE, GREY, INK, few_ticks, figure, headline, legend_beneath
from edgekit.sweep import Knob, Sweep
from edgekit.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["winners_figure"]

SHOWN = len(CYCLE)
UNITS = {"bandwidth": ("Mbit/s", 8e-6), "latency": ("ms", 1e3)}


def winners_figure(sweep: Sweep, axes: "Sequence[Axes] | None" = None) -> "Figure":
    """For each pick (knee, best latency, …) the plan that wins at each condition, by colour.

    With one knob each pick is a strip over it, with two a map. The most frequent plans have colours, all others are grey.

    ::

        latency  ▮▮▮▮▮▮▯▯▯▯
        period   ▮▮▯▯▯▯▯▯▯▯
                 1 Mbit/s … 1000

    Args:
        axes: where to draw, one for each pick; None: in a new figure.
    """
    picks = [winner.pick for winner in sweep.conditions[0].winners]
    plans = [[condition.winner(pick).describe() for condition in sweep.conditions] for pick in picks]
    counts = {name: sum(row.count(name) for row in plans) for row in plans for name in row}
    shown = sorted(counts, key=lambda name: -counts[name])[:SHOWN]
    index = {name: i for i, name in enumerate(shown)}
    one = len(sweep.knobs) == 1
    panels, drawn = (list(axes), axes[0].figure.canvas.figure) if axes is not None else _new(len(picks), one, len(shown))
    for panel, pick, row in zip(panels, picks, plans, strict=True):
        _panel(panel, sweep, [index.get(name, SHOWN) for name in row])
        if one:
            panel.set_ylabel(pick, rotation=0, ha="right", va="center", fontsize=11, color=INK)
        else:
            panel.set_title(pick, fontsize=11, color=INK)
    title, beneath = f"Which plan wins on {sweep.cluster}", _beneath(sweep, len(counts))
    if one:
        headline(panels[0], title, beneath)
    elif axes is None:
        drawn.suptitle(f"{title}\n{beneath}".replace("front; ", "front;\n"), x=0.01, ha="left", fontsize=11, color=INK)
    panels[-1].set_xlabel(_label(sweep.knobs[-1]), fontsize=11, color=INK)
    if not one:
        panels[0].set_ylabel(_label(sweep.knobs[0]), fontsize=11, color=INK)
    _legend(drawn if axes is None else panels[-1], shown, len(counts) > SHOWN)
    return drawn


def _new(picks: int, one: bool, shown: int) -> "tuple[list[Axes], Figure]":
    """A new figure with a panel for each pick: strips below each other, maps side by side."""
    drawn = figure(10, 1.6 + 0.5 * picks + 0.28 * shown) if one else figure(3.6 * picks + 0.6, 4.4 + 0.28 * shown)
    panels = drawn.subplots(picks if one else 1, 1 if one else picks, squeeze=False, sharex=True, sharey=True)
    return list(panels.ravel()), drawn


def _panel(axes: "Axes", sweep: Sweep, numbers: list[int]) -> None:
    """A cell for each condition; cells whose constraints nothing meets stay white."""
    from matplotlib.colors import ListedColormap

    across = sweep.knobs[-1]
    down = sweep.knobs[0] if len(sweep.knobs) > 1 else Knob("", (1.0,))
    cells = np.full((len(down.values), len(across.values)), np.nan)
    for condition, number in zip(sweep.conditions, numbers, strict=True):
        row = down.values.index(condition.at[0]) if len(sweep.knobs) > 1 else 0
        cells[row, across.values.index(condition.at[-1])] = number
    colours = ListedColormap([*CYCLE, GREY])
    axes.pcolormesh(_edges(across), _edges(down), cells, cmap=colours, vmin=-0.5, vmax=SHOWN + 0.5)
    few_ticks(axes, "x", 4 if len(sweep.knobs) > 1 else 9)
    if len(sweep.knobs) > 1:
        few_ticks(axes, "y", 7)
    else:
        axes.set_yticks([])
    _mark(axes, sweep)
    axes.tick_params(colors=INK, labelsize=10, color=GREY)
    axes.tick_params(which="minor", color=GREY, length=2)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _mark(axes: "Axes", sweep: Sweep) -> None:
    """Where the cluster itself is, if that is within the map."""
    at = [value * UNITS.get(knob.name, ("", 1.0))[1] for knob, value in zip(sweep.knobs, sweep.here, strict=False)]
    inside = [knob.values[0] <= value <= knob.values[-1] for knob, value in zip(sweep.knobs, sweep.here, strict=False)]
    if at and all(inside):
        x, y = at[-1], at[0] if len(at) > 1 else sum(axes.get_ylim()) / 2
        axes.plot(x, y, marker="o", markersize=11, markerfacecolor="none", markeredgecolor="white", markeredgewidth=4, zorder=5)
        axes.plot(x, y, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=2, zorder=6)


def _edges(knob: Knob) -> NDArray[np.float64]:
    """Borders between cells whose middles are the values, in the unit that is printed, on a logarithmic axis."""
    values: NDArray[np.float64] = np.log(np.array(knob.values) * UNITS.get(knob.name, ("", 1.0))[1])
    if len(values) == 1:
        around = [np.array([values[0] - 0.5, values[0] + 0.5])]
    else:
        between = (values[1:] + values[:-1]) / 2
        around = [np.array([2 * values[0] - between[0]]), between, np.array([2 * values[-1] - between[-1]])]
    edges: NDArray[np.float64] = np.exp(np.concatenate(around))
    return edges


def _label(knob: Knob) -> str:
    unit = UNITS.get(knob.name, ("times what was profiled", 1.0))[0]
    return f"{knob.name} of every link ({unit})" if knob.name in UNITS else f"{knob.name} ({unit})"


def _beneath(sweep: Sweep, plans: int) -> str:
    here = "; ring: you are here" if sweep.here else ""
    conditions = f"{counted(len(sweep.conditions), 'condition')}, each with its own exact front"
    return f"predicted; {conditions}; {counted(plans, 'plan')} win{'s' * (plans == 1)} somewhere{here}"


def _legend(on: "Figure | Axes", shown: list[str], others: bool) -> None:
    from matplotlib.patches import Patch

    marks = [Patch(color=colour, label=name) for colour, name in zip(CYCLE, shown, strict=False)]
    marks += [Patch(color=GREY, label="other plans")] if others else []
    legend_beneath(on, marks, columns=1)
