"""The command that finds out what is wrong, and says what to do."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import read_cluster
from edgekit.cli.console import asked, progress, table
from edgekit.wording import counted

__all__ = ["doctor"]


@command("doctor")
def doctor(
    cluster: Annotated[Path | None, typer.Option("-c", "--cluster", help="Look at its devices; else at those that were added.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check this machine, each device and each pair of devices, and say how to repair what fails.

    What could not be looked at is unknown, with the reason, and does not count as passed.
    """
    import msgspec

    from edgekit import api

    there = read_cluster(cluster) if cluster is not None else None
    devices, client = (there.devices, there.client) if there is not None else (api.all_devices(), "client")
    with progress("looking at") as tell:
        found = list(api.examine(devices, client=client, ask=asked(), tell=tell))
    if json:
        print(msgspec.json.encode({"version": 1, "findings": [each._asdict() for each in found]}).decode())
    else:
        table("", ["where", "check", "result", "what was found, and what to do"], [list(each) for each in found], words=4)
    failed = [each for each in found if each.state == "failed"]
    warned = sum(each.state == "warning" for each in found)
    if failed:
        print(
            f"error: {len(failed)} of {counted(len(found), 'check')} failed, {counted(warned, 'warning')}; see above",
            file=sys.stderr,
        )
        raise typer.Exit(3)
    if not json:
        unknown = sum(each.state in ("unknown", "skipped") for each in found)
        passed = f"{len(found) - unknown} of" if unknown else "all"
        print(f"{passed} {counted(len(found), 'check')} passed{f', {warned} with a warning' if warned else ''}", end="")
        print(f"; {unknown} could not be made, for the reasons above" if unknown else "")
