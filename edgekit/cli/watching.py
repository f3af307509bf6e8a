"""Commands that look at a running pipeline: status, logs."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import mib, table

if TYPE_CHECKING:
    from edgekit.api import Status

__all__ = ["logs", "status"]

PAUSE_S = 1.0

Name = Annotated[str, typer.Option("-n", "--name", help="Name of the cluster that was deployed to.")]


@command("status")
def status(
    name: Name = "cluster",
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines; with --watch a line each time.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Show the stages of a deployed pipeline as they should be and as they are; exit code 3 where one is not serving."""
    from edgekit import api
    from edgekit.errors import DeviceError

    with api.Observer(api.home_of(name)) as observer:
        _show(found := observer.status(), json)
        while watch:
            time.sleep(PAUSE_S)
            found = observer.status()
            if sys.stdout.isatty() and not json:
                print("\033[H\033[2J", end="")  # to the upper left of an empty screen
            _show(found, json)
    if found.degraded:
        raise DeviceError(f"{'; '.join(found.degraded)}; see edgekit logs -n {name}, then run: edgekit stop -n {name}, then edgekit deploy")


@command("logs")
def logs(
    name: Name = "cluster",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the logs of a deployed pipeline's agents, with device names."""
    from edgekit import api

    with api.Observer(api.home_of(name)) as observer:
        while True:
            for device, line in observer.lines():
                print(f"{device}: {line}", flush=follow)
            if not follow:
                return
            time.sleep(PAUSE_S)


def _show(status: "Status", json: bool) -> None:
    import msgspec

    if json:
        shown = {
            "version": 1,
            "release": status.record.release,
            "wanted": len(status.stages),
            "degraded": status.degraded,
            "stages": status.stages,
        }
        print(msgspec.json.encode(shown).decode(), flush=True)
        return
    rows = [[s.name, s.state, str(s.frames), str(s.failed), mib(s.peak_bytes), str(s.pid or "")] for s in status.stages]
    title = f"{status.record.plan.describe()}, release {status.record.release[:12]}"
    table(title, ["stage", "state", "frames", "failed", "peak memory", "process"], rows, words=2)
