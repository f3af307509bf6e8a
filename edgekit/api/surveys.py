"""Surveys: what there is to know of the links of a cluster, and a ``cluster.toml`` that knows it."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import permutations
from pathlib import Path

from devices import Connection, connect
from edgekit.cluster import Cluster, Link
from edgekit.deploy.opening import connect_all
from edgekit.deploy.transports import require_transport
from edgekit.device import Device
from edgekit.errors import EdgekitError, UsageError
from edgekit.files import write_bytes
from edgekit.graph import Graph
from edgekit.onnxio import Model, cut
from edgekit.runtime.verbs import Transport
from edgekit.survey import Survey
from profilers.links import LEAST_BYTES, SIZES, cut_sizes, with_links
from profilers.segments import request_for
from profilers.sharing import Direction
from profilers.surveying import Links, sample_links, sample_together

__all__ = ["survey", "take_survey", "update_links"]

Tell = Callable[[str], None]

COMPUTING_SIZES = (LEAST_BYTES, 16_000, 256_000, 1_000_000)
COMPUTING_S = 1.0

BEGIN = "# links as edgekit survey measured them"
END = "# end of what edgekit survey measured"
_OURS = re.compile(rf"\n*{BEGIN}.*?{END}\n", re.DOTALL)


def survey(cluster: Cluster, graph: Graph, tell: Tell = lambda text: None, transport: Transport = "socket") -> Cluster:
    """The cluster with its links measured at rest, at the sizes that this graph's cuts will send, over what will carry them.

    Among ``sim:`` devices there is nothing to measure: their links stay as described.

    Raises:
        UsageError: sim: devices among real ones.
        DeviceError: a device cannot be asked, or somebody else holds it.
    """
    return with_links(cluster, take_survey(cluster, graph, thorough=False, tell=tell, transport=transport))


def take_survey(
    cluster: Cluster,
    graph: Graph | None = None,
    model: Model | None = None,
    thorough: bool = True,
    tell: Tell = lambda text: None,
    transport: Transport = "socket",
    secure: bool = True,
) -> Survey:
    """Samples of every link in both directions; ``thorough``: also several at once and, with a model, while both ends compute it.

    ``transport`` carries them, encrypted where they are to be ``secure``, as a pipeline would have it.

    Raises:
        UsageError: sim: devices among real ones, or the transport does not suit them.
        DeviceError: a device cannot be asked, or somebody else holds it.
    """
    began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    simulated = [device.name for device in cluster.devices if device.scheme == "sim"]
    if len(simulated) == len(cluster.devices):
        return Survey(began)
    if simulated:
        raise UsageError(f"{', '.join(simulated)} are sim: devices among real ones, and links to them cannot be measured; leave them out")
    pairs = list(permutations((*(device.name for device in cluster.devices), cluster.client), 2))
    cuts = cut_sizes(graph) if graph is not None else ()
    sizes = tuple(sorted({*SIZES, *cuts})) if thorough or graph is None else cuts
    devices = (*cluster.devices, Device(cluster.client))
    with ExitStack() as stack:
        connections = connect_all(devices, stack, purpose="a survey")
        require_transport(transport, connections, cluster, secure)
        idle = sample_links(cluster, connections, pairs, sizes, tell, transport=transport, secure=secure)
        reached = [(way.source, way.receiver) for way in idle.ways if way.reason is None]
        busy = Links((), ())
        if thorough and graph is not None and model is not None:
            with _computing(cluster, graph, model):
                busy = sample_links(cluster, connections, reached, COMPUTING_SIZES, tell, "computing", transport, secure)
        apart = [link for link in reached if _real(cluster, link)] if thorough else []

        def opened(name: str) -> Connection:
            device = next(device for device in devices if device.name == name)
            return stack.enter_context(connect(device))

        together = sample_together(cluster, connections, apart, opened, tell, transport, secure) if len(apart) > 1 else ()
    return Survey(began, idle.ways, (*idle.samples, *busy.samples, *together), transport, secure)


def _real(cluster: Cluster, ends: Direction) -> bool:
    """Whether a link leaves its machine, as it is."""
    link = cluster.link(*ends)
    schemes = [cluster.device(name).scheme for name in ends if name != cluster.client]
    return link is not None and not link.shaped and any(scheme != "local" for scheme in schemes)


@contextmanager
def _computing(cluster: Cluster, graph: Graph, model: Model) -> Iterator[None]:
    """Keep every device busy with the whole network."""
    over = threading.Event()
    whole = cut(model, graph, 0, len(graph.units))

    def compute(connection: Connection) -> None:
        segment = graph.segment(0, len(graph.units))
        request = request_for(graph, segment, connection.put(whole), connection, connection.device.variant, COMPUTING_S)
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


def update_links(path: Path, cluster: Cluster) -> None:
    """Write the measured links of a cluster into its ``cluster.toml``, where they go before those that stand for others.

    What stood there of the same links is commented out; what an earlier survey wrote is replaced. The rest stays.

    Raises:
        UsageError: the file is no cluster.toml.
    """
    if path.suffix != ".toml":
        raise UsageError(f"{path} is no .toml file; say where to write the cluster with measured links: -o FILE.json")
    measured = [link for link in cluster.links if link.badge == "measured"]
    text = _OURS.sub("\n", path.read_text())
    ends = {(link.source, link.receiver) for link in measured}
    kept = [_without(table, ends, {(link.source, link.receiver) for link in cluster.links}) for table in _tables(text)]
    body = "\n\n".join(_table(link) for link in measured)
    write_bytes(path, f"{''.join(kept).rstrip()}\n\n{BEGIN}, {time.strftime('%Y-%m-%d')}\n\n{body}\n\n{END}\n".encode())


def _tables(text: str) -> list[str]:
    """The file, apart where a table begins."""
    return re.split(r"(?m)^(?=\s*\[)", text)


def _without(table: str, measured: set[Direction], known: set[Direction]) -> str:
    """A table as it is, or as a comment where it is of a link that was measured or that is there no more."""
    found = [re.search(rf"""(?m)^\s*{key}\s*=\s*["'](.*?)["']""", table) for key in ("source", "receiver")]
    if not re.match(r"\s*\[\[\s*links\s*\]\]", table) or None in found:
        return table
    ends = tuple(match[1] for match in found if match)
    if ends in known and ends not in measured:
        return table
    return "".join(f"# {line}" if line.strip() and not line.lstrip().startswith("#") else line for line in table.splitlines(keepends=True))


def _table(link: Link) -> str:
    lines = [
        "[[links]]",
        f"source = {_text(link.source)}",
        f"receiver = {_text(link.receiver)}",
        f"latency_s = {link.latency_s!r}",
        f"bytes_per_s = {link.bytes_per_s!r}",
        f"send_s_per_byte = {link.send_s_per_byte!r}",
        f"receive_s_per_byte = {link.receive_s_per_byte!r}",
        f"send_s_per_message = {link.send_s_per_message!r}",
        f"receive_s_per_message = {link.receive_s_per_message!r}",
        f"media = [{', '.join(map(_text, link.media))}]",
        'badge = "measured"',
    ]
    points = ", ".join(
        f"{{ nbytes = {p.nbytes}, p10_s = {p.p10_s!r}, p50_s = {p.p50_s!r}, p90_s = {p.p90_s!r}, samples = {p.samples} }}"
        for p in link.points
    )
    lines.append(f"points = [{points}]")
    if link.relay:
        lines.append("relay = true")
    if link.shaped:
        lines.append("shaped = true")
    if link.described is not None:
        rate = f", bytes_per_s = {link.described.bytes_per_s!r}" if link.described.bytes_per_s is not None else ""
        lines.append(f"described = {{ latency_s = {link.described.latency_s!r}{rate} }}")
    if link.computing is not None:
        lines.append(f"computing = {{ latency_s = {link.computing.latency_s!r}, bytes_per_s = {link.computing.bytes_per_s!r} }}")
    return "\n".join(lines)


def _text(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text)
