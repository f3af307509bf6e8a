"""The map of winners: a colour for each plan, a cell for each condition."""

from itertools import combinations

from msgspec.structs import replace

from edgekit.plan import Cost, Plan, Stage
from edgekit.report.winners import winners_figure
from edgekit.sweep import Condition, Knob, Sweep, Winner


def plan(name: str) -> Plan:
    return Plan("d", (Stage(0, 1, (name,)),), predicted=Cost(1.0, 1.0, 0, (), (), ()))


def swept(knobs: tuple[Knob, ...], at: list[tuple[float, ...]]) -> Sweep:
    winners = [(Winner("knee", plan("pi" if i % 2 else "nano")), Winner("latency", plan("nano"))) for i in range(len(at))]
    conditions = tuple(Condition(each, names, ((1.0, 1.0),)) for each, names in zip(at, winners, strict=True))
    return Sweep("d", "home", knobs, ("latency", "period"), conditions)


def test_one_knob_gives_a_strip_for_each_pick() -> None:
    rates = (1e5, 1e6, 1e7)
    drawn = winners_figure(swept((Knob("bandwidth", rates),), [(rate,) for rate in rates]))
    assert [axes.get_ylabel() for axes in drawn.axes] == ["knee", "latency"]
    assert drawn.axes[-1].get_xlabel() == "bandwidth of every link (Mbit/s)"
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["nano[0:1]", "pi[0:1]"]


def test_two_knobs_give_a_map_for_each_pick_also_where_conditions_have_no_plan() -> None:
    knobs = (Knob("latency", (1e-3, 1e-2)), Knob("speed pi", (0.5, 1.0, 2.0)))
    at = [(a, b) for a in knobs[0].values for b in knobs[1].values][:-1]
    drawn = winners_figure(swept(knobs, at))
    assert [axes.get_title() for axes in drawn.axes] == ["knee", "latency"]
    assert drawn.axes[0].get_ylabel() == "latency of every link (ms)" and drawn.axes[-1].get_xlabel().startswith("speed pi")


def test_the_cluster_itself_is_marked_and_labels_of_ticks_do_not_overlap() -> None:
    rates, delays = (tuple(low * 10 ** (i / 4) for i in range(13)) for low in (125e3, 1e-3))
    sweep = replace(swept((Knob("bandwidth", rates), Knob("latency", delays)), [(a, b) for a in rates for b in delays]), here=(3e6, 0.01))
    drawn = winners_figure(sweep)
    assert [line.get_xydata().round(3).tolist() for line in drawn.axes[0].lines] == [[[10.0, 24.0]]] * 2
    drawn.draw_without_rendering()
    boxes = [
        label.get_window_extent() for axes in drawn.axes for label in axes.get_xticklabels() if label.get_text() and label.get_visible()
    ]
    assert len(boxes) > 4 and not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    assert not winners_figure(replace(sweep, here=(1e12, 0.01))).axes[0].lines
