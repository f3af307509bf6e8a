"""The command ``auto``: it measures links and devices, finds the front, and prints how to deploy."""

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import steps
from edgekit.cli.options import ClusterFile, Data, Shapes

__all__ = ["auto"]


@command("auto")
def auto(
    network: Annotated[str, typer.Argument(help="An .onnx file, or PACKAGE.MODULE:FACTORY of a torch network.")],
    cluster: ClusterFile,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder to keep the run in; unless given, runs/ and the network's name.",
        ),
    ] = None,
    shapes: Shapes = None,
    data: Data = None,
) -> None:
    """Measure links and devices, choose threads, find the best plans, and say how to deploy one.

    What the folder holds already, and still holds true, is not measured again: run it again after it was interrupted.
    """
    from edgekit import api
    from edgekit.cli.fronts import print_front
    from edgekit.cli.profile_table import print_profiles
    from edgekit.cli.settings_notes import settings_notes

    folder = output or Path("runs") / (Path(network).stem if network.endswith(".onnx") else network.rpartition(":")[2])
    with steps(6) as (step, tell):
        done = api.auto(network, cluster, folder, inputs=shapes or (), data=data, step=step, tell=tell)
    run = api.Run(folder)
    print_profiles(done.graph, done.profiles)
    print_front(done.front, run)
    for note in settings_notes(done.graph, done.cluster, done.profiles):
        print(note)
    print(done.front.choice(done.front.knee()))
    print(f"pictures: {' '.join(map(str, done.pictures))}")
    verb = "verify" if any(device.described for device in done.cluster.devices) else "deploy"
    print(f"next: edgekit {verb} {run.front} -g {run.graph} -c {cluster}")
