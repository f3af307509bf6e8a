"""Surveys: what there is to know of the links of a cluster."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations

from msgspec.structs import replace

from devices import Connection, connect, scheme_of
from edgekit.api.display import showing
from edgekit.cluster import Cluster, Link
from edgekit.deploy.serve.connections import connect_all
from edgekit.deploy.serve.transport_check import require_transport
from edgekit.device import Device
from edgekit.errors import EdgekitError, UsageError
from edgekit.graph import Graph
from edgekit.onnxio import Model
from edgekit.progress import Tell, in_turn, prefixed, silent
from edgekit.runtime.verbs import Transport
from edgekit.stages.artifact import build, upload
from edgekit.survey import BARE, Sample, Survey
from profilers.links.link_fit import LEAST_BYTES, SIZES, cut_sizes, with_links
from profilers.links.shared_media import Direction
from profilers.links.surveyor import Links, sample_links, sample_together
from profilers.measure.segments import data_for, request_for

__all__ = ["survey", "take_survey"]

COMPUTING_SIZES = (LEAST_BYTES, 16_000, 256_000, 1_000_000)
COMPUTING_S = 1.0

BARE_SIZES = (LEAST_BYTES, 16_000, 256_000, 1_000_000, 4_000_000)


@showing("surveying")
def survey(
    cluster: Cluster,
    graph: Graph,
    *,
    tell: Tell = silent,
    transport: Transport = "socket",
) -> Cluster:
    """The cluster with its links measured at rest, at the sizes that this graph's cuts will send, over what will carry them.

    Shaped links stay as described, but for what transport and emulation take besides. Among ``sim:`` devices there is nothing to
    measure: their links stay as described.

    Raises:
        UsageError: sim: devices among real ones.
        DeviceError: a device cannot be asked, or somebody else holds it.
    """
    return with_links(cluster, take_survey(cluster, graph=graph, tell=tell, transport=transport))


@showing("surveying")
def take_survey(
    cluster: Cluster,
    *,
    graph: Graph | None = None,
    model: Model | None = None,
    thorough: bool = False,
    tell: Tell = silent,
    transport: Transport = "socket",
    secure: bool = True,
) -> Survey:
    """Samples of every link in both directions, at rest; of all shaped links together, which are as described, one bare one.

    ``thorough``: also of each shaped link, of several links at once and, with a model, of links while both ends compute it.

    ``transport`` carries them, encrypted where they are to be ``secure``, as a pipeline would have it.

    Raises:
        UsageError: sim: devices among real ones, or the transport does not suit them.
        DeviceError: a device cannot be asked, or somebody else holds it.
    """
    began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    simulated = [device.name for device in cluster.devices if device.described]
    if len(simulated) == len(cluster.devices):
        return Survey(began)
    if simulated:
        raise UsageError(f"{', '.join(simulated)} are sim: devices among real ones, and links to them cannot be measured; leave them out")
    pairs = [pair for pair in permutations((*(device.name for device in cluster.devices), cluster.client), 2) if not _fixed(cluster, pair)]
    cuts = cut_sizes(graph) if graph is not None else ()
    sizes = tuple(sorted({*SIZES, *cuts})) if thorough or graph is None else cuts
    devices = (*cluster.devices, Device(cluster.client))
    shaped = [] if thorough else [pair for pair in pairs if _shaped(cluster, pair)]
    pairs = [pair for pair in pairs if pair not in shaped]
    loaded = thorough and graph is not None and model is not None
    with ExitStack() as stack:
        at_rest, computing, at_once = in_turn(tell, _phases(cluster, pairs, thorough, loaded))
        computing = prefixed(computing, "while both compute")
        at_rest("connecting")
        connections = connect_all(devices, stack, purpose="a survey")
        require_transport(transport, connections)
        bare = _bare(cluster, connections, shaped[0], at_rest, transport, secure) if shaped else ()
        idle = sample_links(cluster, connections, pairs, sizes, tell=at_rest, transport=transport, secure=secure)
        reached = [(way.source, way.receiver) for way in idle.ways if way.reason is None]
        busy = Links((), ())
        if loaded and graph is not None and model is not None:
            with _computing(cluster, graph, model):
                busy = sample_links(
                    cluster,
                    connections,
                    reached,
                    COMPUTING_SIZES,
                    tell=computing,
                    condition="computing",
                    transport=transport,
                    secure=secure,
                )
        apart = [link for link in reached if _real(cluster, link)] if thorough else []

        def opened(name: str) -> Connection:
            device = next(device for device in devices if device.name == name)
            return stack.enter_context(connect(device))

        together = (
            sample_together(cluster, connections, apart, opened, tell=at_once, transport=transport, secure=secure) if len(apart) > 1 else ()
        )
    return Survey(began, idle.ways, (*idle.samples, *busy.samples, *together), transport, secure, bare)


def _bare(
    cluster: Cluster, connections: Mapping[str, Connection], ends: Direction, tell: Tell, transport: Transport, secure: bool
) -> tuple[Sample, ...]:
    """Samples of a shaped link of which only the delay is emulated."""
    links = tuple(Link(*each, shaped=True, described=BARE) for each in (ends, ends[::-1]))
    only = replace(cluster, links=links)
    tell("what transport and emulation take of shaped links")
    return sample_links(only, connections, [ends], BARE_SIZES, transport=transport, secure=secure).samples


def _shaped(cluster: Cluster, ends: Direction) -> bool:
    """Whether edgekit makes a link as it is described."""
    link = cluster.link(*ends)
    return link is not None and link.shaped


def _fixed(cluster: Cluster, ends: Direction) -> bool:
    """Whether a link is to stay as it is described."""
    link = cluster.link(*ends)
    return link is not None and link.fixed


def _phases(cluster: Cluster, pairs: Sequence[Direction], thorough: bool, loaded: bool) -> list[int]:
    """About how long links take at rest, while both ends compute, and several at once."""
    links = [pair for pair in pairs if cluster.link(*pair) is not None or not cluster.links]
    apart = [link for link in links if _real(cluster, link)]
    return [1 + 2 * len(links), len(links) if loaded else 0, len(apart) if thorough else 0]


def _real(cluster: Cluster, ends: Direction) -> bool:
    """Whether a link leaves its machine, as it is."""
    link = cluster.link(*ends)
    here = [scheme_of(cluster.device(name)).here for name in ends if name != cluster.client]
    return link is not None and not link.shaped and not all(here)


@contextmanager
def _computing(cluster: Cluster, graph: Graph, model: Model) -> Iterator[None]:
    """Keep every device busy with the whole network."""
    over = threading.Event()

    def compute(connection: Connection) -> None:
        segment, variant = graph.segment(0, len(graph.units)), connection.device.variant.on(graph.precision)
        digest = upload(build(model, graph, 0, len(graph.units), variant), connection)
        data = data_for(model, graph, segment, connection)
        request = request_for(graph, segment, digest, connection, variant, COMPUTING_S, data=data)
        while not over.is_set():
            try:
                connection.measure(request)
            except EdgekitError:  # closed, in the end
                return

    with ExitStack() as stack:
        for connection in connect_all(cluster.devices, stack).values():
            threading.Thread(target=compute, args=(connection,), name=f"load {connection.device.name}", daemon=True).start()
        try:
            yield
        finally:
            over.set()
