"""What a solver looks up: every segment on every executor, bytes at every cut, the links between all pairs."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.codec import Codec
from edgekit.device import Variant
from edgekit.objectives import Objective
from edgekit.plan import Memory

__all__ = ["Channel", "Coding", "Executor", "Floats", "Tables", "Toll", "closure", "thinned"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.intp]


class Executor(NamedTuple):
    """Who runs a stage: a device, or several that take frames in turn, in one variant.

    Attributes:
        devices: by number.
        hosts: the machines of the devices, by number; one that several of them share is named once.
        latency_s: [P, P], of the segment between two positions after a pause, on the slowest of the devices; infinite where it cannot
            be run.
        load_s: for each device [P, P], its seconds per frame of the pipeline.
        memory: for each memory its number and [P, P], the bytes that the segment takes there, with one ring at each end: the hosts,
            then the RAM and the flash of boards.
        active_j: [P, P], net joules of a frame; None where energy does not count.
        loss: [P, P], what the variant loses in accuracy; None: nothing.
        needs: [T], how many devices of each kind it takes, where their order is free.
        processes: for each of ``memory``, how many stage processes have their rings there.
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
    processes: tuple[int, ...] = (1,)


class Coding(NamedTuple):
    """What a codec takes of the executors at one end of a message.

    Attributes:
        seconds: [P, E + 1], on the slowest device.
        load_s: [P, E + 1, R], of each device, per frame of the pipeline.
        active_j: [P, E + 1], net joules of a frame.
    """

    seconds: Floats
    load_s: Floats
    active_j: Floats


class Channel(NamedTuple):
    """A way to send what crosses a cut: its codec, and what a message then takes.

    Attributes:
        nbytes: [P], of all that travels at a position.
        message_s, link_load_s: [P, E + 1, E + 1], by source and receiver, the client last: seconds until it has arrived
            (infinite where there is no link, 0 where nothing crosses), and for which it occupies the link.
        encode, decode: at either end; None: it is sent as it is.
        loss: [P], what the codec loses in accuracy.
    """

    codec: Codec
    nbytes: Floats
    message_s: Floats
    link_load_s: Floats
    encode: Coding | None
    decode: Coding | None
    loss: Floats

    @property
    def seconds(self) -> Floats:
        """[P, E + 1, E + 1], of the message with the codec at both its ends."""
        if self.encode is None or self.decode is None:
            return self.message_s
        total: Floats = self.message_s + self.encode.seconds[:, :, None] + self.decode.seconds[:, None, :]
        return total


class Toll(NamedTuple):
    """Seconds for which messages keep busy what several of them share.

    Attributes:
        send, receive: [E + 1, E + 1, R], of the processor of each device of the executor at that end.
        shared: [S, E + 1, E + 1], on each resource that several links share: media, and the client's processor.
    """

    send: Floats
    receive: Floats
    shared: Floats


class Tables(NamedTuple):
    """One instance in numbers: P positions (both ends included), K devices, E executors, the client as executor number E.

    Attributes:
        positions: names of the cuts where a stage may begin or end; nested ones in ascending order.
        messages: [P], 1 where something crosses, 0 where nothing does and no message is sent.
        per_message, per_byte: what each message takes from source to receiver, and each byte of it besides.
        follows: [E + 1, E + 1], which executor may come after which; the client after all that may be last.
        reach: its transitive closure, with each executor itself.
        hosts: machines, and the memories of boards, with their caps [H] and what they take at rest, idle_w [H].
        rings: [P], bytes of a ring for what crosses each position.
        host_of: the machine of each device, by number.
        floors: [H], bytes that memory is counted above: infinite of flash, which is no objective, else 0 unless caps are being
            questioned.
        available, required: [T], how many devices of each kind there are and have to be used; empty where the order is given.
        limits: the most of each objective.
        most_stages, longest: how many stages are allowed, and how many there could be.
        interval_s: seconds between two frames that come in, for energy at rest; None: the period.
    """

    positions: tuple[int, ...]
    names: tuple[str, ...]
    executors: tuple[Executor, ...]
    channels: tuple[Channel, ...]
    messages: Floats
    per_message: Toll
    per_byte: Toll
    follows: Flags
    reach: Flags
    hosts: tuple[Memory, ...]
    caps: Floats
    rings: Floats
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

    def coding(whole: Coding | None) -> Coding | None:
        return None if whole is None else Coding(*(array[kept] for array in whole))

    channels = tuple(
        each._replace(
            nbytes=each.nbytes[kept],
            message_s=each.message_s[kept],
            link_load_s=each.link_load_s[kept],
            encode=coding(each.encode),
            decode=coding(each.decode),
            loss=each.loss[kept],
        )
        for each in tables.channels
    )
    positions = tuple(tables.positions[i] for i in kept)
    messages, rings = tables.messages[kept], tables.rings[kept]
    return tables._replace(positions=positions, executors=executors, channels=channels, messages=messages, rings=rings)
