"""Where the time of a profile goes, as tables on the terminal and as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli.console import mb, ms, table
from edgekit.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.api import KernelRow, Profile
    from edgekit.energy import Energy

__all__ = [
    "energy_line",
    "flags_of",
    "inspect_profile",
    "memory_line",
    "print_difference",
    "threads_of",
]

TOP = 10

UNSTEADY = 0.05
"""Difference between two halves of the samples that is worth a word."""


def inspect_profile(path: Path, json: bool, csv: Path | None, trace: Path | None, network: Path | None) -> None:
    """Print a profile, or write its kernels."""
    from edgekit import api

    profile = api.read_profile(path)
    graph = api.load(network)[0] if network is not None else None
    if csv is not None:
        csv.write_text(api.kernels_csv(profile, graph))
        print(csv)
    if trace is not None:
        trace.write_text(api.perfetto([profile]))
        print(trace)
    if json:
        from edgekit.files import encode

        print(encode(profile).decode())
    elif csv is None and trace is None:
        _print(profile)


def print_difference(before: Path, after: Path, json: bool) -> None:
    """What differs between two profiles, and where it shows."""
    import msgspec

    from edgekit import api

    one, other = api.read_profile(before), api.read_profile(after)
    changes, found = api.differences(one, other), api.shifts(one, other)
    if json:
        shown = {"version": 1, "changes": [each._asdict() for each in changes], "shifts": [each._asdict() for each in found]}
        print(msgspec.json.encode(shown).decode())
        return
    for change in changes:
        print(change)
    if not changes:
        print("both were taken of the same, under the same conditions")
    rows = [[each.name, ms(each.before_s), ms(each.after_s), f"×{each.ratio:.2f}" if each.ratio is not None else "new"] for each in found]
    table("", ["", "before", "after", "change"], rows[: 2 * TOP])


def _print(profile: "Profile") -> None:
    from edgekit import api

    _kernels(f"{profile.device}, {profile.variant.precision}: run order", api.in_order(profile))
    print()
    _kernels(f"top {TOP} by time", api.top(profile, TOP))
    print()
    rows = [[row.op, str(row.kernels), ms(row.seconds), f"{row.share:.1%}", f"{row.cumulative:.1%}"] for row in api.by_type(profile)]
    table("by type", ["type", "kernels", "time", "share", "cumulative"], rows)
    found = api.reconcile(profile)
    profiled = f"profiled {ms(found.profiled_s)} | " if found.profiled_s is not None else ""
    distortion = f" | the profiler makes it {found.distortion:.2f} times as long" if found.distortion is not None else ""
    print(f"\nkernels {ms(found.kernels_s)} | {profiled}real {ms(found.real_s)}{distortion}")
    whole = profile.longest
    before = (("build", whole.build_s), ("load", whole.load_s), ("first run", whole.first_s))
    named = (
        *before,
        ("p10", whole.p10_s),
        ("p50", whole.p50_s),
        ("p90", whole.p90_s),
        ("p99", whole.p99_s),
        ("after a pause", whole.rested_s),
    )
    spread = ", ".join(f"{name} {ms(value)}" for name, value in named if value is not None)
    apart = f", halves {whole.repeatability:.1%} apart" if whole.repeatability is not None else ""
    print(f"{profile.extent}: {spread}, MAD {ms(whole.mad_s)}, {counted(whole.samples, 'run')}{apart}", end="")
    print(f" | {profile.coverage:.0%} of the optimised nodes mapped, {profile.folded} original ones folded")

    print(memory_line(profile))
    if profile.energy is not None:
        print(energy_line(profile.energy))
    if profile.widened:
        print(_unsupported(profile))


def threads_of(profile: "Profile") -> str:
    """How many threads it ran on, of how many cores: ``1 of 4 cores``; a microcontroller has none."""
    if profile.on_board:
        return "-"
    cores = profile.conditions.core_count
    return f"{profile.variant.threads} of {counted(cores, 'core')}" if cores else str(profile.variant.threads)


def flags_of(profile: "Profile") -> list[str]:
    """What there is to know of its times: where they come from, and what disturbed them."""
    whole, held = profile.longest, profile.conditions
    return [
        *([profile.variant.precision] if profile.twin else []),
        *([profile.badge] if profile.badge != "measured" else []),
        *(["emulated"] if profile.emulated else []),
        *([f"contended {held.wall_over_cpu:.2f}"] if held.contended else []),
        *([f"stolen {held.stolen:.0%}"] if held.robbed else []),
        *([f"unsteady {whole.repeatability:.0%}"] if (whole.repeatability or 0) > UNSTEADY else []),
        *held.throttled,
        *([_unsupported(profile)] if profile.widened else []),
    ]


def _unsupported(profile: "Profile") -> str:
    """That a device lacks the kernels of a precision."""
    return f"{profile.variant.precision} not supported: {counted(profile.widened, 'kernel')} in fp32 instead"


def memory_line(profile: "Profile") -> str:
    """What its process took, loading and running."""
    whole = profile.longest
    named = (("loading", whole.load_peak_bytes), ("running", whole.run_peak_bytes), ("at the most", whole.memory_bytes))
    peaks = ", ".join(f"{name} {mb(nbytes)}" for name, nbytes in named if nbytes is not None)
    shared = "" if whole.proportional_bytes is None else f", {mb(whole.proportional_bytes)} after it with shared libraries in parts"
    return f"memory: {peaks}{shared} | the process before its model {mb(profile.base_bytes)}" if peaks else "memory: not told"


def energy_line(energy: "Energy") -> str:
    """Joules for each inference, or why there are none."""
    net, gross = energy.net_j_per_inference, energy.gross_j_per_inference
    if net is None or gross is None or energy.idle_w is None:
        return f"energy: none, {energy.reason}"
    seen = f"{energy.meter} ({', '.join(energy.rails)}), {energy.coverage:.0%} of {energy.window_s:.0f} s"
    return f"energy: {net:.3g} J net, {gross:.3g} J gross for each inference; {energy.idle_w:.2f} W at rest | {seen}"


def _kernels(title: str, rows: "Sequence[KernelRow]") -> None:
    drawn = [
        [row.name, row.op, ms(row.seconds), f"{row.share:.1%}", f"{row.cumulative:.1%}", " ".join(map(str, row.units))] for row in rows
    ]
    table(title, ["kernel", "type", "time", "share", "cumulative", "units"], drawn, words=2)
