"""Tables of devices that exchange data at a cost which is part of each segment, whoever is at the other end.

So it is where every device hangs on one switch by a cable of the same kind, and waits while it receives and sends.
"""

from collections.abc import Sequence

import numpy as np

from edgekit.device import Variant
from edgekit.plan import Memory
from partitioner.tables import Channel, Executor, Floats, Tables, Toll, closure

__all__ = ["uniform"]


def uniform(kinds: Sequence[tuple[Floats, Floats, int, float]]) -> Tables:
    """Of each kind of device: the load of every segment [P, P] in seconds, its bytes [P, P], how many there are, and their cap."""
    count, positions = len(kinds), len(kinds[0][0])
    size = count + 1
    executors = tuple(
        Executor((kind,), Variant(), (kind,), load, (load,), ((kind, nbytes),), None, None, np.eye(count, dtype=np.intp)[kind])
        for kind, (load, nbytes, _, _) in enumerate(kinds)
    )
    free, none = np.zeros((positions, size, size)), np.zeros(positions)
    toll = Toll(np.zeros((size, size, 1)), np.zeros((size, size, 1)), np.zeros((0, size, size)))
    available = np.array([number for _, _, number, _ in kinds], np.intp)
    follows = np.ones((size, size), bool)
    follows[count, count] = False
    follows[np.arange(count), np.arange(count)] = available > 1
    names = tuple(f"kind {kind}" for kind in range(count))
    return Tables(
        positions=tuple(range(positions)),
        names=names,
        executors=executors,
        channels=(Channel("raw", none, free, free, None, None, none),),
        messages=none,
        per_message=toll,
        per_byte=toll,
        follows=follows,
        reach=closure(follows),
        hosts=tuple(Memory(name, 0) for name in names),
        caps=np.array([cap for _, _, _, cap in kinds]),
        rings=none,
        idle_w=np.zeros(count),
        host_of=tuple(range(count)),
        floors=np.zeros(count),
        available=available,
        required=np.zeros(count, np.intp),
        limits={},
        most_stages=int(available.sum()),
        longest=int(available.sum()),
    )
