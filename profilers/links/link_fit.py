"""Works links out of the samples of a survey.

A frame of n bytes goes out and an empty one comes back; with T(n) the round trip, one way takes T(n) - T(0) / 2.
The rate is that of messages that follow each other, as in a full pipeline: both ends work on one while another is on its way.
The way back is assumed to have the latency of the way there.
"""

from collections.abc import Callable, Iterable
from itertools import combinations, permutations
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.cluster import Cluster, Link, LinkPoint, Rated, Shape
from edgekit.errors import DeviceError
from edgekit.graph import Graph
from edgekit.survey import BARE, Condition, Sample, Survey
from profilers.links.shared_media import MARK, shared_media

__all__ = ["LEAST_BYTES", "SIZES", "Fit", "cut_sizes", "theil_sen", "with_links"]

LEAST_BYTES = 1
SIZES = (LEAST_BYTES, 1000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000)

CLOSE = 1 / 8
"""Share of the span of sizes below which two of them are too near each other for their slope to say anything."""

MOST_OF_CUTS = 0.9

FEW = 20
"""Messages that tell too little of what one of them costs."""

BUNCHES = 6
"""Messages that come in whole bunches, be they of one, of two, or of the three that are under way at once."""


class Fit(NamedTuple):
    """A line: seconds at no bytes, seconds per byte."""

    start: float
    slope: float


def cut_sizes(graph: Graph, count: int = 4) -> tuple[int, ...]:
    """Sizes to measure: the smallest message there is, and ``count`` spread over what crosses the cuts.

    The largest tenth is left out: no good plan sends it, and on a slow link it takes long.
    """
    sizes = [graph.cuts[position].nbytes for position in (0, *graph.candidates, len(graph.units))]
    picked = np.quantile(sizes, np.linspace(0, MOST_OF_CUTS, count), method="nearest")
    return tuple(sorted({LEAST_BYTES, *(int(size) for size in picked)}))


def with_links(cluster: Cluster, survey: Survey) -> Cluster:
    """The cluster with the links that were surveyed; those that do not reach each other have none.

    A shaped link that was not measured is as described, and besides takes what transport and emulation take (``Survey.bare``).

    Raises:
        DeviceError: the samples of a link say nothing of its rate.
    """
    idle, queued, busy, streams = (_by_link(survey.samples, condition) for condition in ("idle", "queued", "computing", "streamed"))
    media = shared_media(survey)
    measured = []
    for (source, receiver), samples in idle.items():
        link = cluster.link(source, receiver)
        if (link is None and cluster.links) or (link and link.fixed):
            continue
        link = link or Link(source, receiver)  # a cluster that describes none has all that were found
        found = _link(link, source, receiver, samples, streams.get((source, receiver), []), queued.get((source, receiver), []))
        given = [medium for medium in link.media if media is None or not medium.startswith(MARK)]
        joint = tuple(dict.fromkeys((*given, *(media or {}).get((source, receiver), ()))))
        computing = _rated(source, receiver, busy[source, receiver]) if (source, receiver) in busy else None
        measured.append(msgspec.structs.replace(found, media=joint, computing=computing))
    measured += _as_described(cluster, survey, set(idle))
    apart = {(way.source, way.receiver) for way in survey.ways if way.reason is not None}
    ends = {(link.source, link.receiver) for link in measured} | apart
    kept = [link for link in cluster.links if (link.source, link.receiver) not in ends]
    if apart:  # a link that stands for all others would join them again
        kept = [link for link in kept if "*" not in (link.source, link.receiver)]
    return msgspec.structs.replace(cluster, links=(*measured, *kept))


def _by_link(samples: Iterable[Sample], condition: Condition) -> dict[tuple[str, str], list[Sample]]:
    found: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        if sample.condition == condition:
            found.setdefault((sample.source, sample.receiver), []).append(sample)
    return found


def _link(link: Link, source: str, receiver: str, samples: list[Sample], streamed: list[Sample], queued: list[Sample]) -> Link:
    points = _points(samples)
    rated = _rated(source, receiver, samples)
    queued = [sample for sample in queued if len(sample.round_trips_s) >= FEW]
    send = _taken(samples, queued, lambda sample: sample.send_cpu_s)
    receive = _taken(samples, queued, lambda sample: sample.receive_cpu_s)
    return Link(
        source,
        receiver,
        latency_s=rated.latency_s,
        bytes_per_s=_sustained(streamed) or rated.bytes_per_s,
        send_s_per_byte=send.slope,
        receive_s_per_byte=receive.slope,
        send_s_per_message=send.start,
        receive_s_per_message=receive.start,
        relay=link.relay,
        shaped=link.shaped,
        badge="measured",
        points=points,
        described=link.shape if link.shaped else None,
    )


