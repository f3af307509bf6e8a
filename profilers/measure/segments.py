"""Times segments of a graph in the stage process of their device, in rounds, and sums up the samples."""

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from devices.connection import Connection, Emulation, Measure, Measured, packed, works
from edgekit.device import Variant
from edgekit.graph import Graph, Segment
from edgekit.onnxio import Model, frames, reaching
from edgekit.profile import Profile, SegmentTime
from edgekit.progress import Tell, prefixed, silent
from edgekit.stages.artifact import build, upload
from profilers.measure import calm
from profilers.measure.rounds import Settled, in_rounds, repeatability

__all__ = ["BURST_S", "Range", "data_for", "ends", "measure_segments", "request_for", "rests_at", "summarize"]

Range = tuple[int, int]
"""Units ``[start, stop)``."""

BURST_S = 0.25
LEAST_RUNS = 5
"""Runs of a burst, also where they take longer than it should."""

RESTS = 5
"""Runs after a pause each, in every burst."""

SENTINEL_S = 0.15
CUTS = 16


def request_for(
    graph: Graph,
    segment: Segment,
    digest: str,
    connection: Connection,
    variant: Variant,
    budget_s: float,
    *,
    rate_per_s: float | None = None,
    data: str = "",
) -> Measure:
    """The request that measures a segment as the device would run it in a pipeline; ``data`` as of ``data_for``."""
    device, span = connection.device, (segment.start, segment.stop)
    return Measure(
        model=digest,
        inputs=segment.inputs,
        outputs=segment.outputs,
        mode="segment",
        variant=variant,
        cores=device.cores,
        emulation=Emulation(works(graph, *span), device.speed) if device.emulated else None,
        budget_s=budget_s,
        rate_per_s=rate_per_s,
        data=data,
    )


def data_for(model: Model, graph: Graph, segment: Segment, connection: Connection) -> str:
    """The digest of what a segment runs on, once it is on the device; empty: the device may make it up, or computes nothing.

    Frames that were given, and whole numbers, which may be indices, come from here: what is before the segment has made them.
    """
    drawn = (tensor.dtype for tensor in segment.inputs if not tensor.dtype.startswith("float"))
    indices = any(segment.start == 0 or dtype not in ("bool", "int8", "uint8") for dtype in drawn)
    if connection.virtual or not (indices or model.frames):
        return ""
    (frame,) = frames(model, 1)
    return connection.put(packed(segment.inputs, reaching(model, graph, segment.start, frame)))


def rests_at(rate_per_s: float | None) -> int:
    """Runs after a pause; at a rate, all runs are such as they will be."""
    return 0 if rate_per_s else RESTS


def ends(graph: Graph, count: int = CUTS) -> tuple[Range, ...]:
    """The beginnings and the ends of the graph at the cuts that least has to cross, which all splits in two consist of."""
    cheapest = sorted(graph.candidates, key=lambda position: graph.cuts[position].nbytes)[:count]
    return tuple(part for position in sorted(cheapest) for part in ((0, position), (position, len(graph.units))))


def measure_segments(
    graph: Graph,
    model: Model,
    connection: Connection,
    profile: Profile,
    ranges: Iterable[Range],
    *,
    burst_s: float = BURST_S,
    most_s: float = float("inf"),
    tell: Tell = silent,
    keep: Callable[[Profile], None] = lambda profile: None,
) -> Profile:
    """The profile with units ``[start, stop)`` of each range measured; what was measured before is kept, and what the
    engine cannot run is left out.

    Args:
        burst_s: time for one burst of runs of one segment; it has several.
        most_s: after which no further rounds are begun; each segment is measured once in any case.
        keep: gets the profile after each segment, so that nothing is lost where a later one fails.
    """
    found = {(segment.start, segment.stop): segment for segment in profile.ranges}
    bursts: dict[Range, list[Measured]] = {}
    whole = graph.segment(profile.longest.start, profile.longest.stop)
    inputs: dict[Range, str] = {}

    def measured(part: Segment, seconds: float, rests: int = 0) -> Measured:
        digest = upload(build(model, graph, part.start, part.stop, profile.variant), connection)
        if (key := (part.start, part.stop)) not in inputs:
            inputs[key] = data_for(model, graph, part, connection)
        rate_per_s = profile.conditions.rate_per_s
        request = request_for(graph, part, digest, connection, profile.variant, seconds, rate_per_s=rate_per_s, data=inputs[key])
        return calm.measured(connection, msgspec.structs.replace(request, least=LEAST_RUNS, rests=rests))

    def burst(key: Range) -> Sequence[float]:
        made = bursts.setdefault(key, [])
        made.append(measured(graph.segment(*key), burst_s, rests_at(profile.conditions.rate_per_s)))
        return made[-1].samples_s

    def sentinel() -> float:
        return statistics.median(measured(whole, min(SENTINEL_S, burst_s)).samples_s)

    def settled(key: Range, state: Settled) -> None:
        nonlocal profile
        found[key] = summarize(*key, [bursts[key][index] for index in state.kept])
        others = (segment for segment in profile.segments if segment.units)
        profile = msgspec.structs.replace(profile, segments=(*(found[key] for key in sorted(found)), *others))
        keep(profile)

    still = [key for key in ranges if key not in found and not profile.refusal(*key) and profile.placed(*key)]
    told = prefixed(tell, "segments")
    for done, key in enumerate(dict.fromkeys(still) if profile.on_board else ()):  # a board counts the same in every burst
        told(f"{done + 1} of {len(still)}", done, len(still))
        bursts[key] = [measured(graph.segment(*key), 0.0)]
        settled(key, Settled((0,), 0.0))
    if profile.on_board:
        return profile
    steady = profile.emulated or bool(profile.longest.units)  # a sentinel is a range of units
    in_rounds(still, burst, None if steady else sentinel, settled, most_s=most_s, tell=told)
    return profile


def summarize(start: int, stop: int, bursts: Sequence[Measured]) -> SegmentTime:
    """Percentiles and the median absolute deviation over all bursts, with the raw samples."""
    raw = tuple(tuple(round(sample, 7) for sample in burst.samples_s) for burst in bursts)
    samples = np.array([sample for burst in bursts for sample in burst.samples_s])
    p10, p50, p90, p99 = (float(value) for value in np.percentile(samples, (10, 50, 90, 99)))
    apart = repeatability(raw)
    rested = [sample for burst in bursts for sample in burst.rested_s]
    return SegmentTime(
        start,
        stop,
        p10,
        p50,
        p90,
        statistics.median(abs(samples - p50).tolist()),
        len(samples),
        max(burst.peak_bytes for burst in bursts) or None,
        p99,
        statistics.median(burst.load_s for burst in bursts),
        statistics.median(burst.first_s for burst in bursts),
        apart if len(bursts) > 1 else None,
        raw,
        load_peak_bytes=_most(burst.load_peak_bytes for burst in bursts),
        run_peak_bytes=_most(burst.run_peak_bytes for burst in bursts),
        proportional_bytes=_most(burst.proportional_bytes for burst in bursts),
        build_s=max(burst.build_s for burst in bursts) or None,
        rested_s=statistics.median(rested) if rested else None,
    )


def _most(sizes: Iterable[int | None]) -> int | None:
    return max((nbytes for nbytes in sizes if nbytes is not None), default=None)
