"""Which plan wins under which conditions, as a map."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgekit.report.style import CYCLE, GREY, INK, figure, headline
from edgekit.sweep import Knob, Sweep
from edgekit.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["winners_figure"]

SHOWN = len(CYCLE)
UNITS = {"bandwidth": ("Mbit/s", 8e-6), "latency": ("ms", 1e3)}


def winners_figure(sweep: Sweep) -> "Figure":
    """For each pick (knee, best latency, …) the plan that wins at each condition, by colour.

    With one knob each pick is a strip over it, with two a map. The most frequent plans have colours, all others are grey.

    ::

        latency  ▮▮▮▮▮▮▯▯▯▯
        period   ▮▮▯▯▯▯▯▯▯▯
                 1 Mbit/s … 1000
    """
    picks = [winner.pick for winner in sweep.conditions[0].winners]
    plans = [[condition.winner(pick).describe() for condition in sweep.conditions] for pick in picks]
    counts = {name: sum(row.count(name) for row in plans) for row in plans for name in row}
    shown = sorted(counts, key=lambda name: -counts[name])[:SHOWN]
    index = {name: i for i, name in enumerate(shown)}
    one = len(sweep.knobs) == 1
    drawn = figure(10, 1.6 + 0.5 * len(picks) + 0.28 * len(shown)) if one else figure(3.6 * len(picks) + 0.6, 4.4 + 0.28 * len(shown))
    panels = drawn.subplots(len(picks) if one else 1, 1 if one else len(picks), squeeze=False, sharex=True, sharey=True).ravel()
    for axes, pick, row in zip(panels, picks, plans, strict=True):
        _panel(axes, sweep, [index.get(name, SHOWN) for name in row])
        if one:
            axes.set_ylabel(pick, rotation=0, ha="right", va="center", fontsize=11, color=INK)
        else:
            axes.set_title(pick, fontsize=11, color=INK)
    title, beneath = f"Which plan wins on {sweep.cluster}", _beneath(sweep, len(counts))
    if one:
        headline(panels[0], title, beneath)
    else:
        drawn.suptitle(f"{title}: {beneath}", x=0.01, ha="left", fontsize=12, color=INK)
    panels[-1].set_xlabel(_label(sweep.knobs[-1]), fontsize=11, color=INK)
    if not one:
        panels[0].set_ylabel(_label(sweep.knobs[0]), fontsize=11, color=INK)
    _legend(drawn, shown, len(counts) > SHOWN)
    return drawn


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
    axes.set_xscale("log")
    if len(sweep.knobs) > 1:
        axes.set_yscale("log")
    else:
        axes.set_yticks([])
    axes.tick_params(colors=INK, labelsize=10, color=GREY)
    for spine in axes.spines.values():
        spine.set_visible(False)


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
    conditions = f"{counted(len(sweep.conditions), 'condition')}, each with its own exact front"
    return f"predicted; {conditions}; {counted(plans, 'plan')} win{'s' * (plans == 1)} somewhere"


def _legend(drawn: "Figure", shown: list[str], others: bool) -> None:
    from matplotlib.patches import Patch

    marks = [Patch(color=colour, label=name) for colour, name in zip(CYCLE, shown, strict=False)]
    marks += [Patch(color=GREY, label="other plans")] if others else []
    drawn.legend(handles=marks, loc="outside lower left", frameon=False, fontsize=10, ncols=1)
