"""The pictures of a run as files."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.files import write_bytes
from edgekit.front import Front
from edgekit.plan import Plan
from edgekit.profile import Profile
from edgekit.report.pareto import pareto_figure
from edgekit.report.profile import profile_figure
from edgekit.report.timeline import timeline_figure
from edgekit.report.winners import winners_figure
from edgekit.sweep import Sweep
from edgekit.trace import Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write", "write_winners"]


def write(
    folder: str | Path, front: Front, *, chosen: Plan | None = None, trace: Trace | None = None, profiles: Sequence[Profile] = ()
) -> list[Path]:
    """Write ``pareto.png``, ``pareto.svg`` and, where there is something to show, ``timeline.png`` and ``profile.png``.

    Raises:
        FormatError: the folder cannot be written to.
    """
    pareto = pareto_figure(front, chosen=chosen, trace=trace)
    pictures: list[tuple[str, Figure]] = [("pareto.png", pareto), ("pareto.svg", pareto)]
    if trace is not None and trace.spans:
        pictures.append(("timeline.png", timeline_figure(trace)))
    if profiles:
        pictures.append(("profile.png", profile_figure(profiles)))
    paths = [Path(folder) / name for name, _ in pictures]
    for path, (_, drawn) in zip(paths, pictures, strict=True):
        write_bytes(path, _picture(drawn, path.suffix.lstrip(".")))
    return paths


def write_winners(path: str | Path, sweep: Sweep) -> None:
    """Write the map of a sweep, in the format that the name ends with (.png, .svg)."""
    write_bytes(path, _picture(winners_figure(sweep), Path(path).suffix.lstrip(".")))


def _picture(drawn: "Figure", kind: str) -> bytes:
    from matplotlib import rc_context

    memory = BytesIO()
    with rc_context({"svg.hashsalt": "edgekit"}):  # the same picture is the same file
        drawn.savefig(memory, format=kind, metadata={"Date": None} if kind == "svg" else {})
    return memory.getvalue()
