"""Makes what an engine loads for a segment, the only place that cuts a network for a device.

network ──cut──▶ segment as ONNX ──codecs at its ends──▶ the engine's builder ──▶ artifact ──upload──▶ device
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from devices.connection import Connection
from edgekit.codec import Written, carried
from edgekit.device import Variant
from edgekit.errors import EdgekitError, GraphError
from edgekit.graph import Graph, Tensor
from edgekit.onnxio import Model, coded, cut
from edgekit.range import Range
from edgekit.runtime.agent.store import digest_of
from edgekit.stages.builders import builder_of

__all__ = ["Artifact", "Codecs", "build", "runnable", "upload"]


class Codecs(NamedTuple):
    """How the tensors at both ends of a segment are written; ``ranges`` holds those of all that is written in u8c."""

    inputs: Sequence[Written]
    outputs: Sequence[Written]
    ranges: Sequence[Range] = ()

    @property
    def raw(self) -> bool:
        """Whether every tensor travels as it is."""
        return all(codec == "raw" for _, codec in (*self.inputs, *self.outputs))


class Artifact(NamedTuple):
    """What an engine loads for a segment.

    Attributes:
        engine: its name.
        data: the bytes that a device stores under ``digest``, their SHA-256.
        onnx: the segment as ONNX, by which any machine can check the engine.
        inputs, outputs: the tensors that the artifact reads and makes, as they travel.
    """

    engine: str
    data: bytes
    digest: str
    onnx: bytes
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def build(model: Model, graph: Graph, start: int, stop: int, variant: Variant, *, codecs: Codecs | None = None) -> Artifact:
    """Build the artifact of units ``[start, stop)`` in a variant.

    ``codecs``: the encodings of its input and output tensors; None: all tensors travel unencoded.

    Raises:
        GraphError: the network cannot be cut there, or the engine cannot run one of the units.
    """
    builder = builder_of(variant.engine)
    for unit, reason in _refusals(model, graph, variant, range(start, stop)):
        raise GraphError(f"units [{start}, {stop}) cannot run in {variant.engine}: unit {unit}, {reason}; cut elsewhere")
    onnx = cut(model, graph, start, stop, precision=variant.precision)
    if codecs is None:
        segment = graph.segment(start, stop)
        inputs, outputs = segment.inputs, segment.outputs
    else:
        inputs, outputs = (tuple(each for end in ends for each in carried(*end)) for ends in codecs[:2])
    if codecs is not None and not codecs.raw:
        held = (each for twin in graph.twins if twin.precision == variant.precision for each in twin.held)
        onnx = coded(onnx, codecs.inputs, codecs.outputs, ranges=codecs.ranges, held=held)
    try:
        data = builder.make(onnx, variant, inputs, outputs)
    except EdgekitError:
        raise
    except Exception as error:  # what a builder raises is its own business
        what = f"the builder of engine {variant.engine} refuses units [{start}, {stop})"
        raise GraphError(f"{what}: {type(error).__name__}: {error}") from error
    return Artifact(variant.engine, data, digest_of(data), onnx, inputs, outputs)


def _refusals(model: Model, graph: Graph, variant: Variant, units: range) -> Iterator[tuple[int, str]]:
    """The units among these that the engine of a variant cannot run, each with the reason."""
    cannot_run = builder_of(variant.engine).cannot_run
    for unit in units if cannot_run else ():
        if cannot_run and (reason := cannot_run(graph, unit, variant, model)):
            yield unit, reason


def runnable(model: Model, graph: Graph, variant: Variant) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, str], ...]]:
    """The longest segments ``[start, stop)`` that the engine of a variant can run, and the units that are in none, with the reason."""
    count = len(graph.units)
    refused = dict(_refusals(model, graph, variant, range(count)))
    if not refused:
        return ((0, count),), ()
    places = (0, *graph.candidates, count)
    bounds = [-1, *refused, count]
    spans = []
    for before, after in pairwise(bounds):
        start, stop = min(place for place in places if place > before), max(place for place in places if place <= after)
        if start < stop:
            spans.append((start, stop))
    held = {unit for span in spans for unit in range(*span)}
    near = {unit: min(refused, key=lambda other, unit=unit: abs(other - unit)) for unit in range(count)}  # type: ignore[misc]
    left = {unit: f"no cut parts it from unit {near[unit]}, {refused[near[unit]]}" for unit in range(count) if unit not in held}
    return tuple(spans), tuple(sorted((left | refused).items()))


def upload(artifact: Artifact, connection: Connection) -> str:
    """Put an artifact on a device; its digest, by which the device knows it."""
    return connection.put(artifact.data)
