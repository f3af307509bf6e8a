"""From nouns to numbers: the tables of a graph on the devices of a cluster, with everything that is forbidden infinitely slow."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edgekit.cluster import Cluster
from edgekit.constraints import UNCONSTRAINED, Constraints
from edgekit.device import Device, Variant
from edgekit.losses import Losses
from edgekit.plan import Memory
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.ring import ring_bytes
from partitioner.board_memory import board_bytes, cap
from partitioner.channels import channels, links_between, tolls
from partitioner.cost import idle_w
from partitioner.cuts.places import Places
from partitioner.solve.device_kinds import Kinds
from partitioner.tables import Executor, Floats, Tables, closure

__all__ = ["tabulate", "with_memory"]

BOTH: tuple[Literal["ram"], Literal["flash"]] = ("ram", "flash")
"""Memories of a board."""


def tabulate(
    places: Places,
    cluster: Cluster,
    profiles: Profiles,
    kinds: Kinds,
    *,
    constraints: Constraints = UNCONSTRAINED,
    ordered: bool = True,
    replicas: int = 1,
    losses: Losses | None = None,
) -> Tables:
    """Fill the tables for devices of these kinds, each of which has a profile.

    Args:
        kinds: in the order of the pipeline where ``ordered``, each then of one device.
        replicas: how many devices may take frames in turn in one stage.
        losses: of the tensors that may be sent otherwise than they are; None: none may.
    """
    machines = tuple(dict.fromkeys(cluster.device(kind[0]).machine for kind in kinds))
    host_of = tuple(machines.index(cluster.device(kind[0]).machine) for kind in kinds)
    boards = [kind[0] for kind in kinds if any(profile.on_board for profile in profiles.of(kind[0]))]
    on_boards = tuple(Memory(name, 0, kind) for name in boards for kind in BOTH)
    memories = (*(Memory(host, 0) for host in machines), *on_boards)
    of_board = {kinds.index(kind): len(machines) + 2 * boards.index(kind[0]) for kind in kinds if kind[0] in boards}
    allowed = [_allowed(constraints, kind, places) for kind in kinds]
    single = [_singles(profiles, cluster.device(kind[0]), places, losses) for kind in kinds]
    sizes = [len(kind) for kind in kinds]
    chosen = list(_teams(sizes, single, replicas))
    executors = tuple(_executor(devices, variant, single, allowed, host_of, of_board, sizes, ordered) for devices, variant in chosen)
    links = links_between(cluster, kinds)
    crew = [who.devices for who in executors]
    used = [tuple(single[device][variant].profile for device in devices) for devices, variant in chosen]
    follows = _follows(crew, sizes, ordered, [kind[0] in constraints.required for kind in kinds])
    longest = sum(sizes)
    limits = {limit.objective: limit.most for limit in constraints.limits}
    if constraints.interval_s is not None:
        limits["period"] = min(limits.get("period", np.inf), constraints.interval_s)
    per_message, per_byte = tolls(crew, used, links, len(kinds))
    return Tables(
        positions=places.names,
        names=tuple(kind[0] for kind in kinds),
        executors=executors,
        channels=channels(crew, used, links, kinds, places, constraints, losses),
        messages=np.array([float(bool(tensors)) for tensors in places.crossing]),
        per_message=per_message,
        per_byte=per_byte,
        follows=follows,
        reach=closure(follows),
        hosts=memories,
        caps=np.array([cap(cluster, memory) for memory in memories]),
        rings=_rings(places),
        idle_w=np.array([*(idle_w(host, cluster, profiles) or 0.0 for host in machines), *(0.0 for _ in on_boards)]),
        host_of=host_of,
        floors=np.array([np.inf if memory.kind == "flash" else 0.0 for memory in memories]),
        available=np.array([] if ordered else sizes, np.intp),
        required=np.array([] if ordered else [int(kind[0] in constraints.required) for kind in kinds], np.intp),
        limits=limits,
        most_stages=min(longest, longest if constraints.most_stages is None else constraints.most_stages),
        longest=longest,
        interval_s=constraints.interval_s,
    )


def with_memory(cluster: Cluster, profiles: Profiles) -> Cluster:
    """The cluster with each device that has no cap of its own capped by the memory of its machine, where a profile tells it.

    A profile of a board tells the memory of its gateway, which is not the board's.
    """
    return replace(cluster, devices=tuple(_with_memory(device, profiles) for device in cluster.devices))


def _with_memory(device: Device, profiles: Profiles) -> Device:
    known = [each.conditions.memory_bytes for each in profiles.of(device.name) if each.conditions.memory_bytes]
    return replace(device, memory_bytes=min(known)) if known and device.memory_bytes is None and not device.board else device


class _Single(NamedTuple):
    """A device in one variant: its profile, and of every segment [P, P] seconds, those after a pause, bytes, net joules and losses.

    ``board``: bytes of RAM and of flash, of a microcontroller.
    """

    profile: Profile
    seconds: Floats
    rested_s: Floats
    nbytes: Floats
    board: tuple[Floats, ...]
    joules: Floats | None
    loss: Floats | None


def _rings(places: Places) -> Floats:
    return np.array([ring_bytes(int(nbytes)) for nbytes in places.cut_bytes], np.float64)


def _singles(profiles: Profiles, device: Device, places: Places, losses: Losses | None) -> dict[Variant, _Single]:
    rings = _rings(places)
    buffers = rings[:, None] + rings[None, :]
    found = {}
    for profile in profiles.of(device.name):
        nbytes, seconds = places.nbytes(profile) + buffers, places.seconds(profile)
        rested_s = seconds if profile.rested is profile else places.seconds(profile.rested)
        joules = None if profile.active_w is None else profile.active_w * np.where(np.isfinite(seconds), seconds, 0.0)
        if profile.line is not None:
            line_s = places.planned(profile, lambda row, profile=profile: profile.line.seconds(row.in_bytes, row.out_bytes))  # type: ignore[misc]
            seconds, rested_s = seconds + line_s, rested_s + line_s
        loss = places.loss(losses, profile.variant.precision) if profile.twin and losses is not None else None
        if loss is not None:
            seconds, rested_s = (np.where(np.isfinite(loss), table, np.inf) for table in (seconds, rested_s))
            loss = np.where(np.isfinite(loss), loss, 0.0)
        if np.isinf(nbytes).any():
            seconds, rested_s = (np.where(np.isfinite(nbytes), table, np.inf) for table in (seconds, rested_s))
            nbytes = np.where(np.isfinite(nbytes), nbytes, 0.0)
        board = tuple(places.planned(profile, lambda row, at=at: board_bytes(row, device)[at]) for at in range(2) if profile.on_board)  # type: ignore[misc]
        found[profile.variant] = _Single(profile, seconds, rested_s, nbytes, board, joules, loss)
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
    of_board: Mapping[int, int],
    sizes: Sequence[int],
    ordered: bool,
) -> Executor:
    tables = [single[device][variant] for device in devices]
    share = 1 / len(devices)
    latency = np.maximum.reduce([each.rested_s for each in tables])
    possible = np.logical_and.reduce([allowed[device] for device in devices])
    hosts: list[int] = []
    nbytes: list[Floats] = []
    processes: list[int] = []
    for device, each in zip(devices, tables, strict=True):
        host = host_of[device]
        if sizes[device] == 1 and host in hosts:  # devices that can be exchanged have machines of their own
            nbytes[hosts.index(host)] = nbytes[hosts.index(host)] + each.nbytes
            processes[hosts.index(host)] += 1
        else:
            hosts.append(host)
            nbytes.append(each.nbytes)
            processes.append(1)
    on_boards = [
        (of_board[device] + at, table) for device, each in zip(devices, tables, strict=True) for at, table in enumerate(each.board)
    ]
    joules = [each.joules for each in tables if each.joules is not None]
    active = np.sum(joules, axis=0) * share if len(joules) == len(tables) else None
    needs = np.array([] if ordered else [devices.count(kind) for kind in range(len(sizes))], np.intp)
    return Executor(
        devices,
        variant,
        tuple(hosts),
        latency if possible.all() else np.where(possible, latency, np.inf),
        tuple(each.seconds if share == 1 else each.seconds * share for each in tables),
        (*zip(hosts, nbytes, strict=True), *on_boards),
        active,
        tables[0].loss,
        needs,
        (*processes, *(0 for _ in on_boards)),
    )


def _allowed(constraints: Constraints, kind: Sequence[str], places: Places) -> NDArray[np.bool_]:
    """[P, P]: segments that a device may run, with none of the units that are pinned to another."""
    possible = np.ones((len(places.names), len(places.names)), bool)
    for pin in constraints.pins:
        if pin.device not in kind:
            possible &= ~places.between(range(pin.start, pin.stop))
    return possible


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
