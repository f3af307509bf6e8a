"""Pictures of a front, a trace and profiles made by hand: a pi, a nano and a tx2 with one network of 20 units."""

import subprocess
import sys
from io import BytesIO
from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from msgspec.structs import replace

from edgekit.conditions import Conditions
from edgekit.device import Variant
from edgekit.errors import FormatError
from edgekit.front import Certificate, Front
from edgekit.plan import Cost, Plan, Stage
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.report import pareto_figure, profile_figure, timeline_figure, write
from edgekit.trace import Equality, Span, Trace


def cost(latency_ms, period_ms, memory_mb, badge="measured", emulated=True):
    return Cost(latency_ms / 1e3, period_ms / 1e3, int(memory_mb * 1e6), (), (), (), badge, emulated)


def plan(devices, latency_ms, period_ms, memory_mb, badge="measured"):
    """``pi nano|tx2``: stages of equal length, replicas joined by a bar."""
    groups = [tuple(group.split("|")) for group in devices.split()]
    long = 20 // len(groups)
    stages = tuple(Stage(i * long, 20 if group is groups[-1] else (i + 1) * long, group) for i, group in enumerate(groups))
    return Plan("a1b2", stages, predicted=cost(latency_ms, period_ms, memory_mb, badge))


CHOSEN = plan("tx2 nano", 39.0, 20.5, 61)

FRONT = Front(
    "a1b2",
    "desk",
    ("latency", "period", "memory"),
    (
        plan("tx2", 31.0, 30.2, 118),
        plan("tx2 nano", 34.5, 24.8, 96),
        CHOSEN,
        plan("nano tx2", 42.0, 22.9, 47),
        plan("tx2 pi|nano", 48.0, 16.1, 66, "estimated"),
        plan("tx2 nano pi", 57.5, 14.0, 58),
        plan("pi nano tx2", 66.0, 15.8, 39),
        plan("tx2 pi|nano", 71.0, 12.2, 55, "estimated"),
    ),
    Certificate("exact", "chain", 19, 412),
    (plan("nano", 58.0, 57.1, 118), plan("pi", 96.0, 94.0, 118), plan("pi tx2", 62.0, 31.0, 80), plan("nano pi", 80.0, 42.0, 71)),
)


def trace(frames=20):
    """Two stages of 20 ms and 15 ms with 2 ms between them."""
    spans = tuple(
        span
        for i in range(frames)
        for span in (Span("0@tx2", i, 0.1 + i * 0.021, 0.12 + i * 0.021), Span("1@nano", i, 0.122 + i * 0.021, 0.137 + i * 0.021))
    )
    measured = cost(41.2, 21.3, 63, "certified")
    return Trace("a1b2", CHOSEN.describe(), measured, Equality(10, True, 0.0, 1e-5), 3, (), spans, CHOSEN.predicted)


def profile(device, whole_ms, threads=1):
    kernels = tuple(Kernel(f"k{i}", "Conv", (1 + (i * 7) % 5) * 1e-3, (i,)) for i in range(20))
    whole = SegmentTime(0, 20, whole_ms / 1e3, whole_ms / 1e3, whole_ms / 1e3, 0.0, 5)
    conditions = Conditions("bench", "cpu", ("onnxruntime 1.20",), 99, False, 0.5)
    return Profile("a1b2", device, 20, Variant(threads=threads), conditions, kernels, (whole,), emulated=True)


PROFILES = (profile("pi", 94.0), profile("nano", 57.1), profile("tx2", 30.2, threads=4))


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_files_of_a_run_are_pictures(tmp_path):
    paths = write(tmp_path / "run", FRONT, chosen=CHOSEN, trace=trace(), profiles=PROFILES)
    assert [path.name for path in paths] == ["pareto.png", "pareto.svg", "timeline.png", "profile.png"]
    for path in paths:
        data = path.read_bytes()
        if path.suffix == ".png":
            pixels = imread(BytesIO(data))
            assert pixels.shape[1] >= 1500
            assert pixels.std() > 0.05
        else:
            assert data.lstrip().startswith(b"<?xml")


def test_what_is_not_there_is_not_drawn(tmp_path):
    bare = replace(FRONT, compared=())
    assert [path.name for path in write(tmp_path, bare, chosen=None, trace=replace(trace(), spans=()))] == ["pareto.png", "pareto.svg"]


def test_the_same_front_is_the_same_file(tmp_path):
    first, second = (write(tmp_path / name, FRONT, chosen=CHOSEN)[1].read_bytes() for name in "ab")
    assert first == second


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "run").write_text("a file, not a folder")
    with pytest.raises(FormatError, match="run/pareto.png: cannot be written"):
        write(tmp_path / "run", FRONT)


def test_the_axes_carry_units_and_the_headline_says_where_the_numbers_come_from():
    axes = pareto_figure(FRONT, chosen=CHOSEN, trace=trace()).axes[0]
    assert axes.get_xlabel() == "latency of one frame alone (ms)"
    assert axes.get_ylabel() == "throughput (frames/s)"
    assert (
        axes.texts[0].get_text()
        == "predicted: estimated/measured, emulated  ·  pipeline: certified, emulated  ·  front: exact over 19 cuts, 8 plans"
    )


def test_the_legend_names_only_what_is_in_the_picture():
    assert legend(pareto_figure(FRONT, chosen=CHOSEN, trace=trace())) == [
        "split, predicted",
        "replicas, predicted",
        "single device, predicted",
        "split, dominated",
        "single device, dominated",
        "chosen",
        "measured in the pipeline",
    ]
    assert legend(pareto_figure(replace(FRONT, plans=FRONT.plans[1:4], compared=()))) == ["split, predicted", "knee"]


