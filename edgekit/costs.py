"""Cost tables from plain numbers: a graph, a cluster and profiles without a model and without a machine.

{
  "format": "edgekit.costs", "version": 1, "name": "toy", "input_bytes": 1000,
  "units": [{"name": "a", "output_bytes": 500}, {"name": "b", "reads": ["a"], "output_bytes": 40}],
  "devices": [{"name": "pi", "count": 2, "seconds": [0.2, 0.3], "memory_bytes": 300000000}],
  "links": [{"source": "*", "receiver": "*", "latency_s": 0.001, "bytes_per_s": 1e7}]
}
"""

from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edgekit.cluster import ANY, Cluster, Link
from edgekit.conditions import Conditions
from edgekit.device import Device, Variant
from edgekit.energy import Energy
from edgekit.errors import FormatError
from edgekit.graph import Graph, Node, Tensor, Unit
from edgekit.profile import Kernel, Profile, SegmentTime
from edgekit.profiles import Profiles
from edgekit.quantity import Badge, Bytes, Count, Name, Seconds

__all__ = ["Costs", "DeviceCost", "SegmentCost", "UnitCost", "nouns"]

INPUT = "input"


class UnitCost(Struct, frozen=True, forbid_unknown_fields=True):
    """The smallest thing that is moved.

    Attributes:
        reads: units whose outputs it takes; None: the one before it, and the first the input.
        output_bytes: of its output, sent once to each stage that reads it.
        resident_bytes: what a stage with it holds in memory on its account.
    """

    name: Name
    output_bytes: Bytes
    reads: tuple[Name, ...] | None = None
    resident_bytes: Bytes = 0


class SegmentCost(Struct, frozen=True, forbid_unknown_fields=True):
    """Units ``[start, stop)`` as one stage, where it is not the sum of them."""

    start: Count
    stop: Count
    seconds: Seconds
    memory_bytes: Bytes | None = None


class DeviceCost(Struct, frozen=True, forbid_unknown_fields=True):
    """A device, or ``count`` of them that are alike, called NAME-1, NAME-2, ….

    Attributes:
        seconds: of each unit.
        memory_bytes: cap; None: not capped.
        base_bytes: what a stage takes whatever is in it.
        joules: net, of a frame that it runs whole; idle_w: watts at rest.
    """

    name: Name
    seconds: tuple[Seconds, ...]
    count: Annotated[int, Meta(ge=1)] = 1
    segments: tuple[SegmentCost, ...] = ()
    memory_bytes: Bytes | None = None
    base_bytes: Bytes = 0
    host: Name | None = None
    joules: Annotated[float, Meta(ge=0)] | None = None
    idle_w: Annotated[float, Meta(ge=0)] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,) if self.count == 1 else tuple(f"{self.name}-{i + 1}" for i in range(self.count))


class Costs(Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.costs"):
    """A network on a cluster in numbers.

    Attributes:
        results: units whose outputs go back to the client; empty: the last.
        links: by the names of devices, or of all that are alike; without any every pair is linked at no cost.
        badge: what the seconds are worth.
    """

    units: Annotated[tuple[UnitCost, ...], Meta(min_length=1)]
    devices: Annotated[tuple[DeviceCost, ...], Meta(min_length=1)]
    links: tuple[Link, ...] = (Link(ANY, ANY, 0.0, 1e30),)
    input_bytes: Bytes = 0
    results: tuple[Name, ...] = ()
    name: Name = "costs"
    client: Name = "client"
    badge: Badge = "estimated"
    version: int = 1


def nouns(costs: Costs) -> tuple[Graph, Cluster, Profiles]:
    """The nouns that stand for these numbers.

    Raises:
        FormatError: numbers are missing, or units read what comes after them.
    """
    graph = _graph(costs)
    devices = tuple(Device(name, "sim:", host=each.host, memory_bytes=each.memory_bytes) for each in costs.devices for name in each.names)
    cluster = Cluster(devices, tuple(_links(costs)), costs.client, costs.name)
    profiles = Profiles(tuple(_profile(costs, graph, each, name) for each in costs.devices for name in each.names))
    return graph, cluster, profiles


def _graph(costs: Costs) -> Graph:
    known = {INPUT}
    nodes, before = [], INPUT
    for unit in costs.units:
        reads = (before,) if unit.reads is None else unit.reads or (INPUT,)
        if unit.name in known or set(reads) - known:
            raise FormatError(f"{costs.name}: unit {unit.name} is named twice, or reads one that does not come before it; put it in order")
        known.add(unit.name)
        nodes.append(Node(unit.name, "Unit", reads, (unit.name,)))
        before = unit.name
    results = costs.results or (before,)
    if set(results) - known:
        raise FormatError(f"{costs.name}: results {', '.join(results)}: expected names of units; correct them")
    tensors = (Tensor(INPUT, (costs.input_bytes,), "uint8"), *(Tensor(unit.name, (unit.output_bytes,), "uint8") for unit in costs.units))
    spans = tuple(Unit(i, i + 1) for i in range(len(nodes)))
    digest = sha256(msgspec.json.encode((costs.units, costs.input_bytes, results))).hexdigest()
    return Graph(costs.name, digest, tuple(nodes), spans, tensors, (), (INPUT,), tuple(results))


def _links(costs: Costs) -> list[Link]:
    names = {each.name: each.names for each in costs.devices}
    return [
        msgspec.structs.replace(link, source=source, receiver=receiver)
        for link in costs.links
        for source in names.get(link.source, (link.source,))
        for receiver in names.get(link.receiver, (link.receiver,))
        if source != receiver or source == ANY
    ]


def _profile(costs: Costs, graph: Graph, device: DeviceCost, name: str) -> Profile:
    count = len(costs.units)
    if len(device.seconds) != count:
        raise FormatError(f"{costs.name}: {device.name} has seconds of {len(device.seconds)} units, there are {count}; give one for each")
    whole = SegmentCost(0, count, sum(device.seconds))
    given = {(each.start, each.stop): each for each in (whole, *device.segments)}
    watts = device.idle_w if device.idle_w is not None or device.joules is None else 0.0
    metered = device.joules is not None
    return Profile(
        graph.digest,
        name,
        count,
        Variant(),
        Conditions("described", "described", (), 0, False, 1.0),
        tuple(Kernel(unit.name, "Unit", seconds, (i,)) for i, (unit, seconds) in enumerate(zip(costs.units, device.seconds, strict=True))),
        tuple(SegmentTime(each.start, each.stop, *(each.seconds,) * 3, 0.0, 1, each.memory_bytes) for each in given.values()),
        base_bytes=device.base_bytes,
        badge=costs.badge,
        energy=Energy(coverage=1.0, net_j=device.joules, idle_w=watts, inferences=1) if metered else None,
        resident_bytes=tuple(unit.resident_bytes for unit in costs.units),
    )
