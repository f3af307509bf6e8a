"""From nouns to numbers: the tables of a graph on the devices of a cluster, with everything that is forbidden infinitely slow."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.cluster import Cluster, Link
from edgekit.constraints import UNCONSTRAINED, Constraints
from edgekit.device import Variant
from edgekit.profile import Profiles, variants
from partitioner.cost import QUEUE_SLOTS, idle_w, meeting
from partitioner.kinds import Kinds
from partitioner.places import Places
from partitioner.tables import Channel, Executor, Floats, Tables, closure

__all__ = ["cap", "tabulate"]


class _Pairs(NamedTuple):
    """Links between kinds [K + 1, K + 1], the client last: what a message takes [P, …], and what a byte does."""

    message_s: Floats
    link_load_s: Floats
    send: Floats
    receive: Floats
    shared: Floats


def tabulate(
    places: Places,
    cluster: Cluster,
    profiles: Profiles,
    kinds: Kinds,
    constraints: Constraints = UNCONSTRAINED,
    ordered: bool = True,
    replicas: int = 1,
) -> Tables:
    """Fill the tables for devices of these kinds, each of which has a profile.

    Args:
        kinds: in the order of the pipeline where ``ordered``, each then of one device.
        replicas: how many devices may take frames in turn in one stage.
    """
    hosts = tuple(dict.fromkeys(cluster.device(kind[0]).machine for kind in kinds))
    host_of = tuple(hosts.index(cluster.device(kind[0]).machine) for kind in kinds)
    allowed = [_allowed(constraints, kind, places) for kind in kinds]
    single = [_singles(profiles, kind[0], places) for kind in kinds]
    sizes = [len(kind) for kind in kinds]
    chosen = list(_teams(sizes, single, replicas))
    executors = tuple(_executor(devices, variant, single, allowed, host_of, sizes, ordered) for devices, variant in chosen)
    pairs = _pairs(cluster, kinds, places, constraints)
    crew = [who.devices for who in executors]
    follows = _follows(crew, sizes, ordered, [kind[0] in constraints.required for kind in kinds])
    longest = sum(sizes)
    limits = {limit.objective: limit.most for limit in constraints.limits}
    if constraints.interval_s is not None:
        limits["period"] = min(limits.get("period", np.inf), constraints.interval_s)
    message_s, link_load_s, send, receive, shared = _between(crew, pairs, len(kinds))
    none = np.zeros((len(places.names), len(executors) + 1))
    return Tables(
        positions=places.names,
        names=tuple(kind[0] for kind in kinds),
        executors=executors,
        channels=(Channel("raw", places.cut_bytes, message_s, link_load_s, none, none, none[:, 0]),),
        send_s_per_byte=send,
        receive_s_per_byte=receive,
        shared_s_per_byte=shared,
        follows=follows,
        reach=closure(follows),
        runs=_runs(crew, send.shape[2]),
        hosts=hosts,
        caps=np.array([cap(cluster, host) for host in hosts]),
        idle_w=np.array([idle_w(host, cluster, profiles) or 0.0 for host in hosts]),
        host_of=host_of,
        floors=np.zeros(len(hosts)),
        available=np.array([] if ordered else sizes, np.intp),
        required=np.array([] if ordered else [int(kind[0] in constraints.required) for kind in kinds], np.intp),
        limits=limits,
        most_stages=min(longest, longest if constraints.most_stages is None else constraints.most_stages),
        longest=longest,
        interval_s=constraints.interval_s,
    )


def cap(cluster: Cluster, host: str) -> float:
    """Bytes that may be used on a host: the smallest cap among its devices, infinite where none is capped."""
    caps = (device.memory_bytes for device in cluster.devices if device.machine == host)
    return min((float(nbytes) for nbytes in caps if nbytes is not None), default=np.inf)


class _Single(NamedTuple):
    """A device in one variant: seconds, bytes and net joules of every segment [P, P]."""

    seconds: Floats
    nbytes: Floats
    joules: Floats | None


def _singles(profiles: Profiles, name: str, places: Places) -> dict[Variant, _Single]:
    buffers = QUEUE_SLOTS * (places.cut_bytes[:, None] + places.cut_bytes[None, :])
    found = {}
    for profile in variants(profiles, name):
        seconds = places.seconds(profile)
        whole_j = profile.active_j(0, profile.unit_count)
        joules = None if whole_j is None else whole_j * np.where(np.isfinite(seconds), seconds, 0.0) / (profile.whole.p50_s or 1.0)
        found[profile.variant] = _Single(seconds, places.nbytes(profile) + buffers, joules)
    return found


def _teams(sizes: Sequence[int], single: Sequence[dict[Variant, _Single]], replicas: int) -> Iterator[tuple[tuple[int, ...], Variant]]:
    """Who may run a stage: one device in any of its variants, or up to ``replicas`` in one that they share."""
    members = [kind for kind, size in enumerate(sizes) for _ in range(size)]
    for count in range(1, min(replicas, len(members)) + 1):
        for devices in dict.fromkeys(combinations(members, count)):
            for variant in single[devices[0]]:
                if all(variant in single[device] for device in devices):
                    yield devices, variant


def _executor(
    devices: tuple[int, ...],
    variant: Variant,
    single: Sequence[dict[Variant, _Single]],
    allowed: Sequence[NDArray[np.bool_]],
    host_of: Sequence[int],
    sizes: Sequence[int],
    ordered: bool,
) -> Executor:
    tables = [single[device][variant] for device in devices]
    share = 1 / len(devices)
    latency = np.maximum.reduce([each.seconds for each in tables])
    possible = np.logical_and.reduce([allowed[device] for device in devices])
    hosts: list[int] = []
    nbytes: list[Floats] = []
    for device, each in zip(devices, tables, strict=True):
        host = host_of[device]
        if sizes[device] == 1 and host in hosts:  # devices that can be exchanged have machines of their own
            nbytes[hosts.index(host)] = nbytes[hosts.index(host)] + each.nbytes
        else:
            hosts.append(host)
            nbytes.append(each.nbytes)
    joules = [each.joules for each in tables if each.joules is not None]
    active = np.sum(joules, axis=0) * share if len(joules) == len(tables) else None
    needs = np.array([] if ordered else [devices.count(kind) for kind in range(len(sizes))], np.intp)
    return Executor(
        devices,
        variant,
        tuple(hosts),
        latency if possible.all() else np.where(possible, latency, np.inf),
        tuple(each.seconds if share == 1 else each.seconds * share for each in tables),
        tuple(zip(hosts, nbytes, strict=True)),
        active,
        None,
        needs,
    )


def _allowed(constraints: Constraints, kind: Sequence[str], places: Places) -> NDArray[np.bool_]:
    """[P, P]: segments that a device may run, with none of the units that are pinned to another."""
    possible = np.ones((len(places.names), len(places.names)), bool)
    for pin in constraints.pins:
        if pin.device not in kind:
            possible &= ~places.between(range(pin.start, pin.stop))
    return possible


def _pairs(cluster: Cluster, kinds: Kinds, places: Places, constraints: Constraints) -> _Pairs:
    size, client = len(kinds) + 1, len(kinds)
    cut_bytes, crossed = places.cut_bytes, np.array([bool(names) for names in places.crossing])
    message = np.tile(np.where(crossed, np.inf, 0.0)[:, None, None], (1, size, size))
    load = np.zeros_like(message)
    send, receive = np.zeros((size, size)), np.zeros((size, size))
    media: dict[str, Floats] = {}
    for a in range(size):
        for b in range(size):
            link = _link(cluster, kinds, a, b)
            if link is None:
                continue
            load[:, a, b] = cut_bytes / link.bytes_per_s
            message[:, a, b] = np.where(crossed, [link.transfer_s(int(nbytes)) for nbytes in cut_bytes], 0.0)
            send[a, b], receive[a, b] = link.send_s_per_byte, link.receive_s_per_byte
            for medium in link.media:
                media.setdefault(medium, np.zeros((size, size)))[a, b] = 1 / link.bytes_per_s
    for rule in constraints.private:
        at = [position for position, names in enumerate(places.crossing) if rule.tensor in names]
        for receiver in range(size):
            if receiver == client or kinds[receiver] != (rule.device,):
                message[at, :, receiver] = np.inf
    processor = np.zeros((size, size))
    processor[client, :], processor[:, client] = send[client, :], receive[:, client]
    shared = [table for table in media.values() if np.count_nonzero(table) > 1]  # a medium of one link is that link
    shared += [processor] if processor.any() else []
    return _Pairs(message, load, send, receive, np.array(shared).reshape(-1, size, size))


def _link(cluster: Cluster, kinds: Kinds, a: int, b: int) -> Link | None:
    """Between two devices of these kinds; two of one kind are different ones."""
    client = len(kinds)
    if a == b:
        return cluster.link(kinds[a][0], kinds[a][1]) if a != client and len(kinds[a]) > 1 else None
    source = cluster.client if a == client else kinds[a][0]
    receiver = cluster.client if b == client else kinds[b][0]
    return cluster.link(source, receiver)


def _between(crew: Sequence[tuple[int, ...]], pairs: _Pairs, kinds: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """From pairs of devices to pairs of executors [.., E + 1, E + 1]: of several messages the slowest counts, of loads each its share."""
    ends = [*crew, (kinds,)]
    size, most = len(ends), max(map(len, ends))
    send, receive = np.zeros((size, size, most)), np.zeros((size, size, most))
    if most == 1:
        one = np.array([end[0] for end in ends])
        a, b = one[:, None], one[None, :]
        send[:, :, 0], receive[:, :, 0] = pairs.send[a, b], pairs.receive[a, b]
        return pairs.message_s[:, a, b], pairs.link_load_s[:, a, b], send, receive, pairs.shared[:, a, b]
    message = np.zeros((len(pairs.message_s), size, size))
    load, shared = np.zeros_like(message), np.zeros((len(pairs.shared), size, size))
    for source, sources in enumerate(ends):
        for receiver, receivers in enumerate(ends):
            at = (source, receiver)
            met, share = meeting(len(sources), len(receivers))
            for i, j in met:
                hop = (sources[i], receivers[j])
                message[:, *at] = np.maximum(message[:, *at], pairs.message_s[:, *hop])
                load[:, *at] = np.maximum(load[:, *at], pairs.link_load_s[:, *hop] * share)
                shared[:, *at] += pairs.shared[:, *hop] * share
                send[*at, i] += pairs.send[hop] * share
                receive[*at, j] += pairs.receive[hop] * share
    return message, load, send, receive, shared


def _follows(crew: Sequence[tuple[int, ...]], sizes: Sequence[int], ordered: bool, required: Sequence[bool]) -> NDArray[np.bool_]:
    """In a given order no device that is required is passed over; in a free one all that is left may come next."""
    client, kinds = len(crew), len(sizes)
    follows = np.ones((client + 1, client + 1), bool)
    follows[client, client] = False
    if not ordered:
        follows[:client, :client] = [[all((a + b).count(k) <= sizes[k] for k in a) for b in crew] for a in crew]
        return follows
    for a, before in enumerate([*crew, (-1,)]):
        for b, after in enumerate([*crew, (kinds,)]):
            skipped = [k for k in range(max(before) + 1, min(after)) if required[k]]
            follows[a, b] &= max(before) < min(after) and not skipped
    for team, devices in enumerate(crew):  # nor by one that takes turns
        if any(required[k] and k not in devices for k in range(min(devices), max(devices))):
            follows[:, team] = follows[team, :] = False
    return follows


def _runs(crew: Sequence[tuple[int, ...]], most: int) -> Floats:
    runs = np.zeros((len(crew) + 1, most))
    for executor, devices in enumerate(crew):
        runs[executor, : len(devices)] = 1 / len(devices)
    return runs