def test_the_measured_plan_is_told_apart_from_its_prediction():
    came = "measured 41.2 ms, 46.9 frames/s\n+5.6 % latency, −3.8 % throughput against the prediction"
    assert f"plan 2: tx2[0:10] → nano[10:20]\n{came}" in texts(pareto_figure(FRONT, chosen=CHOSEN, trace=trace()))


def test_each_single_device_is_labelled_once():
    found = texts(pareto_figure(replace(FRONT, compared=FRONT.compared * 2)))
    assert sorted(text for text in found if text.endswith(" alone")) == ["nano alone", "pi alone", "tx2 alone"]


def test_the_plans_of_the_front_have_their_numbers_and_the_knee_is_ringed_before_anything_ran():
    found = texts(pareto_figure(FRONT))
    assert [text for text in found if text.isdecimal()] == ["0", "1", "3", "4", "5", "6", "7"]
    assert "knee, plan 2: tx2[0:10] → nano[10:20]" in found
    crowd = tuple(plan("tx2 nano", 30 * 1.01**i, 30 / 1.01**i, 60) for i in range(100))
    figure = pareto_figure(replace(FRONT, plans=crowd))
    assert covered(figure) == 0


def test_a_plan_that_is_not_known_is_not_named_by_its_digest():
    figure = pareto_figure(FRONT, chosen=None, trace=replace(trace(), plan="f" * 64))
    assert not [text for text in texts(figure) if "f" * 8 in text]
    assert any(text.startswith("the plan that ran\nmeasured") for text in texts(figure))


def test_figures_are_drawn_where_they_are_wanted():
    drawn = Figure()
    axes = drawn.subplots(2, 3).ravel()
    assert pareto_figure(FRONT, ax=axes[0]) is drawn and timeline_figure(trace(), ax=axes[1]) is drawn
    assert profile_figure(PROFILES[:2], axes=axes[2:4]) is drawn
    assert [bool(each.has_data()) for each in axes] == [True, True, True, True, False, False]


def covered(figure):
    """Pairs of labels that overlap, and points beneath a label."""
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    dots = [axes.transData.transform(dot) for dots in axes.collections for dot in dots.get_offsets()]
    return sum(one.overlaps(other) for one, other in combinations(boxes, 2)) + sum(box.count_contains(dots) for box in boxes)


def test_labels_do_not_hide_each_other_or_points():
    crowded = tuple(plan(name, 40 + i, 40 + i, 100) for i, name in enumerate(["rpi5-kitchen", "nano-1", "orin", "pi", "tx2", "desk"]))
    figure = pareto_figure(replace(FRONT, compared=crowded), chosen=CHOSEN, trace=trace())
    assert covered(figure) == 0


def test_axes_are_logarithmic_only_where_plans_spread_more_than_tenfold():
    wide = replace(FRONT, compared=(plan("pi", 900.0, 33.0, 118),))
    assert [pareto_figure(front).axes[0].get_xscale() for front in (FRONT, wide)] == ["linear", "log"]
    assert pareto_figure(wide).axes[0].get_yscale() == "linear"


def test_the_step_line_is_the_best_throughput_at_each_latency():
    line = pareto_figure(replace(FRONT, plans=FRONT.plans[:4])).axes[0].lines[0]
    assert [(round(x, 1), round(y, 1)) for x, y in line.get_xydata()] == [
        (31.0, 33.1),
        (34.5, 33.1),
        (34.5, 40.3),
        (39.0, 40.3),
        (39.0, 48.8),
    ]


@pytest.mark.parametrize("plans", [(), FRONT.plans[:1], (plan("pi$x_1$", 0.0, 0.0, 0),), (Plan("a1b2", (Stage(0, 20, ("pi",)),)),)])
def test_a_front_of_one_plan_or_none_is_still_a_picture(plans):
    figure = pareto_figure(replace(FRONT, plans=plans, compared=()), chosen=plans[0] if plans else None)
    figure.draw_without_rendering()


def test_the_timeline_has_a_row_per_stage_and_shows_the_first_frames():
    axes = timeline_figure(trace(), frames=3).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0@tx2", "1@nano"]
    bars = [(round(bar.get_x(), 3), round(bar.get_width(), 3)) for bar in axes.patches]
    assert bars == [(0, 20), (21, 20), (22, 15), (42, 20), (43, 15), (64, 15)]
    assert axes.get_xlabel() == "time since the first frame started (ms)"


def test_the_links_of_a_timeline_stand_between_their_stages():
    links = tuple(Span("transfer tx2→nano", i, 0.12 + i * 0.021, 0.122 + i * 0.021) for i in range(20))
    axes = timeline_figure(replace(trace(), spans=(*trace().spans, *links)), frames=3).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0@tx2", "transfer tx2→nano", "1@nano"]
    assert [bar.get_hatch() for bar in axes.patches[:3]] == [None, "////", None]


def test_a_trace_without_spans_says_so():
    assert "this trace holds no spans" in texts(timeline_figure(replace(trace(), spans=())))


def test_a_profile_is_a_panel_with_a_bar_per_unit():
    panels = profile_figure(PROFILES).axes
    assert [axes.get_title(loc="left").split("  ·  ")[0] for axes in panels] == ["pi", "nano", "tx2"]
    assert panels[2].get_title(loc="left") == "tx2  ·  fp32, CPU, 4 threads  ·  whole network 30.2 ms measured, emulated"
    assert sum(bar.get_height() for bar in panels[0].patches) == pytest.approx(94.0)
    assert len({panel.get_ylim() for panel in panels}) == 1


def test_importing_the_report_does_not_import_matplotlib():
    code = "import edgekit.report, sys; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
