"""The command that finds the best setting of each device."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import read_cluster
from edgekit.cli.console import ms, progress, table
from edgekit.cli.options import ClusterFile, Data
from edgekit.wording import counted

if TYPE_CHECKING:
    from edgekit.tuning import Setting, SettingTime, Tuning

__all__ = ["tune"]

LEGEND = """\
one run: median time of a batch; one frame: that, divided by the frames of the batch
wall/CPU: above 1.1 with one thread, something else used the processor; efficiency: what a thread does, compared with one alone"""


@command("tune")
def tune(
    network: Annotated[Path, typer.Argument(help="An exported network.")],
    cluster: ClusterFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for DEVICE.tuning.json files; what they hold already is kept.")],
    *,
    devices: Annotated[list[str] | None, typer.Option("-d", "--device", help="Only this device; may be repeated.")] = None,
    batch: Annotated[str, typer.Option(help="Numbers of frames in one run, with commas, such as 1,4,8.")] = "1",
    seconds: Annotated[
        float, typer.Option(help="Time for each device; one round of all settings is measured in any case.", min=0.1)
    ] = 60.0,
    data: Data = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Find the fastest setting of each device: execution provider, threads, batch.

    The best variant of each device is kept beside the cluster file, in cluster.measured.json, and used for
    this network from now on, unless the cluster file itself gives the device a variant. A power mode is
    measured where it is in force: to set one takes root. Change it, then tune into another folder.
    """
    from edgekit import api
    from edgekit.files import encode

    graph, model = api.load(network, data=data)
    run = api.Run(output)
    with progress("tuning") as tell:
        found = api.tune(
            graph,
            model,
            read_cluster(cluster),
            devices=devices,
            batches=_batches(batch),
            budget_s=seconds,
            known=run.tunings(),
            tell=tell,
            keep=run.keep_tuning,
        )
    api.keep_tunings(cluster, found)
    tuned = read_cluster(cluster, graph, surveyed=False)
    if json:
        print("[" + ",".join(encode(one).decode() for one in found.values()) + "]")
        return
    for name, tuning in found.items():
        _print(f"{graph.name} on {name}", tuning)
        print(f"{name}: {graph.name} runs as {tuned.device(name).variant} from now on\n")
    print(f"next: edgekit profile {network} -c {cluster} -o {output}")


def _batches(text: str) -> tuple[int, ...]:
    from edgekit.errors import UsageError

    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise UsageError(f"expected numbers of frames with commas, such as 1,4,8, got {text!r}; change --batch")
    return tuple(int(part) for part in text.split(","))


def _print(title: str, tuning: "Tuning") -> None:
    mode = tuning.conditions.power_mode
    marks = {tuning.quickest.setting: ["latency"]}
    marks.setdefault(tuning.most.setting, []).append("throughput")
    rows = [[*_words(time.setting), *_figures(tuning, time), _flags(tuning, time, marks.get(time.setting, []))] for time in tuning.times]
    columns = ["setting", "batch", "one run", "one frame", "frames/s", "wall/CPU", "efficiency", "best for"]
    table(f"{title}{f', power mode {mode}' if mode else ''}{' (emulated)' if tuning.emulated else ''}", columns, rows)
    for reason in dict.fromkeys(refusal.reason for refusal in tuning.refused):
        settings = [" ".join(_words(refusal.setting)) for refusal in tuning.refused if refusal.reason == reason]
        print(f"not measured: {settings[0]}{f' and {len(settings) - 1} more' if len(settings) > 1 else ''}: {reason}")
    print(LEGEND)
    rounds = counted(min(time.rounds for time in tuning.times), "round")
    print(f"{rounds}; the pace of the device varied by a factor of {tuning.drift:.2f} meanwhile, which is corrected")


def _words(setting: "Setting") -> list[str]:
    return [setting.variant.words, str(setting.batch)]


def _figures(tuning: "Tuning", time: "SettingTime") -> list[str]:
    efficiency = tuning.efficiency(time)
    share = "" if efficiency is None else f"{efficiency:.0%}"
    return [ms(time.p50_s), ms(time.frame_s), f"{1 / time.frame_s:.1f}", f"{time.wall_over_cpu:.2f}", share]


def _flags(tuning: "Tuning", time: "SettingTime", best: list[str]) -> str:
    return ", ".join([*best, *(["default"] if time.setting == tuning.default else [])])