def _as_described(cluster: Cluster, survey: Survey, known: set[tuple[str, str]]) -> list[Link]:
    """The shaped links that were not measured."""
    if not survey.bare:
        return []
    idle, queued, streamed = ([s for s in survey.bare if s.condition == condition] for condition in ("idle", "queued", "streamed"))
    ends = idle[0].source, idle[0].receiver
    bare = _link(Link(*ends, shaped=True, described=BARE), *ends, idle, streamed, queued)
    taken_s = max(bare.latency_s - BARE.latency_s, 0.0)

    def carried(shape: Shape) -> Link:
        rate = min(shape.bytes_per_s or bare.bytes_per_s, bare.bytes_per_s)  # no faster than this machine
        return msgspec.structs.replace(
            bare, latency_s=shape.latency_s + taken_s, bytes_per_s=rate, badge="spec", points=(), described=shape
        )

    names = (*(device.name for device in cluster.devices), cluster.client)
    found = []
    for source, receiver in permutations(names, 2):
        link = cluster.link(source, receiver)
        if link is not None and link.shaped and not link.fixed and (source, receiver) not in known:
            found.append(msgspec.structs.replace(carried(link.shape), source=source, receiver=receiver, media=link.media))
    return found


def _taken(samples: list[Sample], queued: list[Sample], of: Callable[[Sample], float]) -> Fit:
    """Processor seconds of one end for a message, and for each of its bytes.

    Bytes show in large messages. What each message takes besides shows in small ones, of which a full pipeline has several
    under way; where the link is too slow for that, in single ones. With their answers they are two messages at each end.
    """
    slope = max(theil_sen([float(sample.nbytes) for sample in samples], [of(sample) for sample in samples]).slope, 0.0)
    start = float(np.median([of(sample) - slope * sample.nbytes for sample in queued or samples]))
    return Fit(max(start / 2, 0.0), slope)


def _sustained(samples: list[Sample]) -> float | None:
    """Bytes a second of messages that follow each other; none where their sizes do not tell."""
    if not samples:
        return None
    slope = theil_sen([float(sample.nbytes) for sample in samples], [_apart_s(sample) for sample in samples]).slope
    return 1 / slope if slope > 0 else None


def _apart_s(sample: Sample) -> float:
    """Seconds from one message's arrival to the next one's, once what is on the way has filled up."""
    arrivals = np.cumsum((0.0, *sample.round_trips_s))[len(sample.round_trips_s) // 2 :]
    count = min(BUNCHES, len(arrivals) - 1)
    return float(np.median(arrivals[count:] - arrivals[:-count])) / count


def _rated(source: str, receiver: str, samples: list[Sample]) -> Rated:
    points = _points(samples)
    fit = theil_sen([float(point.nbytes) for point in points], [point.p50_s for point in points])
    if fit.slope <= 0:
        raise DeviceError(f"{source} → {receiver}: larger messages were not slower; the machine is too busy to measure, try again")
    return Rated(max(fit.start, points[0].p50_s), 1 / fit.slope)  # what buffers on the way hide of large messages small ones show


def _points(samples: list[Sample]) -> tuple[LinkPoint, ...]:
    samples = sorted(samples, key=lambda sample: sample.nbytes)
    half = float(np.median(samples[0].round_trips_s)) / 2
    return tuple(_point(sample.nbytes, np.array(sample.round_trips_s) - half) for sample in samples)


def _point(size: int, seconds: NDArray[np.float64]) -> LinkPoint:
    p10, p50, p90 = (max(float(value), 0.0) for value in np.percentile(seconds, (10, 50, 90)))
    return LinkPoint(size, p10, p50, p90, len(seconds))


def theil_sen(x: list[float], y: list[float]) -> Fit:
    """The line through points whose slope is the median of the pairs' slopes: deaf to a few bad points (Theil 1950, Sen 1968).

    Pairs that lie close together, measured by the span of all, tell of noise and are left out.

    >>> theil_sen([0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 5.0, 7.0, 90.0])
    Fit(start=1.0, slope=2.0)
    """
    least = CLOSE * (max(x) - min(x))
    slopes = [(y[j] - y[i]) / (x[j] - x[i]) for i, j in combinations(range(len(x)), 2) if x[i] != x[j] and abs(x[j] - x[i]) >= least]
    slope = float(np.median(slopes)) if slopes else 0.0
    return Fit(float(np.median([b - slope * a for a, b in zip(x, y, strict=True)])), slope)
