"""What all pictures share: colours, bare axes, and labels that find a free place beside their points."""

from collections.abc import Sequence
from itertools import product
from math import cos, hypot, log10, pi, sin
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

__all__ = ["ACCENT", "CYCLE", "GREY", "INK", "Label", "bare", "canvas", "few_ticks", "figure", "headline", "legend_beneath", "place"]

INK = "#22303c"
GREY = "#9aa5b1"
ACCENT = "#d1345b"
CYCLE = ("#1f6fb4", "#e8871e", "#2a9d8f", "#8e6bbf", "#c9a227", "#d1345b", "#5b8c5a", "#6c7a89")
"""Colours that stay apart in print and for most eyes."""

Label = tuple[float, float, str, str]
"""What is written beside a point of the data: x, y, text, colour."""

DISTANCES = (14, 22, 32, 46, 62, 82, 106, 134)
SPARE = (9, 13, 18)
"""How far from its point a label is tried, in points; one that may be left out only where it is near."""

FAR = 30
"""Distance from which on a label is joined to its point."""

HIDDEN = 1000.0
"""What a point or another label counts that would be covered; pixels of lines, and those outside the frame, count one each."""

DIRECTIONS = (0, 45, -45, 90, -90, 180, 135, -135)
"""Where a label is tried around its point, in degrees, best first."""


def figure(width: float, height: float) -> "Figure":
    """An empty figure of its own, ``width`` by ``height`` inches, without pyplot's global state."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), dpi=150, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1), facecolor="white")


def canvas(ax: "Axes | None", width: float, height: float) -> "tuple[Axes, Figure]":
    """Axes to draw in, and their figure: those that were given, or the only ones of a new figure."""
    drawn = ax.figure if ax is not None else figure(width, height)
    return bare(ax if ax is not None else drawn.add_subplot()), drawn.canvas.figure


def legend_beneath(on: "Figure | Axes", marks: Sequence[Any], columns: int = 3) -> None:
    """A legend beneath all of a figure, or within axes that were given."""
    look: dict[str, Any] = {"frameon": False, "labelcolor": INK, "handletextpad": 0.3}
    if hasattr(on, "transData"):
        on.legend(handles=marks, loc="best", fontsize=8, **look)
    elif columns > 1:
        on.legend(handles=marks, loc="outside lower center", ncols=columns, fontsize=10, **look)
    else:
        on.legend(handles=marks, loc="outside lower left", fontsize=10, **look)


def few_ticks(axes: "Axes", side: str, most: int) -> None:
    """A logarithmic axis with at most so many labels, written as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{side}scale": "log"})
    axis = axes.xaxis if side == "x" else axes.yaxis
    low, high = axes.get_xlim() if side == "x" else axes.get_ylim()
    decades = log10(high / low)
    subs = (1.0,) if decades * 2 > most else (1.0, 3.0) if decades * 3 > most else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


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


def place(axes: "Axes", labels: Sequence[Label], points: Sequence[tuple[float, float]], *, size: float = 10, spare: bool = False) -> None:
    """Write each label near its point, clear of the others, of what is drawn already and of all ``points``.

    Greedy: earlier labels choose first. One that stands far from its point is joined to it by a line. One that finds no free
    place takes the one that hides least, or is left out where it is ``spare``. The limits and scales of the axes have to be final.
    """
    axes.figure.canvas.figure.draw_without_rendering()  # settles the layout
    dots = axes.transData.transform(points)
    lines = [line.get_transform().transform_path(line.get_path()).interpolated(16).vertices for line in axes.lines]
    taken = [text.get_window_extent() for text in axes.texts]
    for x, y, text, colour in labels:
        label = axes.annotate(
            text,
            (x, y),
            (0, 0),
            textcoords="offset points",
            fontsize=size,
            color=colour,
            zorder=7,
            parse_math=False,
            annotation_clip=False,
            bbox=None if spare else {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1},
        )
        best = _best(label, taken, dots, lines, axes.get_window_extent(), SPARE if spare else DISTANCES)
        hides, offset, sides, box = best
        if spare and hides >= HIDDEN:
            label.remove()
            continue
        label.set(position=offset, ha=sides[0], va=sides[1])
        taken.append(box)
        if hypot(*offset) > FAR:
            here = axes.transData.transform((x, y))
            there = axes.transData.inverted().transform(_nearest(box, here))
            axes.plot((x, there[0]), (y, there[1]), color=GREY, linewidth=0.8, zorder=2)


def _best(
    label: "Text", taken: Sequence["Bbox"], dots: Any, lines: Sequence[Any], frame: "Bbox", distances: Sequence[float]
) -> tuple[float, tuple[float, float], tuple[str, str], "Bbox"]:
    """The first free place of a label, else that which hides least: what it hides, offset, alignment, box."""
    found = []
    for distance, angle in product(distances, DIRECTIONS):
        offset, sides, box = _move(label, distance, angle)
        found.append((_hidden(box, taken, dots, lines, frame), offset, sides, box))
        if not found[-1][0]:
            return found[-1]
    return min(found, key=lambda each: each[0])


def _nearest(box: "Bbox", point: Any) -> tuple[float, float]:
    """The point of a box that is nearest to another."""
    return min(max(point[0], box.x0), box.x1), min(max(point[1], box.y0), box.y1)


def _move(label: "Text", distance: float, angle: float) -> tuple[tuple[float, float], tuple[str, str], "Bbox"]:
    """Try a place: the offset in points, the alignment, and the box that the text then covers."""
    x, y = round(distance * cos(angle * pi / 180), 3), round(distance * sin(angle * pi / 180), 3)
    sides = ("center" if not x else "left" if x > 0 else "right", "center" if not y else "bottom" if y > 0 else "top")
    label.set(position=(x, y), ha=sides[0], va=sides[1])
    return (x, y), sides, label.get_window_extent()


def _hidden(box: "Bbox", taken: Sequence["Bbox"], dots: Any, lines: Sequence[Any], frame: "Bbox") -> float:
    """How much a label there would hide or lose; 0 where it is free. Marks are some 11 pixels in radius."""
    outside = max(frame.x0 - box.x0, 0) + max(box.x1 - frame.x1, 0) + max(frame.y0 - box.y0, 0) + max(box.y1 - frame.y1, 0)
    across = sum(box.padded(3).count_contains(line) for line in lines)
    covers = box.padded(13).count_contains(dots) + box.padded(6).count_overlaps(taken)
    return float(outside + across + HIDDEN * covers)
