"""The command that says what a network takes on one device."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import ms, progress, table
from edgekit.cli.options import Data, Shapes

if TYPE_CHECKING:
    from edgekit.api import Bench, Profile

__all__ = ["bench"]

TOP = 5


@command("bench")
def bench(
    network: Annotated[str, typer.Argument(help="An .onnx file, or PACKAGE.MODULE:FACTORY of a torch network.")],
    *,
    device: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--device",
            help="A device that was added, or an address such as ssh://USER@HOST or sim:pi5; else this machine.",
        ),
    ] = None,
    shapes: Shapes = None,
    seconds: Annotated[
        float,
        typer.Option(help="Time for all settings; each is measured once in any case.", min=0.1),
    ] = 5.0,
    data: Data = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Measure a network on one device: latency with each number of threads, where the time goes, memory.

    It needs no cluster file and no export.
    """
    import msgspec

    from edgekit import api

    with progress("bench") as tell:
        found = api.bench(network, device=api.named_device(device), inputs=shapes or (), data=data, budget_s=seconds, tell=tell)
    if json:
        print(
            msgspec.json.encode(
                {
                    "format": "edgekit.bench",
                    "version": 1,
                    "tuning": found.tuning,
                    "profile": found.profile,
                }
            ).decode()
        )
        return
    _settings(Path(network).stem if network.endswith(".onnx") else network, found)
    _kernels(found.profile)
    _whole(found.profile)


def _settings(name: str, found: "Bench") -> None:
    profile, tuning = found.profile, found.tuning
    print(f"{name} on {profile.device} ({profile.badge}{', emulated' if profile.emulated else ''}), one frame at a time")
    if tuning is None:
        rows = [
            [
                str(profile.variant),
                ms(profile.longest.p50_s),
                ms(profile.longest.p90_s),
                f"{1 / profile.longest.p50_s:.1f}",
                "",
            ]
        ]
    else:
        best = tuning.best
        rows = [
            [
                each.setting.variant.words,
                ms(each.p50_s),
                ms(each.p90_s),
                f"{1 / each.p50_s:.1f}",
                "best" if each.setting.variant == best else "",
            ]
            for each in tuning.times
        ]
    table("", ["setting", "p50", "p90", "frames/s", ""], rows)
    refused = tuning.refused if tuning else ()
    for reason in dict.fromkeys(refusal.reason for refusal in refused):
        print(f"not measured: {', '.join(each.setting.variant.words for each in refused if each.reason == reason)}: {reason}")


def _kernels(profile: "Profile") -> None:
    from edgekit import api

    rows = api.by_type(profile)
    drawn = [[row.op, str(row.kernels), f"{row.share:.1%}", ms(row.share * profile.longest.p50_s)] for row in rows[:TOP]]
    rest = rows[TOP:]
    if rest:
        share = sum(row.share for row in rest)
        drawn.append(
            [
                f"{len(rest)} more types",
                str(sum(row.kernels for row in rest)),
                f"{share:.1%}",
                ms(share * profile.longest.p50_s),
            ]
        )
    if drawn:
        print()
        table("where the time goes", ["kernels by type", "count", "share", "time"], drawn)


def _whole(profile: "Profile") -> None:
    from edgekit.cli.kernels import flags_of, memory_line, threads_of

    flags = "".join(f", {flag}" for flag in flags_of(profile))
    print(f"\nprofiled on {threads_of(profile)}: p50 {ms(profile.longest.p50_s)} over {profile.longest.samples} runs{flags}")
    print(memory_line(profile))
