"""Surveys the links of a cluster through the transport of the pipeline: at rest, while both ends compute, and several at once."""

import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from devices.authority import ECHO, Keys, of_probes
from devices.connection import Connection, Probe, Probed, Transport
from devices.door import door
from devices.relay import Relay, open_relays
from devices.shaper import Route, open_routes
from edgekit.cluster import Cluster, Shape
from edgekit.errors import DeviceError
from edgekit.machine import Interface
from edgekit.progress import Tell, silent
from edgekit.survey import Condition, Sample, Way
from profilers.links.shared_media import Direction, trials

__all__ = ["Links", "sample_links", "sample_together"]

MOST_BYTES = 2**24
GROWTH = 32
SAMPLES = 15
ENOUGH_S = 0.25

TOGETHER_S = 1.0
"""Time for which links carry messages at once."""

TOGETHER_BYTES = (16_000, 256_000)
WINDOW = 3
"""Frames in flight then: answers that wait for what goes their way must not count as a slow link."""

LONG_S = 0.05
"""Links are tried together with the larger of those sizes where it takes less than this."""

QUEUED_BYTES = (1, 256, 1024, 4096, 16_384)
QUEUED, QUEUED_S, QUEUE = 200, 0.25, 8
"""Messages of each of those sizes, and the time for them, with as many in flight as a full pipeline has: those that wait for each other
are handed over together, and cost the processors a fraction of what a single one does."""

SPARSE_S = 0.02
"""Time between answers from which on larger messages are no more than single ones."""

PARTS = 4, 1
"""A quarter of the largest message, and all of it: what a message takes besides its bytes is the same for both."""

STREAMED, STREAMED_S, MOST_STREAMED_S = 200, 0.3, 15.0
"""Messages of each size, and the time for them: more where FEW_STREAMED single ones take longer, but within bounds."""

FEW_STREAMED = 9

VISIBLE = 2.0
"""How many times longer than the smallest message the largest has to take for its rate to be told from noise."""

APART = re.compile(r"cannot be reached at")
STARVED = re.compile(r"cannot be reached at|did not answer the greeting|went away")

Open = Callable[[str], Connection]


class Links(NamedTuple):
    """What was found of some links."""

    ways: tuple[Way, ...]
    samples: tuple[Sample, ...]


class _Lane(NamedTuple):
    """One direction between two names, from a connection that sends (or that pulls, for the client is never dialled) to an echo."""

    source: str
    receiver: str
    dialler: Connection
    route: Route
    shaped: bool
    pull: bool
    relay: Relay | None
    keys: Keys | None
    transport: Transport

    def probe(self, sizes: tuple[int, ...], samples: int, budget_s: float = 0.4, enough_s: float | None = None, window: int = 1) -> Probed:
        with open_routes([self.route] if self.shaped else []) as shaped, open_relays([self.relay] if self.relay else []) as relayed:
            host, port = (*shaped, *relayed, (self.route.host, self.route.port))[0]
            request = Probe(
                listen=None,
                host=host,
                port=port,
                sizes=sizes,
                pull=self.pull,
                samples=samples,
                budget_s=budget_s,
                enough_s=enough_s,
                window=window,
                keys=self.keys,
                transport=self.transport,
            )
            return self.dialler.probe(request)


def sample_links(
    cluster: Cluster,
    connections: Mapping[str, Connection],
    pairs: Iterable[Direction],
    sizes: tuple[int, ...],
    *,
    tell: Tell = silent,
    condition: Condition = "idle",
    transport: Transport = "socket",
    secure: bool = True,
) -> Links:
    """Samples of the links of ``pairs``, one after the other. ``connections`` holds one for every name, the client too."""
    ways, samples, interfaces = [], list[Sample](), dict[str, tuple[Interface, ...]]()
    there = [pair for pair in pairs if cluster.link(*pair) is not None or not cluster.links]
    for done, (source, receiver) in enumerate(there):
        tell(f"link {done + 1} of {len(there)}: {source} → {receiver}", done, len(there))
        try:
            lane = _lay(cluster, source, receiver, connections, transport, secure)
            sizes_, probed = _patiently(lane, sizes)
        except DeviceError as error:
            if not APART.search(str(error)):
                raise
            ways.append(Way(source, receiver, str(error)))
            continue
        samples += _samples(lane, condition, sizes_, probed)
        if condition == "idle":
            queued = lane.probe(QUEUED_BYTES, QUEUED, QUEUED_S, SPARSE_S, QUEUE)
            samples += _samples(lane, "queued", QUEUED_BYTES[: len(queued.round_trips_s)], queued)
            samples += _streamed(lane, sizes_[-1], float(np.median(probed.round_trips_s[-1])))
        for name in {source, receiver} - interfaces.keys():
            interfaces[name] = connections[name].facts().machine.interfaces
        ways.append(_way(lane, probed, interfaces))
    return Links(tuple(ways), tuple(samples))


