"""Commands about the network alone: export, inspect."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.console import mib, table

if TYPE_CHECKING:
    from edgekit.graph import Graph

__all__ = ["export", "inspect"]


@command("export")
def export(
    network: Annotated[str, typer.Argument(help="PACKAGE.MODULE:FACTORY of a torch network, or an .onnx file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the network.")],
    shapes: Annotated[list[str] | None, typer.Option("--input", help="Shape of an input: 1x3x224x224 or NAME:1x3x224x224.")] = None,
) -> None:
    """Write a network as a file with every shape fixed, ready to be profiled and cut."""
    from edgekit import api

    graph = api.export(network, output, shapes or [])
    print(f"{output}: {len(graph.nodes)} nodes in {len(graph.units)} units, opset {graph.opset}, digest {graph.digest[:12]}")
    print(f"next: edgekit inspect {output}")


@command("inspect")
def inspect(
    network: Annotated[Path, typer.Argument(help="An exported network, or a DEVICE.profile.json.")],
    json: Annotated[bool, typer.Option("--json", help="Print the graph, or the profile, as JSON.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the kernels of a profile as CSV.")] = None,
    trace: Annotated[Path | None, typer.Option("--perfetto", help="Write them as a trace for ui.perfetto.dev.")] = None,
    graph_file: Annotated[Path | None, typer.Option("-g", "--graph", help="The profile's network, to name nodes in the CSV.")] = None,
) -> None:
    """Show nodes by type, work, memory, and where the network can be cut; of a profile, where the time goes."""
    from edgekit import api
    from edgekit.cli.kernels import inspect_profile
    from edgekit.errors import UsageError
    from edgekit.files import encode

    if network.suffix == ".json":
        inspect_profile(network, json, csv, trace, graph_file)
        return
    if csv or trace or graph_file:
        raise UsageError(f"--csv, --perfetto and --graph are for profiles, and {network} is none; pass a DEVICE.profile.json")
    graph, _ = api.load(network)
    if json:
        print(encode(graph).decode())
        return
    _print_types(graph)
    _print_sums(graph)
    _print_cuts(graph)


def _print_types(graph: "Graph") -> None:
    count: dict[str, int] = defaultdict(int)
    macs: dict[str, int] = defaultdict(int)
    for node in graph.nodes:
        count[node.op] += 1
        macs[node.op] += node.macs
    total = graph.macs or 1
    rows = [[op, str(count[op]), f"{macs[op] / 1e6:.1f}", f"{macs[op] / total:.0%}"] for op in sorted(count, key=lambda o: (-macs[o], o))]
    table(f"{graph.name}: {len(graph.nodes)} nodes", ["type", "nodes", "million MACs", "share"], rows)


def _print_sums(graph: "Graph") -> None:
    weights = sum(weight.nbytes for weight in graph.weights)
    elements = sum(weight.nbytes // 4 for weight in graph.weights if weight.dtype == "float32")
    print(f"\nMACs {graph.macs / 1e6:.1f} million | parameters {elements / 1e6:.2f} million, {mib(weights)}", end="")
    print(f" | peak activation {mib(graph.peak_bytes(0, len(graph.units)))} | opset {graph.opset}\n")


def _print_cuts(graph: "Graph") -> None:
    rows = []
    barred = []
    for cut in graph.cuts[1:-1]:
        after = graph.unit_nodes(cut.position - 1)[-1].name
        if cut.obstacle:
            barred.append(f"  {cut.position}: {cut.obstacle}")
        else:
            rows.append([str(cut.position), str(len(cut.tensors)), mib(cut.nbytes), after])
    table(f"{len(rows)} cut candidates in {len(graph.units)} units", ["cut", "tensors", "crossing", "after node"], rows)
    if barred:
        print("\ncannot be cut at\n" + "\n".join(barred))
