"""The segments of a network as programs of a microcontroller, and the units that it cannot run.

A unit is refused where it alone, or with those from which no cut parts it, does not compile, or has
numbers that a table cannot hold. So nothing is folded over the border of two units, where a cut may lie, and whatever segment is taken
of the others compiles too.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from devices.mcu.assembly import assembled
from devices.mcu.compiler import Part, compile_parts, compile_segment
from devices.mcu.planner import plan_memory
from devices.mcu.program import Program
from edgekit.errors import GraphError
from edgekit.graph import Graph
from edgekit.onnxio import Model, cut
from edgekit.onnxio.network import Network, network

__all__ = ["places_of", "programs", "refusals"]

_Key = tuple[str, tuple[int, ...], str]
_REFUSALS: dict[_Key, tuple[str, ...]] = {}
"""By the digest of the network, the order of its units and the precision."""


def places_of(graph: Graph, precision: str) -> tuple[int, ...]:
    """The positions where segments may begin and stop."""
    count = len(graph.units)
    inner = (position for position in graph.candidates if graph.runs_in(precision, position, count))
    return 0, *inner, count


def refusals(model: Model, graph: Graph, precision: str) -> tuple[str, ...]:
    """For each unit why a microcontroller cannot run it; empty: it can."""
    key = graph.digest, graph.order, precision
    if key not in _REFUSALS:
        places = places_of(graph, precision)
        found: list[str] = []
        for start, stop in pairwise(places):
            found += [_refusal(model, graph, precision, start, stop)] * (stop - start)
        _REFUSALS[key] = tuple(found)
    return _REFUSALS[key]


def _refusal(model: Model, graph: Graph, precision: str, start: int, stop: int) -> str:
    segment = graph.segment(start, stop)
    try:
        program = compile_segment(cut(model, graph, start, stop, precision=precision), segment.inputs, segment.outputs)
        assembled(program, plan_memory(program))
    except GraphError as error:
        return str(error)
    return ""


def programs(model: Model, graph: Graph, precision: str) -> Iterator[tuple[int, int, Program]]:
    """Each segment that a microcontroller can run, as (start, stop, program): the program that its artifact is made of."""
    reasons = refusals(model, graph, precision)
    places = places_of(graph, precision)
    whole = network(model.serialized)
    for start in places[:-1]:
        stops = [stop for stop in places if stop > start and not any(reasons[start:stop])]
        if precision != graph.precision:
            yield from _of_twin(model, graph, precision, start, stops)
        elif stops:
            net, parts = _parts(whole, graph, start, stops)
            for stop, program in zip(stops, compile_parts(net, parts), strict=True):
                if isinstance(program, Program):
                    yield start, stop, program


def _of_twin(model: Model, graph: Graph, precision: str, start: int, stops: Sequence[int]) -> Iterator[tuple[int, int, Program]]:
    """The same of segments that are taken from a twin of the network."""
    for stop in stops:
        segment = graph.segment(start, stop)
        with suppress(GraphError):
            yield start, stop, compile_segment(cut(model, graph, start, stop, precision=precision), segment.inputs, segment.outputs)


def _parts(whole: Network, graph: Graph, start: int, stops: Sequence[int]) -> tuple[Network, list[Part]]:
    """The network from a unit on, behind the constant nodes of those before, and the segments in it as its first nodes."""
    operators = {each.name: each for each in whole.operators}
    begin = graph.units[start].start
    chosen = [operators[node.name] for node in graph.nodes[:begin] if node.constant and node.name in operators]
    parts = []
    for before, stop in pairwise((start, *stops)):
        nodes = graph.nodes[graph.units[before].start : graph.units[stop - 1].stop]
        chosen += [operators[node.name] for node in nodes if node.name in operators]
        segment = graph.segment(start, stop)
        parts.append(Part(len(chosen), segment.inputs, segment.outputs))
    return replace(whole, operators=tuple(chosen)), parts
