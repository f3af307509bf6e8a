"""Commands that measure and show: profile, report, demo."""

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import read_cluster
from edgekit.cli.console import progress, steps
from edgekit.cli.options import Data, OptionalClusterFile, Twins, require
from edgekit.cli.profile_table import print_profiles
from edgekit.cli.verdict import exit_code

__all__ = ["demo", "profile", "report"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@command("profile")
def profile(
    *,
    network: Annotated[Path | None, typer.Argument(help="An exported network.")] = None,
    cluster: OptionalClusterFile = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for DEVICE.profile.json files.")] = None,
    devices: Annotated[list[str] | None, typer.Option("-d", "--device", help="Only this device; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(help="Time for each of the two measurements of a device.", min=0.1)] = 2.0,
    energy: Annotated[bool, typer.Option("--energy", help="Also measure energy: ten seconds at rest, ten at work.")] = False,
    codecs: Annotated[bool, typer.Option("--codecs", help="Also measure the time to convert tensors to fp16 and 8 bits.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also measure both halves at each of the sixteen cheapest cuts.")] = False,
    rate: Annotated[
        float | None, typer.Option(help="Frames per second that arrive; without it, the next frame starts at once.", min=0.01)
    ] = None,
    diff: Annotated[
        tuple[Path, Path] | None, typer.Option("--diff", metavar="BEFORE AFTER", help="Compare two profiles instead of measuring.")
    ] = None,
    learn: Annotated[
        float | None,
        typer.Option("--learn", metavar="SECONDS", help="Measure kernels of one device so long, to predict networks.", min=0.1),
    ] = None,
    predict: Annotated[
        list[Path] | None,
        typer.Option("--predict", metavar="SAMPLES", help="Predict a device from its samples instead of measuring it; may be repeated."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            "--like",
            metavar="SAMPLES",
            help="Long samples of a similar device; then short ones of --predict are enough.",
        ),
    ] = None,
    twins: Twins = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Measure the time and memory that a network takes on each device."""
    from edgekit import api
    from edgekit.cli.kernels import print_difference
    from edgekit.cli.learning import learn as learn_device
    from edgekit.errors import UsageError
    from edgekit.files import encode

    if diff is not None:
        print_difference(*diff, json)
        return
    if learn is not None:
        learn_device(cluster, devices, output, learn)
        return
    given = {"NETWORK": network, "output": output} | ({} if predict else {"cluster": cluster})
    require("edgekit profile NETWORK.onnx -c cluster.toml -o run", **given)
    assert network is not None and output is not None
    if like is not None and not predict:
        raise UsageError("expected --predict beside --like: samples of the device to predict, ten networks of it are enough")
    graph, model = api.load(network, twins or (), data)
    predictors = []
    with progress("fitting") as tell:
        for path in predict or ():
            tell(str(path))
            predictors.append(api.read_predictor(path, like))
    found = api.predict_profiles(graph, model, predictors, keep=api.Run(output).keep)
    devices_at_hand = read_cluster(cluster, graph) if cluster is not None else None
    if devices_at_hand is not None:
        rest = [name for name in devices or [device.name for device in devices_at_hand.devices] if name not in found]
        with progress("profiling") as tell:
            if rest:
                measured = api.profile(
                    graph,
                    model,
                    devices_at_hand,
                    devices=rest,
                    budget_s=seconds,
                    tell=tell,
                    keep=api.Run(output).keep,
                    energy=energy,
                    full=full,
                    rate_per_s=rate,
                    codecs=codecs,
                )
                found = found.add(*measured)
    if json:
        print("[" + ",".join(encode(one).decode() for one in found) + "]")
        return
    print_profiles(graph, found)
    print(f"next: edgekit partition {network} -c {cluster or 'cluster.toml'} -p {output} -o {output}/front.json --measure")


@command("report")
def report(folder: Annotated[Path, typer.Argument(help="A run folder, with front.json and what else was kept.")]) -> None:
    """Draw the pictures of a run folder: the plans, and the timeline of a pipeline."""
    from edgekit import api

    for path in api.report(folder):
        print(path)


@command("demo")
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to keep the run in.")] = Path("runs/demo"),
) -> None:
    """Go the whole way on this machine: a network that reads digits, on three unlike devices."""
    from edgekit import api
    from edgekit.api.demo import WITHIN
    from edgekit.cli.story import tell_story

    with steps(7) as (step, tell):
        done = api.demo(output, step, tell)
    tell_story(done)
    raise typer.Exit(exit_code(done.trace, WITHIN))