def sample_together(
    cluster: Cluster,
    connections: Mapping[str, Connection],
    links: Collection[Direction],
    opened: Open,
    *,
    tell: Tell = silent,
    transport: Transport = "socket",
    secure: bool = True,
) -> tuple[Sample, ...]:
    """Samples of links that carry messages at once, each sent over a connection of its own, which ``opened`` opens for a name.

    If all of them at once are no slower than each alone, nothing is shared and nothing more is tried.
    """
    lanes, groups = {}, trials(links)
    whole = len(links) + len(groups)
    for link in sorted(links):
        dialler = link[1] if link[1] == cluster.client else link[0]
        tell(f"opening a lane from {link[0]} to {link[1]}", 0, whole)
        lanes[link] = _lay(cluster, *link, {**connections, dialler: opened(dialler)}, transport, secure)
    found: list[Sample] = []
    nbytes = {}
    for done, (link, lane) in enumerate(lanes.items()):
        tell(f"link {done + 1} of {len(links)} alone: {link[0]} → {link[1]}", done, whole)
        small, large = TOGETHER_BYTES
        trip_s = float(np.median(lane.probe((large,), 3, 0.0).round_trips_s[0]))
        nbytes[link] = large if trip_s < LONG_S else small
        found += _at_once({link: lane}, nbytes)
    for done, group in enumerate(groups):
        names = " and ".join(f"{source} → {receiver}" for source, receiver in group)
        at_once = names if len(group) < 4 else f"{len(group)} links"
        tell(f"group {done + 1} of {len(groups)} at once: {at_once}", len(links) + done, whole)
        found += _at_once({link: lanes[link] for link in group}, nbytes)
        if len(group) == len(lanes) and not _slowed(found, group):
            break
    return tuple(found)


def _slowed(samples: list[Sample], group: tuple[Direction, ...]) -> bool:
    """Whether any link of a group is clearly slower in it than alone."""
    alone = {(s.source, s.receiver): np.mean(s.round_trips_s) for s in samples if len(s.with_links) == 1}
    there = [s for s in samples if s.with_links == group]
    return len(there) < len(group) or any(np.mean(s.round_trips_s) > 1.25 * alone[s.source, s.receiver] for s in there)


