"""Kernels as any graph tells of them: from what a device timed, and from a graph that no device has run."""

from collections.abc import Sequence

from devices.connection import KernelTime
from edgekit.graph import Graph, Node, Tensor
from edgekit.graph.unit_rule import HEAVY
from edgekit.onnxio import Model, window
from edgekit.samples import Fused, SampledKernel
from profilers.map.anchors import find_anchors
from profilers.map.blocked_layout import with_blocks
from profilers.map.claims import Original, claim, edges
from profilers.map.fusion import FOLDED, Fusions, live, parts, signature, written
from profilers.map.kernels import LEAVING, match_times

__all__ = ["Timed", "expected", "main_op", "timed", "timed_by_unit"]

Timed = tuple[tuple[SampledKernel, ...], tuple[tuple[str, str], ...]]
"""Kernels with their seconds, and for each unit its signature with what of it was fused."""

END = -1
"""Stands for what a graph itself reads or makes."""

NORMS = frozenset({"LayerNormalization", "SkipLayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization"})

CURVES = {"Erf": "Gelu", "Sigmoid": "Swish"}
"""What several nodes with such a one among them are called, where they are no more than an activation."""


def main_op(ops: Sequence[str]) -> str:
    """The operator that a kernel is called by: its product, else its normalisation, its activation, or its last."""
    for wanted in (HEAVY, NORMS):
        for op in ops:
            if op in wanted:
                return op
    for curve, name in CURVES.items():
        if curve in ops and len(ops) > 1:
            return name
    return ops[-1] if ops else ""


def timed(graph: Graph, model: Model, times: tuple[KernelTime, ...], optimized: tuple[Node, ...]) -> Timed:
    """The kernels that a device ran with their seconds, and for each unit what of it was fused.

    Kernels that only move data count towards who reads them, or who feeds what leaves, as further events. Of a kernel that spans
    units, the part with the most work has all its time, and no kernel is told of for the others.
    """
    original = Original(graph)
    claims = claim(original, optimized, find_anchors(graph, optimized))
    events = _with_moves(optimized, claims, [time.seconds if time else 0.0 for time in match_times(times, optimized)])
    pieces: list[tuple[tuple[int, ...], list[float]]] = []
    kernel_of: dict[int, int] = {}
    for claimed, spent in zip(claims, events, strict=True):
        awake = sorted(place for place in claimed if not graph.nodes[place].constant)
        if not awake:
            continue
        units = sorted({original.unit[place] for place in awake})
        inside = [tuple(place for place in awake if original.unit[place] == unit) for unit in units]
        own = max(inside, key=lambda places: (sum(graph.nodes[place].macs for place in places), places[-1]))
        pieces.append((own, spent))
        kernel_of |= dict.fromkeys(own, own[0])
    described = _describe(graph, model, [places for places, _ in pieces])
    fusions = []
    for index in range(len(graph.units)):
        position = {place: number for number, place in enumerate(live(graph, index))}
        chosen = [position.get(kernel_of.get(place, FOLDED), FOLDED) for place in position]
        fusions.append((signature(graph, index), written(chosen)))
    kernels = tuple(SampledKernel(kernel, sum(spent), len(spent)) for kernel, (_, spent) in zip(described, pieces, strict=True))
    return kernels, tuple(dict.fromkeys(fusions))


def timed_by_unit(graph: Graph, model: Model, times: tuple[KernelTime, ...]) -> Timed:
    """As ``timed``, of a device that runs unit by unit and tells of no graph of its own."""
    awake = [live(graph, index) for index in range(len(graph.units))]
    described = _describe(graph, model, [places or [unit.start] for places, unit in zip(awake, graph.units, strict=True)])
    fusions = [(signature(graph, index), written([0] * len(places))) for index, places in enumerate(awake)]
    kernels = tuple(SampledKernel(kernel, time.seconds) for kernel, time in zip(described, times, strict=True))
    return kernels, tuple(dict.fromkeys(fusions))


def expected(graph: Graph, model: Model, fusions: Fusions) -> tuple[tuple[Fused, int], ...]:
    """The kernels that a device of these fusions would run, each with its unit."""
    found = parts(graph, fusions)
    described = _describe(graph, model, [places for _, places in found])
    return tuple((kernel, unit) for kernel, (unit, _) in zip(described, found, strict=True))


def _with_moves(optimized: Sequence[Node], claims: Sequence[set[int]], seconds: list[float]) -> list[list[float]]:
    """The seconds of each kernel's events, those without a claim handed to a neighbour that has one."""
    feeding, reading = edges(optimized)
    events = [[spent] if claimed else [] for spent, claimed in zip(seconds, claims, strict=True)]
    for index, node in enumerate(optimized):
        if claims[index]:
            continue
        ways = (feeding, reading) if node.op in LEAVING else (reading, feeding)
        home = next((found for way in ways if (found := _nearest(index, way, claims)) is not None), None)
        if home is not None:
            events[home].append(seconds[index])
    return events


def _nearest(index: int, way: Sequence[Sequence[int]], claims: Sequence[set[int]]) -> int | None:
    seen, stack = {index}, list(way[index])
    while stack:
        place = stack.pop(0)
        if claims[place]:
            return place
        if place not in seen:
            seen.add(place)
            stack += way[place]
    return None


def _describe(graph: Graph, model: Model, pieces: Sequence[Sequence[int]]) -> list[Fused]:
    owner = {place: index for index, places in enumerate(pieces) for place in places}
    before, after = edges(graph.nodes)
    feeding, reading = [], []
    for index, places in enumerate(pieces):
        begins = any(name in graph.inputs for place in places for name in graph.nodes[place].inputs)
        ends = any(name in graph.outputs for place in places for name in graph.nodes[place].outputs)
        feeding.append([*_next(graph, places, before, owner, index), *([END] if begins else [])])
        reading.append([*_next(graph, places, after, owner, index), *([END] if ends else [])])
    return with_blocks([_alone(graph, model, places, owner, after) for places in pieces], feeding, reading)


def _alone(graph: Graph, model: Model, places: Sequence[int], owner: dict[int, int], after: Sequence[Sequence[int]]) -> Fused:
    """A kernel without its layout and what is around it."""
    nodes, index = [graph.nodes[place] for place in places], owner[places[0]]
    made = dict.fromkeys(name for node in nodes for name in node.outputs if name)
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name and name not in made)
    held = [graph.tensor(name) for name in read if graph.is_constant(name)]
    moving = [graph.tensor(name) for name in read if not graph.is_constant(name)]
    outside = {name for place in places for reader in after[place] if owner.get(reader) != index for name in graph.nodes[reader].inputs}
    leaving = [graph.tensor(name) for name in made if name in outside or name in graph.outputs]
    return Fused(
        tuple(node.op for node in nodes),
        _shapes(moving),
        _shapes(leaving),
        _shapes(held),
        sum(node.macs for node in nodes),
        next((sides for node in nodes if (sides := window(model, node.name))), ()),
    )


def _next(graph: Graph, places: Sequence[int], way: Sequence[Sequence[int]], owner: dict[int, int], index: int) -> list[int]:
    """The kernels next to one; nodes without a kernel are looked through."""
    found: set[int] = set()
    seen, stack = set(places), [near for place in places for near in way[place]]
    while stack:
        near = stack.pop()
        if near in seen or graph.nodes[near].constant:
            continue
        seen.add(near)
        if near not in owner:
            stack += way[near]
        elif owner[near] != index:
            found.add(owner[near])
    return sorted(found)


def _shapes(tensors: Sequence[Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tensor.shape or () for tensor in tensors)
