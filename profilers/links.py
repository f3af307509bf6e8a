"""Measures the links of a cluster through the transport of the pipeline, at the sizes that will cross them.

A frame of n bytes goes out and an empty one comes back; with T(n) the round trip, one way takes T(n) - T(0) / 2.
The way back is assumed to have the latency of the way there.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.connection import Connection, Probe, Probed
from devices.shaper import Route, open_routes
from edgekit.cluster import Cluster, Link, LinkPoint, Shape
from edgekit.errors import DeviceError
from edgekit.graph import Graph

__all__ = ["Fit", "cut_sizes", "measure_links", "theil_sen"]

LEAST_BYTES = 1
MOST_BYTES = 2**24
GROWTH = 32
SAMPLES = 15

VISIBLE = 2.0
"""How many times longer than the smallest message the largest has to take for its rate to be told from noise."""

CLOSE = 1 / 8
"""Share of the span of sizes below which two of them are too near each other for their slope to say anything."""

MOST_OF_CUTS = 0.9


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


def measure_links(
    cluster: Cluster,
    connections: Mapping[str, Connection],
    pairs: Iterable[tuple[str, str]],
    sizes: tuple[int, ...],
    tell: Callable[[str], None] = lambda text: None,
) -> Cluster:
    """The cluster with the links of ``pairs`` measured. ``connections`` holds one for every name, the client too.

    The client dials in both directions, as it does in the pipeline: it may be where nobody can dial it.
    """
    pairs = list(pairs)
    dialled = {source if receiver == cluster.client else receiver for source, receiver in pairs}
    echoes = {name: connections[name].probe(Probe(listen=cluster.device(name).listen)) for name in dialled}
    measured = []
    for source, receiver in pairs:
        link = cluster.link(source, receiver)
        if link is None:
            continue
        tell(f"{source} → {receiver}")
        other = cluster.link(receiver, source)
        there, back = link.shape, other.shape if other else Shape()
        pull = receiver == cluster.client
        echo = echoes[source if pull else receiver]
        route = Route(echo.host, echo.port, *((back, there) if pull else (there, back)))
        with open_routes([route] if link.shaped else []) as shaped:
            host, port = shaped[0] if shaped else (route.host, route.port)
            sampled, probed = _probe(
                connections[receiver if pull else source], Probe(host=host, port=port, pull=pull, samples=SAMPLES), sizes
            )
        measured.append(_link(link, source, receiver, sampled, probed))
    ends = {(link.source, link.receiver) for link in measured}
    kept = [link for link in cluster.links if (link.source, link.receiver) not in ends]
    return msgspec.structs.replace(cluster, links=(*measured, *kept))


def _probe(connection: Connection, request: Probe, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], Probed]:
    """Round trips for each size, and for larger ones as long as the link is too fast for its rate to show."""
    probed = connection.probe(msgspec.structs.replace(request, sizes=sizes))
    while not _visible(probed) and sizes[-1] < MOST_BYTES:
        larger = sizes[-1] * GROWTH
        more = connection.probe(msgspec.structs.replace(request, sizes=(larger,)))
        sizes = (*sizes, larger)
        probed = Probed(
            probed.host,
            probed.port,
            (*probed.round_trips_s, *more.round_trips_s),
            (*probed.send_cpu_s, *more.send_cpu_s),
            (*probed.receive_cpu_s, *more.receive_cpu_s),
        )
    return sizes, probed


def _visible(probed: Probed) -> bool:
    """Whether even the quick ones of the largest messages take clearly longer than the smallest usually do."""
    return float(np.percentile(probed.round_trips_s[-1], 10)) > VISIBLE * float(np.median(probed.round_trips_s[0]))


def _link(link: Link, source: str, receiver: str, sizes: tuple[int, ...], probed: Probed) -> Link:
    half = float(np.median(probed.round_trips_s[0])) / 2
    points = tuple(_point(size, np.array(trips) - half) for size, trips in zip(sizes, probed.round_trips_s, strict=True))
    fit = theil_sen([float(point.nbytes) for point in points], [point.p50_s for point in points])
    if fit.slope <= 0:
        raise DeviceError(f"{source} → {receiver}: larger messages were not slower; the machine is too busy to measure, try again")
    return Link(
        source,
        receiver,
        latency_s=max(fit.start, 0.0),
        bytes_per_s=1 / fit.slope,
        send_s_per_byte=max(theil_sen(list(map(float, sizes)), list(probed.send_cpu_s)).slope, 0.0),
        receive_s_per_byte=max(theil_sen(list(map(float, sizes)), list(probed.receive_cpu_s)).slope, 0.0),
        media=link.media,
        shaped=link.shaped,
        badge="measured",
        points=points,
        described=link.shape if link.shaped else None,
    )


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
