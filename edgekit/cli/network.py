"""Commands about the network alone: export, quantize, inspect."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from keyword import iskeyword
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command
from edgekit.cli.clusters import read_cluster
from edgekit.cli.codec_losses import measure_losses
from edgekit.cli.console import mb, progress, table
from edgekit.cli.options import Data, Shapes, Twins

if TYPE_CHECKING:
    from edgekit.api.precisions import Accuracy
    from edgekit.graph import Graph, Tensor

__all__ = ["export", "frames_line", "inspect", "quantize"]


@command("export")
def export(
    network: Annotated[
        str, typer.Argument(help="PACKAGE.MODULE:FACTORY or FILE.py:FACTORY of a torch network, or an .onnx or .tflite file.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the network.")],
    *,
    shapes: Shapes = None,
    pixels: Annotated[bool, typer.Option("--pixels", help="Take images as pixels in uint8, and prepare them in the network.")] = False,
    mean: Annotated[str, typer.Option(help="With --pixels: of each channel, such as 0.485,0.456,0.406.")] = "",
    std: Annotated[str, typer.Option(help="With --pixels: of each channel, such as 0.229,0.224,0.225.")] = "",
    data: Data = None,
) -> None:
    """Write a network as a file with every shape fixed, ready to be profiled and cut; it is run once to see that it can be."""
    from edgekit import api
    from edgekit.cli.amounts import numbers
    from edgekit.errors import UsageError

    if (mean or std) and not pixels:
        raise UsageError("--mean and --std say how pixels become the network's inputs; add --pixels")
    with progress("exporting") as tell:
        graph = api.export(network, output, inputs=shapes or [], pixels=pixels, mean=numbers(mean), std=numbers(std), data=data, tell=tell)
    print(f"{output}: {len(graph.nodes)} nodes in {len(graph.units)} units, opset {graph.opset}, digest {graph.digest[:12]}")
    print(f"next: edgekit inspect {output}{f', or edgekit firmware check {output}' if str(network).endswith('.tflite') else ''}")


@command("quantize")
def quantize(
    network: Annotated[Path, typer.Argument(help="An exported network in fp32.")],
    *,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write the network in the other precision.")] = None,
    losses: Annotated[
        Path | None, typer.Option(help="Where to write what is lost when tensors travel in fp16 or eight bits, instead of another network.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="With --losses: what the frames are, an .npy of class numbers.")] = None,
    twins: Twins = None,
    precision: Annotated[str, typer.Option("-p", "--precision", help="int8 or fp16.")] = "int8",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Inputs as the network will see them: an .npz by input name with a leading axis, or a folder."),
    ] = None,
    cluster: Annotated[
        Path | None, typer.Option("-c", "--cluster", help="The devices that int8 has to suit; without it, this machine.")
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Write it also where outputs differ by over 10 % of their deviation.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print how the outputs differ as JSON.")] = False,
) -> None:
    """Write a network in another precision; inputs and outputs stay as they are.

    Where there are five frames or more, every fifth is kept out of the calibration, and the outputs are compared on those.
    An rms of over 10 % of an output's standard deviation is refused, unless you --accept it.
    """
    from edgekit import api
    from edgekit.errors import UsageError
    from edgekit.files import encode

    if losses is not None:
        measure_losses(network, twins, losses, data, labels, json)
        return
    if output is None:
        raise UsageError("expected -o, where to write the network, or --losses, where to write what codecs lose; give one of the two")
    with progress("quantizing") as tell:
        made = api.quantize(
            network, output, precision, data=data, cluster=read_cluster(cluster) if cluster else None, tell=tell, accept=accept
        )
    if made.loss:
        print(f"warning: {made.loss}", file=sys.stderr)
    if json:
        print(encode(made.accuracy).decode() if made.accuracy else "null")
        return
    graph = made.graph
    print(f"{output}: {graph.precision}{f', {made.scheme}' if made.scheme else ''}")
    print(f"{len(graph.nodes)} nodes in {len(graph.units)} units, {mb(network.stat().st_size)} → {mb(output.stat().st_size)}")
    if made.accuracy is not None:
        _print_accuracy(made.accuracy)
    else:
        print("its outputs were not compared with those in fp32; to do so, add: --data x.npz")
    print(f"whether it is faster differs from device to device; next: edgekit profile {output} -c cluster.toml -o run")


def _print_accuracy(accuracy: "Accuracy") -> None:
    rows = [
        [one.name, f"{one.largest:.3g}", f"{one.relative:.2%}", f"{one.rms:.2%}", "" if one.agreement is None else f"{one.agreement:.1%}"]
        for one in accuracy.outputs
    ]
    wide = f"; {accuracy.precision} computed here in fp32, so that only the rounding of weights shows" if accuracy.widened else ""
    kept = (
        f"calibrated with {accuracy.calibrated} others"
        if accuracy.calibrated != accuracy.samples
        else "the same that it was calibrated with"
    )
    told = f", {kept}" if accuracy.calibrated else ""
    title = f"against fp32 on {accuracy.samples} frames{told} ({accuracy.badge}{wide})"
    table(title, ["output", "largest difference", "of the largest value", "rms, of the deviation", "same top-1"], rows)


@command("inspect")
def inspect(
    network: Annotated[Path, typer.Argument(help="An exported network, or a DEVICE.profile.json.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print the graph, or the profile, as JSON.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the kernels of a profile as CSV.")] = None,
    trace: Annotated[Path | None, typer.Option("--perfetto", help="Write them as a trace for ui.perfetto.dev.")] = None,
    graph_file: Annotated[Path | None, typer.Option("-g", "--graph", help="The profile's network, to name nodes in the CSV.")] = None,
) -> None:
    """Show inputs and outputs, nodes by type, work, memory, and where the network can be cut; of a profile, where the time goes."""
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
    _print_ends(graph)
    _print_types(graph)
    _print_sums(graph)
    _print_cuts(graph)


def _print_ends(graph: "Graph") -> None:
    """What goes in and comes out, and the line that makes a file of inputs."""
    inputs, outputs = graph.cuts[0].tensors, graph.cuts[-1].tensors
    rows = [[way, tensor.name, _shape(tensor), tensor.dtype] for way, each in (("in", inputs), ("out", outputs)) for tensor in each]
    table(f"{graph.name}: inputs and outputs", ["", "name", "shape", "type"], rows, words=4)
    if inputs and all(tensor.travels for tensor in inputs):
        print(f"a file of one frame of zeros: {frames_line(inputs)}")
        print("the first axis counts frames; edgekit run --input reads it\n")


def _shape(tensor: "Tensor") -> str:
    return "depends on the data" if tensor.shape is None else "×".join(map(str, tensor.shape)) or "scalar"


def frames_line(tensors: Sequence["Tensor"]) -> str:
    """The line of Python that writes one frame of zeros as ``edgekit run --input`` reads it."""
    arrays = [(tensor.name, f'np.zeros({(1, *(tensor.shape or ()))}, "{tensor.dtype}")') for tensor in tensors]
    plain = all(name.isidentifier() and not iskeyword(name) and name != "file" for name, _ in arrays)
    given = [f"{name}={array}" if plain else f'"{name}": {array}' for name, array in arrays]
    return f'np.savez("x.npz", {", ".join(given)})' if plain else f'np.savez("x.npz", **{{{", ".join(given)}}})'


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
    from edgekit import api

    found = api.needs(graph)
    elements = sum(prod(weight.shape or ()) for weight in graph.weights if weight.dtype in ("float32", "float16", "int8"))
    print(
        f"\nMACs {graph.macs / 1e6:.1f} million | parameters {elements / 1e6:.2f} million, {mb(found.weight_bytes)} | {graph.precision}",
        end="",
    )
    print(f" | activations at least {mb(found.live_bytes)}, in one block {mb(found.arena_bytes)} | opset {graph.opset}")
    print("(a MAC is a multiplication with its addition; one block: as onnxruntime lays activations out in memory)")
    print(f"memory in one stage, predicted: at most {mb(found.load_bytes)} while loading and {mb(found.run_bytes)} while running,")
    print("beside the stage process and its libraries; edgekit profile measures it\n")


def _print_cuts(graph: "Graph") -> None:
    rows = []
    barred = []
    modules = any(node.module for node in graph.nodes)
    for cut in graph.cuts[1:-1]:
        after = graph.unit_nodes(cut.position - 1)[-1]
        if cut.obstacle:
            barred.append(f"  {cut.position}: {cut.obstacle}")
        else:
            where = [after.name, after.module] if modules else [after.name]
            rows.append([str(cut.position), *where, str(len(cut.tensors)), mb(cut.nbytes)])
    words = ["cut", "after node", *(["of module"] if modules else [])]
    table(f"{len(rows)} cut candidates in {len(graph.units)} units", [*words, "tensors", "crossing"], rows, words=len(words))
    print("a unit: nodes that run together; cut 3 parts units 0 to 2 from the rest. Nodes, modules and units can be named in --pin")
    if barred:
        print("\ncannot be cut at\n" + "\n".join(barred))
