"""What a solver looks up: every segment on every executor, bytes at every cut, the links between all pairs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.front import Objective

__all__ = ["Channel", "Executor", "Floats", "Tables", "closure", "thinned"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.intp]


class Executor(NamedTuple):
    """Who runs a stage: a device, or several that take frames in turn, in one variant.

    Attributes:
        devices: by number.
        hosts: the machines of the devices, by number; one that several of them share is named once.
        latency_s: [P, P], of the segment between two positions, on the slowest of the devices; infinite where it cannot be run.
        load_s: for each device [P, P], its seconds per frame of the pipeline.
        memory: for each host its number and [P, P], the bytes that the segment takes there, message buffers included.
        active_j: [P, P], net joules of a frame; None where energy does not count.
        loss: [P, P], what the variant loses in accuracy; None: nothing.
        needs: [T], how many devices of each kind it takes, where their order is free.
    """

    devices: tuple[int, ...]
    variant: Variant
    hosts: tuple[int, ...]
    latency_s: Floats
    load_s: tuple[Floats, ...]
    memory: tuple[tuple[int, Floats], ...]
    active_j: Floats | None
    loss: Floats | None
    needs: Counts


class Channel(NamedTuple):
    """A way to send what crosses a cut: its codec, and what a message then takes.

    Attributes:
        nbytes: [P], of all that crosses a position.
        message_s, link_load_s: [P, E + 1, E + 1], by source and receiver, the client last: seconds until it has arrived
            (infinite where there is no link, 0 where nothing crosses), and for which it occupies the link.
        encode_s, decode_s: [P, E + 1], at either end.
        loss: [P], what the codec loses in accuracy.
    """

    codec: str
    nbytes: Floats
    message_s: Floats
    link_load_s: Floats
    encode_s: Floats
    decode_s: Floats
    loss: Floats


class Tables(NamedTuple):
    """One instance in numbers: P positions (both ends included), K devices, E executors, the client as executor number E.

    Attributes:
        positions: names of the cuts where a stage may begin or end; nested ones in ascending order.
        send_s_per_byte, receive_s_per_byte: [E + 1, E + 1, R], processor seconds of each device of the executor at that end.
        shared_s_per_byte: [S, E + 1, E + 1], what a byte from source to receiver loads on each resource that several links
            share: media, and the client's processor.
        follows: [E + 1, E + 1], which executor may come after which; the client after all that may be last.
        reach: its transitive closure, with each executor itself.
        runs: [E + 1, R], 1 / r for each of the r devices of an executor, and 0 beyond.
        hosts: names of machines, with their caps [H] and what they take at rest, idle_w [H].
        host_of: the machine of each device, by number.
        floors: [H], bytes that memory is counted above; 0 unless caps are being questioned.
        available, required: [T], how many devices of each kind there are and have to be used; empty where the order is given.
        limits: the most of each objective.
        most_stages, longest: how many stages are allowed, and how many there could be.
        interval_s: seconds between two frames that come in, for energy at rest; None: the period.
    """

    positions: tuple[int, ...]
    names: tuple[str, ...]
    executors: tuple[Executor, ...]
    channels: tuple[Channel, ...]
    send_s_per_byte: Floats
    receive_s_per_byte: Floats
    shared_s_per_byte: Floats
    follows: Flags
    reach: Flags
    runs: Floats
    hosts: tuple[str, ...]
    caps: Floats
    idle_w: Floats
    host_of: tuple[int, ...]
    floors: Floats
    available: Counts
    required: Counts
    limits: Mapping[Objective, float]
    most_stages: int
    longest: int
    interval_s: float | None = None


def closure(follows: Flags) -> Flags:
    """Which executor may come after which, itself or others between; nothing comes after the results."""
    reach: Flags = follows | np.eye(len(follows), dtype=bool)
    reach[-1, :-1] = False
    for middle in range(len(reach) - 1):
        reach |= reach[:, middle, None] & reach[None, middle, :]
    return reach


def thinned(tables: Tables, kept: Counts) -> Tables:
    """The tables with some of the positions only, both ends among them."""
    grid = np.ix_(kept, kept)
    executors = tuple(
        who._replace(
            latency_s=who.latency_s[grid],
            load_s=tuple(load[grid] for load in who.load_s),
            memory=tuple((host, nbytes[grid]) for host, nbytes in who.memory),
            active_j=None if who.active_j is None else who.active_j[grid],
            loss=None if who.loss is None else who.loss[grid],
        )
        for who in tables.executors
    )
    channels = tuple(Channel(channel.codec, *(array[kept] for array in channel[1:])) for channel in tables.channels)
    return tables._replace(positions=tuple(tables.positions[i] for i in kept), executors=executors, channels=channels)
