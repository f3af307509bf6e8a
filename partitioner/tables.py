"""What a chain solver looks up: time and memory of every segment on every device, bytes at every cut, every pair's link."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.cluster import Cluster
from edgekit.graph import Graph
from edgekit.profile import Profile
from partitioner.cost import QUEUE_SLOTS
from partitioner.memory import Footprints

__all__ = ["Floats", "Tables", "cap", "tabulate"]

Floats = NDArray[np.float64]


class Tables(NamedTuple):
    """One instance in numbers: P positions (both ends included), K devices in order, the client as number K.

    Attributes:
        positions: unit indices where a stage may begin or end.
        compute_s, memory_bytes: [K, P, P], of the segment between two positions; memory with its message buffers.
        cut_bytes: [P], of all that crosses a position.
        message_s, link_load_s: [P, K + 1, K + 1], what crosses a position, by source and receiver: seconds until it has
            arrived (infinite where there is no link, 0 where nothing crosses), and for which it occupies the link.
        send_s_per_byte, receive_s_per_byte: [K + 1, K + 1], processor seconds at either end.
        shared_s_per_byte: [R, K + 1, K + 1], what a byte from source to receiver loads on each resource that
            several links share: media, and the client's processor.
        hosts: the machine of each device.
        caps: [K], memory cap of each device's machine; infinite where there is none.
    """

    positions: tuple[int, ...]
    names: tuple[str, ...]
    compute_s: Floats
    memory_bytes: Floats
    cut_bytes: Floats
    message_s: Floats
    link_load_s: Floats
    send_s_per_byte: Floats
    receive_s_per_byte: Floats
    shared_s_per_byte: Floats
    hosts: tuple[str, ...]
    caps: Floats


def tabulate(graph: Graph, cluster: Cluster, profiles: Mapping[str, Profile], order: Sequence[str], footprints: Footprints) -> Tables:
    """Fill the tables for devices in ``order``, each of which has a profile, with the footprints of the graph."""
    positions = (0, *graph.candidates, len(graph.units))
    cut_bytes = np.array([graph.cuts[p].nbytes for p in positions], np.float64)
    buffers = QUEUE_SLOTS * (cut_bytes[:, None] + cut_bytes[None, :])
    grid = np.ix_(positions, positions)
    devices = [cluster.device(name) for name in order]
    return Tables(
        positions,
        tuple(order),
        np.array([_compute_table(profiles[name], positions) for name in order]),
        np.array([footprints.table(profiles[name])[grid] + buffers for name in order]),
        cut_bytes,
        *_message_tables(cluster, (*order, cluster.client), cut_bytes, np.array([bool(graph.cuts[p].tensors) for p in positions])),
        tuple(device.machine for device in devices),
        np.array([cap(cluster, device.machine) for device in devices]),
    )


def cap(cluster: Cluster, host: str) -> float:
    """Bytes that may be used on a host: the smallest cap among its devices, infinite where none is capped."""
    caps = (device.memory_bytes for device in cluster.devices if device.machine == host)
    return min((float(nbytes) for nbytes in caps if nbytes is not None), default=np.inf)


def _compute_table(profile: Profile, positions: tuple[int, ...]) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(profile.unit_s)])[list(positions)]
    table: Floats = sums[None, :] - sums[:, None]
    rank = {position: row for row, position in enumerate(positions)}
    for segment in profile.segments:
        if segment.start in rank and segment.stop in rank:
            table[rank[segment.start], rank[segment.stop]] = segment.p50_s
    return table


def _message_tables(
    cluster: Cluster, names: tuple[str, ...], cut_bytes: Floats, crossed: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    size, client = len(names), len(names) - 1
    message = np.tile(np.where(crossed, np.inf, 0.0)[:, None, None], (1, size, size))
    load = np.zeros_like(message)
    send, receive = np.zeros((size, size)), np.zeros((size, size))
    media: dict[str, Floats] = {}
    for a, b in ((a, b) for a in range(size) for b in range(size) if a < b or (a == client and b != client)):
        link = cluster.link(names[a], names[b])
        if link is None:
            continue
        load[:, a, b] = cut_bytes / link.bytes_per_s
        message[:, a, b] = np.where(crossed, [link.transfer_s(int(nbytes)) for nbytes in cut_bytes], 0.0)
        send[a, b], receive[a, b] = link.send_s_per_byte, link.receive_s_per_byte
        for medium in link.media:
            media.setdefault(medium, np.zeros((size, size)))[a, b] = 1 / link.bytes_per_s
    processor = np.zeros((size, size))
    processor[client, :], processor[:, client] = send[client, :], receive[:, client]
    shared = [table for table in media.values() if np.count_nonzero(table) > 1]  # a medium of one link is that link
    shared += [processor] if processor.any() else []
    return message, load, send, receive, np.array(shared).reshape(-1, size, size)
