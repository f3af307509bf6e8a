"""Times what a device takes to write and to read tensors in codecs: a small network with the codec's nodes, less the same without."""

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from devices.connection import Connection, coding_works
from edgekit.codec import CODECS, Codec, CodecTime
from edgekit.device import Variant
from edgekit.graph import Tensor
from edgekit.onnxio import Layer, draft, load, read
from edgekit.range import Range
from edgekit.stages.artifact import Codecs, build, upload
from profilers.measure import calm
from profilers.measure.segments import request_for

__all__ = ["time_codecs"]

SHAPES = ((1, 16, 16, 16), (1, 64, 56, 56))
"""16 KiB and 784 KiB in fp32, as cuts of networks are."""

BURST_S = 0.1


def time_codecs(connection: Connection, variant: Variant, codecs: Iterable[Codec] = CODECS[1:]) -> tuple[CodecTime, ...]:
    """Each of the codecs on a device in a variant, as a line through a small tensor and a large one."""
    benches = [_Bench(connection, variant, shape) for shape in SHAPES]
    found = []
    for codec in codecs:
        encode = _line([(bench.nbytes, bench.extra_s("raw", codec)) for bench in benches])
        decode = _line([(bench.nbytes, bench.extra_s(codec, "raw")) for bench in benches])
        found.append(CodecTime(codec, *encode, *decode))
    return tuple(found)


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Seconds of any tensor, and of each byte; neither below 0."""
    (small, least_s), (large, most_s) = points
    slope = max(0.0, (most_s - least_s) / (large - small))
    return max(0.0, least_s - slope * small), slope


class _Bench:
    """One Relu over tensors of a shape."""

    def __init__(self, connection: Connection, variant: Variant, shape: tuple[int, ...]):
        model = load(draft(shape, [Layer("Relu")]))
        graph = read(model)
        self._connection, self._graph, self._model = connection, graph, model
        self._segment = graph.segment(0, len(graph.units))
        self._request = request_for(graph, self._segment, "", connection, variant.on(graph.precision), BURST_S)
        self.nbytes = self._segment.inputs[0].nbytes
        self._plain_s = self._seconds("raw", "raw")

    def extra_s(self, reads: Codec, writes: Codec) -> float:
        """What the codecs add."""
        return self._seconds(reads, writes) - self._plain_s

    def _seconds(self, reads: Codec, writes: Codec) -> float:
        ends = (self._segment.inputs[0], reads), (self._segment.outputs[0], writes)
        codecs = Codecs(ends[:1], ends[1:], [_range(tensor) for tensor, _ in ends])
        artifact = build(self._model, self._graph, 0, len(self._graph.units), self._request.variant, codecs=codecs)
        played = self._request.emulation
        request = msgspec.structs.replace(
            self._request,
            model=upload(artifact, self._connection),
            inputs=artifact.inputs,
            outputs=artifact.outputs,
            emulation=played and msgspec.structs.replace(played, works=(*played.works, *coding_works(ends))),
        )
        return statistics.median(calm.measured(self._connection, request).samples_s)


def _range(tensor: Tensor) -> Range:
    """Some range for each channel; which one does not tell in time."""
    channels = (tensor.shape or ())[1]
    return Range(tensor.name, 1, ((1 / 32, 128),) * channels)
