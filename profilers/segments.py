"""Times segments of a graph in the stage process of their device, and sums up the samples."""

import statistics
from collections.abc import Iterable

import msgspec
import numpy as np

from devices.connection import Connection, Measure, Measured, works
from edgekit.device import Variant
from edgekit.graph import Graph, Segment
from edgekit.onnxio import Model, cut
from edgekit.profile import Profile, SegmentTime

__all__ = ["measure_segments", "request_for", "summarize"]


def request_for(graph: Graph, segment: Segment, digest: str, connection: Connection, variant: Variant, budget_s: float) -> Measure:
    """The request that measures a segment as the device would run it in a pipeline."""
    device = connection.device
    return Measure(
        digest,
        segment.inputs,
        segment.outputs,
        "segment",
        variant=variant,
        cores=device.cores,
        speed=device.speed,
        budget_s=budget_s,
        works=works(graph, segment.start, segment.stop),
    )


def measure_segments(
    graph: Graph, model: Model, connection: Connection, profile: Profile, ranges: Iterable[tuple[int, int]], budget_s: float = 0.5
) -> Profile:
    """The profile with units ``[start, stop)`` of each range measured; what was measured before is kept."""
    segments = {(segment.start, segment.stop): segment for segment in profile.segments}
    for start, stop in ranges:
        if (start, stop) in segments:
            continue
        segment = graph.segment(start, stop)
        digest = connection.put(cut(model, graph, start, stop))
        measured, _ = connection.measure(request_for(graph, segment, digest, connection, profile.variant, budget_s))
        segments[start, stop] = summarize(start, stop, measured)
    return msgspec.structs.replace(profile, segments=tuple(segments[key] for key in sorted(segments)))


def summarize(start: int, stop: int, measured: Measured) -> SegmentTime:
    """Percentiles and the median absolute deviation of the samples."""
    samples = np.array(measured.samples_s)
    p10, p50, p90 = (float(value) for value in np.percentile(samples, (10, 50, 90)))
    deviation = statistics.median(abs(samples - p50).tolist())
    return SegmentTime(start, stop, p10, p50, p90, deviation, len(samples), measured.peak_bytes or None)
