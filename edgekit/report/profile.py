"""Profiles as a picture: where in the network each device spends its time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit.profile import Profile
from edgekit.report.style import CYCLE, INK, bare, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["profile_figure"]


def profile_figure(profiles: Sequence[Profile]) -> "Figure":
    """Estimated milliseconds of every unit, one panel per profile; each panel has its own scale, all share the units."""
    drawn = figure(11, 1.2 + 1.75 * max(len(profiles), 1))
    panels = drawn.subplots(max(len(profiles), 1), sharex=True, squeeze=False)[:, 0]
    for index, (axes, profile) in enumerate(zip(panels, profiles, strict=False)):
        bare(axes).grid(False, axis="x")
        axes.bar(range(profile.unit_count), [1e3 * seconds for seconds in profile.unit_s], width=0.86, color=CYCLE[index % len(CYCLE)])
        axes.set_ylabel("ms", fontsize=11, color=INK)
        axes.set_xlim(-0.7, profile.unit_count - 0.3)
        axes.set_title(_title(profile), loc="left", fontsize=10.5, color=INK, parse_math=False)
    panels[-1].set_xlabel("unit of the network", fontsize=11, color=INK)
    panels[-1].locator_params(axis="x", integer=True)
    drawn.suptitle("Time of each unit (ms), estimated from kernels", x=0.012, ha="left", fontsize=14, fontweight="bold", color=INK)
    return drawn


def _title(profile: Profile) -> str:
    variant = profile.variant
    means = (
        f"{variant.precision}, {variant.provider.removesuffix('ExecutionProvider')}, {variant.threads} thread{'s' * (variant.threads > 1)}"
    )
    whole = f"whole network {profile.whole.p50_s * 1e3:.3g} ms {profile.badge}{', emulated' * profile.emulated}"
    return f"{profile.device}  ·  {means}  ·  {whole}"
