"""Commands that choose: partition and explain."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import linked_cluster
from edgekit.cli.codec_losses import print_judged, read_losses
from edgekit.cli.console import ms, progress, table
from edgekit.cli.fronts import legend, print_front
from edgekit.cli.options import ClusterFile, OptionalClusterFile, Twins
from edgekit.cli.settings_notes import settings_notes
from edgekit.objectives import USUAL

if TYPE_CHECKING:
    from edgekit.api import Model
    from edgekit.cluster import Cluster
    from edgekit.constraints import Limit
    from edgekit.front import Front
    from edgekit.graph import Graph
    from edgekit.objectives import Objective
    from edgekit.profiles import Profiles

__all__ = ["explain", "partition"]

ProfileFolder = Annotated[Path, typer.Option("-p", "--profiles", help="Folder with the devices' profiles.")]
Order = Annotated[str | None, typer.Option(help="Devices in the order of the pipeline, with commas; or free: whichever is best.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Several = list[str] | None


@command("partition")
def partition(
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the front.")],
    *,
    network: Annotated[Path | None, typer.Argument(help="An exported network.")] = None,
    cluster: OptionalClusterFile = None,
    profiles: Annotated[Path | None, typer.Option("-p", "--profiles", help="Folder with the devices' profiles.")] = None,
    costs: Annotated[Path | None, typer.Option(help="A table of plain numbers instead of these three (see edgekit/costs.py).")] = None,
    objectives: Annotated[
        str,
        typer.Option(
            "-O",
            "--objectives",
            help="Which to minimise, with commas: latency, period, memory, energy, loss, devices. The memory of devices is a limit anyway.",
        ),
    ] = ",".join(USUAL),
    order: Order = None,
    max_latency: Annotated[str | None, typer.Option(help="Such as 50ms.")] = None,
    max_period: Annotated[str | None, typer.Option(help="Such as 20ms.")] = None,
    max_energy: Annotated[str | None, typer.Option(help="Of a frame, such as 300mJ.")] = None,
    max_loss: Annotated[float | None, typer.Option(help="Of accuracy, such as 0.01; see --losses.", min=0.0)] = None,
    max_devices: Annotated[int | None, typer.Option(help="How many devices a plan may use.", min=1)] = None,
    max_memory: Annotated[Several, typer.Option(help="DEVICE=300MB, or 300MB for every device; may be repeated.")] = None,
    max_stages: Annotated[int | None, typer.Option(help="How many stages a plan may have.", min=1)] = None,
    rate: Annotated[float | None, typer.Option(help="Frames per second that come in, which a plan has to keep up with.", min=0.01)] = None,
    pin: Annotated[
        Several, typer.Option(help="NODE=DEVICE, MODULE=DEVICE (of torch) or FIRST:STOP=DEVICE (units); may be repeated.")
    ] = None,
    private: Annotated[Several, typer.Option(help="TENSOR=DEVICE: it is sent to no other; may be repeated.")] = None,
    together: Annotated[Several, typer.Option(help="FIRST:STOP (units) that are not to be parted; may be repeated.")] = None,
    forbid: Annotated[Several, typer.Option(help="A device that is not to be used; may be repeated.")] = None,
    require: Annotated[Several, typer.Option(help="A device that has to be used; may be repeated.")] = None,
    link_quantile: Annotated[float, typer.Option(help="Price links as slow as this share of their messages was.", min=0.1, max=0.9)] = 0.5,
    sweep: Annotated[
        Several,
        typer.Option(
            help="Also who wins for bandwidth=1..1000Mbit, latency=1..200ms or speed:DEVICE=0.25..4; up to two; :25 for 25 steps."
        ),
    ] = None,
    split_branches: Annotated[bool, typer.Option("--split-branches", help="Also put branches of the network into stages apart.")] = False,
    team: Annotated[int, typer.Option(help="How many devices may take frames in turn in one stage.", min=1)] = 1,
    epsilon: Annotated[float, typer.Option(help="Find the front up to this share in every objective, but sooner.", min=0.0)] = 0.0,
    losses: Annotated[
        Path | None, typer.Option(help="Also send tensors in fp16 or eight bits; what that loses, from edgekit quantize --losses.")
    ] = None,
    twins: Twins = None,
    codecs: Annotated[str | None, typer.Option(help="Of --losses only these, with commas: fp16, u8, u8c.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Run plans that lose something on these frames, best not those of --losses, and filter again."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="With --data: what the frames are, an .npy of class numbers.")] = None,
    evolve: Annotated[int, typer.Option(help="With --data: judge so many plans end to end, bred from the front.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="With --evolve: processes that judge.", min=1)] = 1,
    ray: Annotated[str | None, typer.Option(help="With --evolve: address of a Ray cluster that judges instead.")] = None,
    serial_io: Annotated[bool, typer.Option("--serial-io", help="Devices do nothing else while they send or receive.")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="Also let tensors pass by stages that do not read them.")] = False,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the segments that end on the front, and solve again.")] = False,
    seconds: Annotated[
        float, typer.Option(help="With --measure: time for segments that are on the front only if estimates are too high.", min=0.0)
    ] = 60.0,
    json: Json = False,
) -> None:
    """Find the exact Pareto front of pipeline splits."""
    from edgekit import api
    from edgekit.cli.amounts import at_quantile, capped, constraints, knob
    from edgekit.errors import UsageError
    from edgekit.files import encode, write
    from edgekit.front import Question

    run = (network, cluster, profiles)
    wanted = ("the network", "-c with its cluster", "-p with the folder of its profiles")
    lacking = [word for word, each in zip(wanted, run, strict=True) if each is None]
    if costs is None and lacking:
        raise UsageError(f"expected a network, -c and -p, or --costs alone; add {' and '.join(lacking)}")
    if costs is not None and len(lacking) < len(run):
        raise UsageError("--costs stands for the network, -c and -p; leave these out, or --costs")
    if costs is not None and measure:
        raise UsageError("what --costs describes cannot be measured; leave --measure out")
    if evolve and (data is None or network is None):
        raise UsageError("--evolve runs plans on frames; add the network and --data frames.npz")
    lost = read_losses(losses, codecs)
    work = _from_costs(costs) if costs else _from_run(network, twins, cluster, profiles, data)
    graph = work.graph
    knobs = [knob(text, 25 if len(sweep) == 1 else 13) for text in sweep] if sweep else []
    machines = at_quantile(capped(work.cluster, max_memory), link_quantile)
    limits = _limits(max_latency, max_period, max_energy, max_loss, max_devices)
    rules = constraints(graph, limits, pin, private, together, forbid, require, max_stages, rate)
    question = Question(_order(order), rules, team, epsilon, split_branches, lost, serial_io, direct)
    goals, keep = _objectives(objectives), api.Run(profiles).keep if profiles else lambda profile: None
    with progress("partitioning") as tell:
        front, _ = api.partition(
            graph,
            work.model,
            machines,
            work.profiles,
            objectives=goals,
            question=question,
            measure=measure,
            doubt_s=seconds,
            tell=tell,
            keep=keep,
        )
        if data is not None and work.model is not None:
            judged = api.evaluate(front, api.Judge(graph, work.model, data, labels=labels), tell)
            front = judged.front
            if evolve and network:
                trial = api.trial_of(front, network, twins or (), data, labels, machines, work.profiles)
                memory = output.with_suffix(f".{trial.digest[:8]}.evolved.json")
                front = api.evolved(front, trial, evolve, workers=workers, ray=ray, memory=memory, tell=tell)
    write(output, front)
    if knobs:
        with progress("sweeping") as tell:
            swept = api.sweep(graph, machines, work.profiles, knobs, objectives=goals, question=question, tell=tell)
        write(output.with_suffix(".sweep.json"), swept)
        api.write_winners(output.with_suffix(".sweep.png"), swept)
    if json:
        print(encode(front).decode())
        return
    print_front(front, api.Run(profiles) if profiles else None)
    if data is not None and work.model is not None:
        print_judged(judged)
    for note in _notes(front, work, bool(pin), measure):
        print(note)
    if knobs:
        print(f"the plans that win elsewhere: {output.with_suffix('.sweep.png')}")
    print(front.choice(front.knee()))
    if network:
        verb = "verify" if any(device.described for device in work.cluster.devices) else "deploy"
        print(f"next: edgekit {verb} {output} -g {network} -c {cluster}{''.join(f' --twin {twin}' for twin in twins or ())}")


def _notes(front: "Front", work: "_Work", pinned: bool, measured: bool) -> Iterator[str]:
    """What somebody should know who reads the table."""

    if pinned and len(front.plans) == 1 and front.question.order != "free":
        yield "one plan is left in this order of devices; --order free tries every order"
    yield from settings_notes(work.graph, work.cluster, work.profiles)
    twins = sorted({each.variant.precision for each in work.profiles if each.twin})
    if twins and front.question.losses is None:
        yield f"what {', '.join(twins)} loses is not known; measure it with edgekit quantize --losses, and add --losses here"
    if work.model is not None and not measured:
        yield "memory of segments that were not measured is predicted, with a margin; --measure replaces it by what they take"


class _Work(NamedTuple):
    """What is to be partitioned; there is no model where only numbers are known."""

    graph: "Graph"
    model: "Model | None"
    cluster: "Cluster"
    profiles: "Profiles"


def _from_costs(path: Path) -> _Work:
    from edgekit import api

    graph, cluster, profiles = api.read_costs(path)
    return _Work(graph, None, cluster, profiles)


def _from_run(network: Path | None, twins: list[Path] | None, cluster: Path | None, profiles: Path | None, data: Path | None) -> _Work:
    from edgekit import api

    assert network is not None and cluster is not None and profiles is not None
    graph, model = api.load(network, twins or (), data)
    return _Work(graph, model, linked_cluster(cluster, graph, network), api.Run(profiles).profiles())


@command("explain")
def explain(
    front: Annotated[Path, typer.Argument(help="A front that partition wrote, or a plan, also one written by hand.")],
    network: Annotated[Path, typer.Option("-g", "--graph", help="The network.")],
    cluster: ClusterFile,
    profiles: ProfileFolder,
    *,
    pick: Annotated[
        str, typer.Option(help="knee, an objective, objectives in turn (a,b), weights (a:2,b:1), a number, or a if b<=0.05.")
    ] = "knee",
    twins: Twins = None,
    json: Json = False,
) -> None:
    """Tell why a plan is on the front, what holds it up, and what would help most."""
    from edgekit import api
    from edgekit.files import encode

    graph, _ = api.load(network, twins or ())
    there, measured = linked_cluster(cluster, graph, network), api.Run(profiles).profiles()
    plan, known = api.read_plan(front, pick), api.read_front(front)
    with progress("explaining") as tell:
        if known is None:
            plan, known = api.predict(plan, graph, there, measured), api.partition(graph, None, there, measured)[0]
        found = api.explain(plan, known, graph, there, measured, tell=tell)
    if json:
        print(encode(found).decode())
        return
    print(f"{known.choice(found.plan)}\n{found.plan.describe()}")
    whole = found.loads[0].seconds
    table(
        "busy per frame; the busiest sets the period",
        ["", "", "of the period"],
        [[load.resource, ms(load.seconds), f"{load.seconds / whole:.0%}"] for load in found.loads],
    )
    names = list(known.objectives)
    beside = [
        [str(known.number(each.plan)), each.plan.describe(), *(_times(ratio) for _, ratio in each.ratios)] for each in found.neighbours
    ]
    table("its neighbours on the front, against it", ["", "plan", *names], beside, words=2)
    helps = [[each.change, *(_times(ratio) for _, ratio in each.ratios)] for each in found.helps]
    table("the best of the front, against the best now, if", ["", *names], helps)
    for sentence in found.barred:
        print(sentence)
    print(legend(known))


def _times(ratio: float) -> str:
    return "as now" if abs(ratio - 1) < 5e-4 else f"×{ratio:.3g}"


def _limits(latency: str | None, period: str | None, energy: str | None, loss: float | None, devices: int | None) -> "list[Limit]":
    from edgekit.cli.amounts import amount
    from edgekit.constraints import Limit

    return [
        *([Limit("latency", amount(latency, "seconds"))] if latency else []),
        *([Limit("period", amount(period, "seconds"))] if period else []),
        *([Limit("energy", amount(energy, "joules"))] if energy else []),
        *([Limit("loss", loss)] if loss is not None else []),
        *([Limit("devices", devices)] if devices else []),
    ]


def _order(text: str | None) -> "tuple[str, ...] | Literal['free'] | None":
    return "free" if text == "free" else tuple(text.split(",")) if text else None


def _objectives(text: str) -> "tuple[Objective, ...]":
    from edgekit.errors import UsageError
    from edgekit.objectives import OBJECTIVES

    asked = text.split(",")
    if not asked or set(asked) - set(OBJECTIVES):
        raise UsageError(f"expected objectives among {', '.join(OBJECTIVES)}, got {text!r}; separate them with commas")
    return tuple(objective for objective in OBJECTIVES if objective in asked)
