"""Profiles as a table: what the network takes on each device, and what to know about the figures."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgekit.cli.console import mb, ms, table
from edgekit.wording import kib

if TYPE_CHECKING:
    from edgekit.graph import Graph
    from edgekit.profile import Profile

__all__ = ["print_profiles"]

CONTENDED_HINT = (
    "contended: something else used its processor meanwhile, so its times are too long; stop that (top shows it) or pin the device "
    "to cores of its own (cores in cluster.toml), then profile again"
)
STOLEN_HINT = (
    "stolen: this is a virtual machine, and its host gave its processors to others meanwhile, so its times are too long; "
    "profile again when the host is less busy"
)
LEGEND = """\
p10, p90: one run in ten is faster than p10, one in ten is slower than p90
load peak, run peak: most memory that the process took while it loaded the network, and while it ran it
kernels: what the runtime executes, one or more nodes each; mapped: share of them whose nodes are known"""


def print_profiles(graph: "Graph", found: "Iterable[Profile]") -> None:
    """The table, its legend, and a sentence for each thing that makes figures worse than they are."""
    from edgekit.cli.kernels import energy_line

    table(
        f"{graph.name}, whole network in {graph.precision}",
        ["device", "threads", "median", "p10", "p90", "runs", "load peak", "run peak", "kernels", "mapped", "remarks"],
        _rows(found),
    )
    print(LEGEND)
    for one in found:
        name = one.device
        if one.conditions.contended:
            print(f"{name}: {CONTENDED_HINT}")
        if one.conditions.robbed:
            print(f"{name}: {STOLEN_HINT}")
        if one.compute_units:
            print(f"{name}: {one.compute_units}")
        if one.on_board:
            _print_board(one)
        for sentence in one.barred:
            print(sentence)
        if one.energy is not None:
            print(f"{name}: {energy_line(one.energy)}")


def _print_board(profile: "Profile") -> None:
    """What a microcontroller counted in each operator, the memory of its unit alone, and what its line takes."""
    rows = []
    for kernel in profile.kernels:
        row = profile.planned(kernel.units[0], kernel.units[-1] + 1) if kernel.units else None
        memory = ["-", "-"] if row is None else [kib(max(row.load_bytes, row.run_bytes)), kib(row.flash_bytes)]
        rows.append([kernel.name, kernel.op, str(kernel.ticks or "-"), ms(kernel.seconds), " ".join(map(str, kernel.units)), *memory])
    title = f"{profile.device}, {profile.variant}: operators; RAM and flash are those of the unit alone"
    table(title, ["operator", "type", "ticks", "time", "unit", "RAM", "flash"], rows, words=2)
    if profile.line is not None:
        line = profile.line
        rates = f"{line.in_s_per_byte * 1e6:.3g} µs for each byte in, {line.out_s_per_byte * 1e6:.3g} µs for each byte out"
        print(f"{profile.device}: serial line {ms(line.latency_s)} for each frame, {rates}")


def _rows(found: "Iterable[Profile]") -> list[list[str]]:
    from edgekit.cli.kernels import flags_of, threads_of

    rows = []
    for one in found:
        whole = one.longest
        peaks = ["" if nbytes is None else mb(nbytes) for nbytes in (whole.load_peak_bytes, whole.run_peak_bytes)]
        figures = [threads_of(one), ms(whole.p50_s), ms(whole.p10_s), ms(whole.p90_s), str(whole.samples)]
        rows.append([one.device, *figures, *peaks, str(len(one.kernels)), f"{one.coverage:.0%}", ", ".join(flags_of(one))])
    return rows
