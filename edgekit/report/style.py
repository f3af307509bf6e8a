"""What all pictures share: colours, bare axes, and labels that find a free place beside their points."""

from collections.abc import Sequence
from itertools import product
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

__all__ = ["ACCENT", "CYCLE", "GREY", "INK", "Label", "bare", "figure", "headline", "place"]

INK = "#22303c"
GREY = "#9aa5b1"
ACCENT = "#d1345b"
CYCLE = ("#1f6fb4", "#e8871e", "#2a9d8f", "#8e6bbf", "#c9a227", "#d1345b", "#5b8c5a", "#6c7a89")
"""Colours that stay apart in print and for most eyes."""

Label = tuple[float, float, str, str]
"""What is written beside a point of the data: x, y, text, colour."""

DIRECTIONS = (0, 45, -45, 90, -90, 180, 135, -135)
"""Where a label is tried around its point, in degrees, best first."""


def figure(width: float, height: float) -> "Figure":
    """An empty figure of its own, ``width`` by ``height`` inches, without pyplot's global state."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1), facecolor="white")


def bare(axes: "Axes") -> "Axes":
    """Axes with two spines, a faint grid and quiet ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(True, color="#e8ecf0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=10, length=4, color=GREY)
    return axes


def headline(axes: "Axes", title: str, beneath: str) -> None:
    """A title at the left, with a smaller line beneath it."""
    axes.set_title(f"{title}\n", loc="left", fontsize=14, fontweight="bold", color=INK, parse_math=False)
    axes.annotate(
        beneath, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", fontsize=10, color="#5c6b7a", parse_math=False
    )


def place(axes: "Axes", labels: Sequence[Label], points: Sequence[tuple[float, float]]) -> None:
    """Write each label near its point, clear of the others, of what is drawn already and of all ``points``.

    Greedy: earlier labels choose first. One that finds no free place takes the one that hides least.
    The limits and scales of the axes have to be final.
    """
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # settles the layout
    dots = axes.transData.transform(points)
    lines = [line.get_transform().transform_path(line.get_path()).interpolated(16).vertices for line in axes.lines]
    taken = [text.get_window_extent() for text in axes.texts]
    for x, y, text, colour in labels:
        label = axes.annotate(
            text,
            (x, y),
            (0, 0),
            textcoords="offset points",
            fontsize=10,
            color=colour,
            zorder=7,
            parse_math=False,
            annotation_clip=False,
            bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1},
        )
        tries = [_move(label, distance, angle) for distance, angle in product((14, 22, 32, 46, 62), DIRECTIONS)]
        hidden = [_hidden(box, taken, dots, lines, axes.get_window_extent()) for *_, box in tries]
        offset, sides, box = tries[hidden.index(min(hidden))]
        label.set(position=offset, ha=sides[0], va=sides[1])
        taken.append(box)


def _move(label: "Text", distance: float, angle: float) -> tuple[tuple[float, float], tuple[str, str], "Bbox"]:
    """Try a place: the offset in points, the alignment, and the box that the text then covers."""
    x, y = round(distance * cos(angle * pi / 180), 3), round(distance * sin(angle * pi / 180), 3)
    sides = ("center" if not x else "left" if x > 0 else "right", "center" if not y else "bottom" if y > 0 else "top")
    label.set(position=(x, y), ha=sides[0], va=sides[1])
    return (x, y), sides, label.get_window_extent()


def _hidden(box: "Bbox", taken: Sequence["Bbox"], dots: Any, lines: Sequence[Any], frame: "Bbox") -> float:
    """How much a label there would hide or lose; 0 where it is free. Marks are some 10 pixels in radius."""
    outside = max(frame.x0 - box.x0, 0) + max(box.x1 - frame.x1, 0) + max(frame.y0 - box.y0, 0) + max(box.y1 - frame.y1, 0)
    across = sum(box.padded(3).count_contains(line) for line in lines)
    return float(outside + across + 20 * box.padded(20).count_contains(dots) + 50 * box.padded(3).count_overlaps(taken))