def _at_once(lanes: Mapping[Direction, _Lane], nbytes: Mapping[Direction, int]) -> list[Sample]:
    """Samples of each lane while all of them send; one that the others starve, so that it cannot even begin, has none."""
    probed: dict[Direction, Probed] = {}
    errors: list[Exception] = []
    begin = threading.Barrier(len(lanes))

    def go(link: Direction, lane: _Lane) -> None:
        try:
            begin.wait()
            probed[link] = lane.probe((nbytes[link],), 100_000, TOGETHER_S, window=WINDOW)
        except Exception as error:  # raised again below
            if len(lanes) == 1 or not STARVED.search(str(error)):
                errors.append(error)

    threads = [threading.Thread(target=go, args=each, name="lane") for each in lanes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    group = tuple(lanes)
    return [
        msgspec.structs.replace(sample, with_links=group)
        for link, lane in lanes.items()
        if link in probed
        for sample in _samples(lane, "together", (nbytes[link],), probed[link])
    ]


def _lay(cluster: Cluster, source: str, receiver: str, connections: Mapping[str, Connection], transport: Transport, secure: bool) -> _Lane:
    """The client dials in both directions, as it does in the pipeline: it may be where nobody can dial it."""
    pull = receiver == cluster.client
    near, far = (receiver, source) if pull else (source, receiver)
    link, other = cluster.link(source, receiver), cluster.link(receiver, source)
    relayed = link is not None and link.relay
    listen = cluster.device(far).listen or door(connections[far], () if relayed else (connections[near],))
    authority = of_probes() if secure else None
    echo = connections[far].probe(Probe(listen=listen, keys=authority.issue(ECHO) if authority else None, transport=transport))
    there, back = link.shape if link else Shape(), other.shape if other else Shape()
    route = Route(echo.host, echo.port, *((back, there) if pull else (there, back)))
    relay = Relay(connections[near], connections[far], echo.host, echo.port) if relayed else None
    shaped, keys = link is not None and link.shaped, authority.issue("dialler") if authority else None
    return _Lane(source, receiver, connections[near], route, shaped, pull, relay, keys, transport)


def _patiently(lane: _Lane, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], Probed]:
    """A connection that is lost in the middle of it is no reason to give up on a link; a second one is."""
    try:
        return _probe(lane, sizes)
    except DeviceError as error:
        if APART.search(str(error)) or not STARVED.search(str(error)):
            raise
        return _probe(lane, sizes)


def _probe(lane: _Lane, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], Probed]:
    """Round trips for each size, and for larger ones as long as the link is too fast for its rate to show."""
    probed = lane.probe(sizes, SAMPLES, enough_s=ENOUGH_S)
    sizes = sizes[: len(probed.round_trips_s)]
    while not _visible(probed) and sizes[-1] < MOST_BYTES:
        larger = sizes[-1] * GROWTH
        more = lane.probe((larger,), SAMPLES)
        sizes = (*sizes, larger)
        probed = msgspec.structs.replace(
            probed,
            round_trips_s=(*probed.round_trips_s, *more.round_trips_s),
            send_cpu_s=(*probed.send_cpu_s, *more.send_cpu_s),
            receive_cpu_s=(*probed.receive_cpu_s, *more.receive_cpu_s),
            retransmits=(*probed.retransmits, *more.retransmits),
        )
    return sizes, probed


def _streamed(lane: _Lane, largest: int, alone_s: float) -> list[Sample]:
    """Large messages in a row, of which a single one takes so long: its time tells also of buffers on the way, and of both ends."""
    sizes = tuple(max(largest // part, 1) for part in PARTS)
    budget_s = min(max(FEW_STREAMED * alone_s, STREAMED_S), MOST_STREAMED_S)
    return _samples(lane, "streamed", sizes, lane.probe(sizes, STREAMED, budget_s, window=WINDOW))


def _visible(probed: Probed) -> bool:
    """Whether even the quick ones of the largest messages take clearly longer than the smallest usually do."""
    return float(np.percentile(probed.round_trips_s[-1], 10)) > VISIBLE * float(np.median(probed.round_trips_s[0]))


def _samples(lane: _Lane, condition: Condition, sizes: tuple[int, ...], probed: Probed) -> list[Sample]:
    retransmits = probed.retransmits or (None,) * len(sizes)
    each = zip(sizes, probed.round_trips_s, probed.send_cpu_s, probed.receive_cpu_s, retransmits, strict=True)
    return [Sample(lane.source, lane.receiver, condition, *values) for values in each]


def _way(lane: _Lane, probed: Probed, interfaces: Mapping[str, tuple[Interface, ...]]) -> Way:
    near, far = (probed.host, lane.route.host) if not lane.pull else (lane.route.host, probed.host)
    ends = [_interface(interfaces[name], address) for name, address in ((lane.source, near), (lane.receiver, far))]
    return Way(
        lane.source,
        lane.receiver,
        None,
        ends[0].name if ends[0] else None,
        ends[1].name if ends[1] else None,
        any(end.wireless for end in ends if end),
        any(bool(end.power_save) for end in ends if end),
    )


def _interface(interfaces: tuple[Interface, ...], address: str) -> Interface | None:
    return next((each for each in interfaces if address in [text.partition("/")[0] for text in each.addresses]), None)
