"""Commands that look at a running pipeline: status, logs."""

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import GAP, drawn_table, mb, narrowest, progress, table
from edgekit.cli.options import PipelineName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

    from rich.table import Table

    from edgekit.api import Event, LinkRate, Observer, Recording, Slow, StageRate, Status

__all__ = ["keep_recording", "logs", "status"]

PAUSE_S = 1.0

LEAST = ("process", "peak memory", "failed", "queue", "frames")
"""Columns that are left out, in this order, where the terminal is too narrow for all."""

MEANINGS = {
    "frames/s": "frames per second since the look before",
    "busy": "share of the time in which the stage computes",
    "links": "data per second, from the client (client →) and to the next stage (→ 1)",
    "queue": "frames that have arrived and wait",
    "temp": "of the hottest sensor, and what slows the machine down",
    "failed": "frames without a result",
    "peak memory": "most memory that the stage's process has held",
    "process": "its number on the device",
}


@command("status")
def status(
    *,
    name: PipelineName = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines; with --watch a line each time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every second, until Ctrl-C.")] = False,
    trace: Annotated[
        Path | None, typer.Option("--perfetto", help="Record which frame is where; write a trace for ui.perfetto.dev.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="With --perfetto: how long to record.", min=0.1)] = 10.0,
) -> None:
    """Show each stage of a deployed pipeline; exit code 3 if one does not serve."""
    from edgekit import api
    from edgekit.errors import DeviceError

    names = api.deployed_names()
    if name is None and len(names) > 1 and not api.HERE.is_file() and not watch and trace is None:
        _list(names, json)
        return
    name = api.pipeline_name(name)
    with _until_interrupted(watch), api.Observer(api.home_of(name)) as observer:
        if trace is not None:
            with progress("recording") as tell:
                tell(f"{seconds:g} s")
                recording = observer.watch(seconds)
            keep_recording(recording, trace)
        found = observer.status()
        if watch:
            _watch(observer, found, json)
        _show(found, json)
    if found.degraded:
        raise DeviceError(f"{'; '.join(found.degraded)}; see edgekit logs -n {name}, then run: edgekit stop -n {name}, then edgekit deploy")


def _list(names: "Sequence[str]", json: bool) -> None:
    """Several pipelines, of which none was named."""
    import msgspec

    from edgekit import api

    if json:
        print(msgspec.json.encode({"version": 1, "deployed": names}).decode())
        return
    rows = []
    for name in names:
        home = api.home_of(name)
        served = api.find_record(home) if api.deployed(home) else None
        told = [served.graph.name, served.plan.describe()] if served else ["", "not deployed to its end"]
        rows.append([name, *told])
    table("", ["name", "network", "plan"], rows, words=3)
    print(f"to see one: edgekit status -n {names[0]}")


@contextmanager
def _until_interrupted(asked: bool) -> "Iterator[None]":
    """Where it is asked for, Ctrl-C is how a command ends, and no error."""
    try:
        yield
    except KeyboardInterrupt:
        if not asked:
            raise
        raise typer.Exit from None


def _watch(observer: "Observer", found: "Status", json: bool) -> "NoReturn":
    """One look after the other: on a terminal each in the place of the one before, else below it."""
    if json or not sys.stdout.isatty():
        while True:
            _show(found, json)
            time.sleep(PAUSE_S)
            found = observer.status()
    from rich.live import Live

    with Live(auto_refresh=False, transient=True) as live:
        while True:
            live.update(_table(found, live.console.width), refresh=True)
            time.sleep(PAUSE_S)
            found = observer.status()


@command("logs")
def logs(
    name: PipelineName = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Print new lines as they come, until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines, an event a line.")] = False,
) -> None:
    """Print the logs of all devices of a deployed pipeline, in the order of their clocks."""
    import msgspec

    from edgekit import api

    with _until_interrupted(follow), api.Observer(api.home_of(api.pipeline_name(name))) as observer:
        while True:
            for event in observer.events():
                print(msgspec.json.encode(event).decode() if json else _line(event), flush=follow)
            if not follow:
                return
            time.sleep(PAUSE_S)


def keep_recording(recording: "Recording", path: Path) -> None:
    """Write a recording, and say on standard error how well its clocks are known and what is not in it."""
    from edgekit import api

    path.write_text(api.trace_events(recording), encoding="utf-8")
    for device, estimates in recording.clocks.items():
        lacks = f"; it lacks {recording.lacks[device]}" if device in recording.lacks else ""
        print(f"{device}: {api.clock_words(estimates)}{lacks}", file=sys.stderr)


def _line(event: "Event") -> str:
    """``pi: 2026-02-03T04:05:06.789Z warning: stage 1@pi: lost stage 2``"""
    grave = "" if event.level == "info" else f"{event.level}: "
    at = ", ".join(f"{name} {number}" for name, number in (("epoch", event.epoch), ("frame", event.frame)) if isinstance(number, int))
    return f"{event.device}: {event.time} {grave}{event.event}{f' ({at})' if at else ''}"


def _show(status: "Status", json: bool) -> None:
    import msgspec

    if json:
        shown = {
            "version": 1,
            "release": status.record.release,
            "wanted": len(status.stages),
            "degraded": status.degraded,
            "stages": status.stages,
            "rates": status.rates,
            "slow": status.slow,
            "devices": status.hosts,
        }
        print(msgspec.json.encode(shown).decode(), flush=True)
        return
    from rich.console import Console

    console = Console()
    console = Console(width=None if console.is_terminal else 160)
    console.print(_table(status, console.width))
    for host in status.hosts:
        if host.pages:
            print(f"metrics of {host.device}: {host.seen_from_here(status.record.cluster.device(host.device))}")
    sys.stdout.flush()


def _table(status: "Status", width: int) -> "Table":
    """A row for each replica of each stage; what is not known is a dash, and how fast it goes is known from the second look on."""
    hosts = {host.device: host for host in status.hosts}
    moving = any(rate.frames_per_s is not None for rate in status.rates)
    rows = []
    for stage, rate in zip(status.stages, status.rates, strict=True):
        host = hosts[stage.name.partition("@")[2]]
        temp = _or_dash(host.temperature_c, "{:.0f} °C") + (f", {', '.join(host.throttled)}" if host.throttled else "")
        rest = [temp, str(stage.frames), str(stage.failed), mb(stage.peak_bytes), str(stage.pid or "")]
        rows.append([stage.name, stage.state, *(_moving(stage.stage, rate) if moving else ()), _or_dash(rate.queue, "{}"), *rest])
    title = f"{status.record.plan.describe()}; deployment {status.record.release[:12]}"
    rates = ("frames/s", "busy", "links") if moving else ()
    columns = ["stage", "state", *rates, "queue", "temp", "frames", "failed", "peak memory", "process"]
    columns, rows = _fitting(columns, rows, width)
    table = drawn_table(title, columns, rows, words=2, width=width)
    legend = [f"{name}: {MEANINGS[name]}" for name in columns if name in MEANINGS]
    table.caption = "\n".join([*map(_slow, status.slow), "; ".join(legend)])
    table.caption_justify = "left"
    return table


def _fitting(columns: list[str], rows: list[list[str]], width: int) -> tuple[list[str], list[list[str]]]:
    """As many columns as fit without a broken word."""
    for least in LEAST:
        widths = narrowest(columns, rows)
        if sum(widths) + GAP * (len(widths) - 1) <= width:
            break
        at = columns.index(least)
        columns, *rows = ([*row[:at], *row[at + 1 :]] for row in (columns, *rows))
    return columns, rows


def _slow(stage: "Slow") -> str:
    return (
        f"slow: for {stage.seconds:.0f} s {stage.stage} has taken {stage.ratio:.1f} times as long for a frame as "
        "planned; see whether its device is hot or busy with something else, or plan again: edgekit profile, "
        "edgekit partition, edgekit deploy"
    )


def _moving(stage: int, rate: "StageRate") -> list[str]:
    links = "\n".join(f"{_end(link, stage)} {mb(link.bytes_per_s)}/s" for link in rate.links)
    return [_or_dash(rate.frames_per_s, "{:.1f}"), _or_dash(rate.busy, "{:.0%}"), links or "-"]


def _end(link: "LinkRate", stage: int) -> str:
    return f"→ {link.receiver}" if link.source == stage else f"{link.source} →"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
