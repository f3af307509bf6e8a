"""The ring of buffers at each end of a link: how many messages it has room for, and its bytes.

A link allocates its rings by this rule, and the cost model counts them by it.
"""

__all__ = ["SLOTS", "ring_bytes", "slots_of"]

SLOTS = 2
"""Buffers of a ring at least: while one is computed on, the next one fills."""

FLIGHT_BYTES = 256 * 1024
"""Bytes of small messages that may be under way besides, so that a long link stays full."""

MOST_SLOTS = 64


def slots_of(nbytes: int) -> int:
    """How many messages of that size a ring has room for.

    >>> slots_of(1_000_000), slots_of(100_000), slots_of(1000)
    (2, 4, 64)
    """
    return min(SLOTS + FLIGHT_BYTES // max(nbytes, 1), MOST_SLOTS)


def ring_bytes(nbytes: int) -> int:
    """Bytes of a ring for messages of that size.

    >>> ring_bytes(1_000_000), ring_bytes(1000), ring_bytes(0)
    (2000000, 64000, 0)
    """
    return slots_of(nbytes) * nbytes
