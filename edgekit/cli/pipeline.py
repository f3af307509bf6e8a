"""Commands that put a plan in motion and use it: deploy, rollback, run, verify."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import linked_cluster
from edgekit.cli.console import progress
from edgekit.cli.options import Carrying, ClusterFile, Data, Insecure, OptionalClusterFile, PipelineName, Twins, require
from edgekit.cli.verdict import exit_code, print_trace
from edgekit.cli.watching import keep_recording
from edgekit.wording import counted

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgekit.api import Pipeline, Streaming
    from edgekit.cluster import Cluster
    from edgekit.graph import Graph
    from edgekit.plan import Plan
    from edgekit.progress import Tell

    Arrays = Mapping[str, NDArray[np.generic]]

__all__ = ["deploy", "rollback", "run", "verify"]

PlanFile = Annotated[Path | None, typer.Argument(help="plan.json or front.json; without it, the deployed pipeline.")]
Network = Annotated[Path | None, typer.Option("-g", "--graph", help="The exported network of the plan.")]
Profiles = Annotated[Path | None, typer.Option("-p", "--profiles", help="Folder of profiles, to predict a plan written by hand.")]
Pick = Annotated[str, typer.Option(help="Which plan of a front: its number, knee, latency, period, memory, or devices if latency<=0.05.")]


MOST_FRAMES = 64
"""Frames that are sent in turn to verify a pipeline, of a large file the first."""


class _OnLoss(StrEnum):
    """What becomes of a pipeline when a device is gone for good."""

    FAIL = "fail"
    REPLAN = "replan"


Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@command("deploy")
def deploy(
    plan: Annotated[Path, typer.Argument(help="plan.json or front.json.")],
    network: Annotated[Path, typer.Option("-g", "--graph", help="The exported network of the plan.")],
    cluster: ClusterFile,
    *,
    profiles: Profiles = None,
    pick: Pick = "knee",
    twins: Twins = None,
    data: Data = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="End what others have deployed to the same devices.")] = False,
    insecure: Insecure = False,
    transport: Carrying = "socket",
    renew: Annotated[bool, typer.Option("--renew", help="New certificates for all machines; those before are refused.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="End another network that serves under this name, unasked.")] = False,
    on_loss: Annotated[
        _OnLoss, typer.Option("--on-loss", help="When a device is gone for good: fail, or replan without it.")
    ] = _OnLoss.FAIL,
) -> None:
    """Start a plan on its devices, check its results, and leave it running.

    What was deployed before goes on to serve until the new stages have passed all checks; streams go over without a loss, and
    edgekit rollback brings it back. With --on-loss replan the next best plans without each of the devices are kept too: a
    client (edgekit run, api.connect) brings one when a device is gone.
    """
    from edgekit import api
    from edgekit.errors import UsageError

    graph, model = api.load(network, twins or (), data)
    there = linked_cluster(cluster, graph, network)
    home = api.home_of(there.name)
    if any(device.described for device in there.devices):
        raise UsageError(f"sim: devices live within one command only; use: edgekit verify {plan} -g {network} -c {cluster}")
    chosen = _plan(plan, graph, there, profiles, pick)
    before = api.find_record(home).release if api.deployed(home) else None
    if not replace:
        _ask_to_replace(home, graph, cluster)
    if front := api.read_front(plan):
        print(front.choice(chosen))
    with progress("deploying") as tell:
        spare = _fallbacks(plan, chosen, graph, there, profiles, pick) if on_loss is _OnLoss.REPLAN else {}
        carried = api.transport_of(transport)
        pipeline = api.deploy_to_stay(
            chosen,
            graph,
            model,
            there,
            home,
            tell=tell,
            take_over=take_over,
            secure=not insecure,
            transport=carried,
            fallbacks=spare,
            renew=renew,
        )
    if pipeline.release == before:
        print(f"nothing is changed: this plan serves already as {there.name}")
    _say(pipeline)
    for without, each in spare.items():
        print(f"without {', '.join(sorted(without))}: {each.describe()}")
    print(f"next: edgekit run -n {there.name} --input x.npz --output y.npz, edgekit verify -n {there.name}, edgekit stop -n {there.name}")


def _ask_to_replace(home: Path, graph: "Graph", cluster: Path) -> None:
    """Let nobody end another network than theirs unawares."""
    from edgekit import api
    from edgekit.errors import UsageError

    if not api.deployed(home):
        return
    served = api.find_record(home)
    if served.graph.digest == graph.digest:
        return
    other = f"{served.graph.name}: {served.plan.describe()}"
    told = f"{home.name} serves another network ({other}), which this ends"
    if sys.stdin.isatty() and typer.confirm(f"{told}. Go on?", err=True):
        return
    keep = f'to keep both, write another name in {cluster}, such as name = "{home.name}2"'
    raise UsageError(f"{told}; to do so, add --replace; {keep}")


def _fallbacks(
    path: Path, plan: "Plan", graph: "Graph", cluster: "Cluster", profiles: Path | None, pick: str
) -> "Mapping[frozenset[str], Plan]":
    """The plans that are to be kept for losses of devices."""
    from edgekit import api
    from edgekit.errors import PlanError, UsageError

    if profiles is None:
        raise UsageError("to plan without a device, its profiles are needed; add -p with the folder of edgekit profile")
    front = api.read_front(path)
    asked = (front.objectives, front.question, pick) if front else ()
    found = api.fallbacks(plan, graph, cluster, api.Run(profiles).profiles(), *asked)
    if lonely := [name for name in plan.devices if frozenset({name}) not in found]:
        raise PlanError(f"no plan does without {', '.join(lonely)}; add a device, allow more, or deploy with --on-loss fail")
    return found


@command("rollback")
def rollback(name: PipelineName = None) -> None:
    """Go back to the plan that was deployed before this one."""
    from edgekit import api

    with progress("rolling back") as tell:
        pipeline = api.roll_back(api.home_of(api.pipeline_name(name)), tell)
    _say(pipeline)


def _say(pipeline: "Pipeline") -> None:
    assert pipeline.equality is not None
    outcome = "bit for bit" if pipeline.equality.bit_equal else f"within {pipeline.equality.worst:.1e}"
    print(f"{pipeline.plan.describe()} is serving; split output equals unsplit output {outcome}")


@command("run")
def run(
    source: Annotated[str, typer.Option("--input", help="An .npz or .npy file, a folder of them, or - for standard input.")],
    target: Annotated[str, typer.Option("--output", help="An .npz file, a folder, or - for standard output.")],
    *,
    plan: PlanFile = None,
    network: Network = None,
    cluster: OptionalClusterFile = None,
    pick: Pick = "knee",
    twins: Twins = None,
    insecure: Insecure = False,
    transport: Carrying = "socket",
    name: PipelineName = None,
    window: Annotated[int, typer.Option(help="Frames in flight.", min=1)] = 8,
    trace: Annotated[Path | None, typer.Option("--perfetto", help="Record which frame is where, as a trace for ui.perfetto.dev.")] = None,
) -> None:
    """Send inputs through a pipeline, and write the results."""
    import time
    from collections import deque

    from edgekit import api
    from edgekit.errors import UsageError

    writer = api.ResultWriter(target)
    count = 0
    with ExitStack() as stack:
        tell = stack.enter_context(progress("running"))
        if plan is None and trace is None:
            client = stack.enter_context(api.connect(api.pipeline_name(name, cluster), tell))
        else:
            pipeline = stack.enter_context(_pipeline(plan, network, twins, cluster, None, pick, name, tell, insecure, transport))
            client = stack.enter_context(pipeline.client())
            stack.enter_context(_recorded(pipeline, client, trace))
        frames = api.read_frames(source, client.inputs)
        names: deque[str] = deque()
        began_s = time.monotonic()
        try:
            for result in client.stream(_arrays(frames, names), window=window):
                writer.write(names.popleft(), result)
                count += 1
                if count % 100 == 0:
                    tell(counted(count, "frame"), count)
        except BaseException as error:
            writer.close()
            if count or not isinstance(error, UsageError):
                typer.echo(f"results kept in {target}: {count}", err=True)
            raise
        seconds = time.monotonic() - began_s
        writer.close()
    pace = f", {count / seconds:.1f} frames/s with {window} in flight" if count > 1 and seconds else ""
    typer.echo(f"{counted(count, 'frame')} → {target}{pace}", err=True)


@contextmanager
def _recorded(pipeline: "Pipeline", client: "Streaming", trace: Path | None) -> "Iterator[None]":
    """Record what passes meanwhile, where that is asked for."""
    from edgekit import api
    from edgekit.errors import UsageError

    if trace is None:
        yield
        return
    if any(pipeline.cluster.device(name).described for name in pipeline.plan.devices):
        raise UsageError("sim: devices have a virtual clock, and nothing to record; edgekit verify -o keeps what it showed")
    recorder = api.Recorder(pipeline.plan, pipeline.release, pipeline.connections, client=(pipeline.cluster.client, client))
    try:
        with recorder:
            yield
    finally:  # what went wrong is worth a look
        keep_recording(recorder.recording, trace)


def _arrays(frames: "Iterator[tuple[str, Arrays]]", names: "deque[str]") -> "Iterator[Arrays]":
    """Frames without their names, which are kept for the results."""
    for name, arrays in frames:
        names.append(name)
        yield arrays


@command("verify")
def verify(
    *,
    plan: PlanFile = None,
    network: Network = None,
    cluster: OptionalClusterFile = None,
    profiles: Profiles = None,
    pick: Pick = "knee",
    twins: Twins = None,
    insecure: Insecure = False,
    transport: Carrying = "socket",
    data: Data = None,
    name: PipelineName = None,
    seconds: Annotated[float, typer.Option(help="Time for each phase.", min=0.1)] = 3.0,
    within: Annotated[float, typer.Option(help="Relative error of the predicted latency and period that is allowed.", min=0.0)] = 0.15,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write the trace.")] = None,
    json: Json = False,
) -> None:
    """Measure a running plan, and compare it with its prediction."""
    from edgekit import api
    from edgekit.files import encode

    with (
        progress("verifying") as tell,
        _pipeline(plan, network, twins, cluster, profiles, pick, name, tell, insecure, transport, data) as pipeline,
    ):
        frames = api.read_frames(str(data), pipeline.graph.cuts[0].tensors) if data is not None else ()
        given = [frame for _, frame in islice(frames, MOST_FRAMES)]
        trace = api.verify(pipeline, seconds=seconds, tell=tell, frames=given)
    if output:
        api.Run(output.parent).keep_trace(output, trace)
    if json:
        import msgspec

        print(msgspec.json.encode({"errors": trace.errors, "within": within, "trace": msgspec.json.decode(encode(trace))}).decode())
    else:
        print_trace(trace, within)
    raise typer.Exit(exit_code(trace, within))


def _plan(plan: Path, graph: "Graph", cluster: "Cluster", profiles: Path | None, pick: str) -> "Plan":
    from edgekit import api

    chosen = api.read_plan(plan, pick)
    if profiles is None:
        return chosen
    return api.predict(chosen, graph, cluster, api.Run(profiles).profiles())


@contextmanager
def _pipeline(
    plan: Path | None,
    network: Path | None,
    twins: list[Path] | None,
    cluster: Path | None,
    profiles: Path | None,
    pick: str,
    name: str | None,
    tell: "Tell",
    insecure: bool,
    transport: str,
    data: Path | None = None,
) -> "Iterator[Pipeline]":
    """The deployed pipeline, or one that lives as long as the command where a plan is named."""
    from edgekit import api

    if plan is None:
        with api.attach(api.home_of(api.pipeline_name(name, cluster))) as pipeline:
            yield pipeline
        return
    require(f"edgekit … {plan} -g NETWORK.onnx -c cluster.toml", graph=network, cluster=cluster)
    assert network is not None and cluster is not None
    graph, model = api.load(network, twins or (), data)
    there = linked_cluster(cluster, graph, network)
    chosen, carried = _plan(plan, graph, there, profiles, pick), api.transport_of(transport)
    with api.deploy(chosen, graph, model, there, tell=tell, secure=not insecure, transport=carried) as pipeline:
        yield pipeline
