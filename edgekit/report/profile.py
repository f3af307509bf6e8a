"""Profiles as a picture: where in the network each device spends its time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit.profile import Profile
from edgekit.report.style import CYCLE, INK, bare, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["profile_figure"]


def profile_figure(profiles: Sequence[Profile], axes: "Sequence[Axes] | None" = None) -> "Figure":
    """Estimated milliseconds of every unit, one panel per profile; all panels share one scale.

    Args:
        axes: where to draw, one for each profile; None: in a new figure.
    """
    count = max(len(profiles), 1)
    drawn = figure(11, 1.2 + 1.75 * count) if axes is None else axes[0].figure.canvas.figure
    panels = drawn.subplots(count, sharex=True, sharey=True, squeeze=False)[:, 0] if axes is None else axes
    most = max((seconds for profile in profiles for seconds in profile.unit_s), default=0.0)
    for index, (panel, profile) in enumerate(zip(panels, profiles, strict=False)):
        bare(panel).grid(False, axis="x")
        panel.bar(range(profile.unit_count), [1e3 * seconds for seconds in profile.unit_s], width=0.86, color=CYCLE[index % len(CYCLE)])
        panel.set_ylabel("ms", fontsize=11, color=INK)
        panel.set_xlim(-0.7, profile.unit_count - 0.3)
        panel.set_ylim(0, 1.05e3 * most or 1.0)
        panel.locator_params(axis="x", integer=True)
        panel.set_title(_title(profile), loc="left", fontsize=10.5, color=INK, parse_math=False)
    panels[-1].set_xlabel("unit of the network", fontsize=11, color=INK)
    if axes is None:
        drawn.suptitle("Time of each unit (ms), estimated from kernels", x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK)
    return drawn


def _title(profile: Profile) -> str:
    whole = f"{profile.extent} {profile.longest.p50_s * 1e3:.3g} ms {profile.badge}{', emulated' * profile.emulated}"
    return f"{profile.device}  ·  {profile.variant.words}  ·  {whole}"
