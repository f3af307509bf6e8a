"""Where a device has to listen so that those who send to it can dial it."""

from collections.abc import Iterable

from devices import Connection, scheme_of

__all__ = ["door"]


def door(receiver: Connection, callers: Iterable[Connection]) -> str | None:
    """The address for data sockets of ``receiver`` in place of the usual one, where that would be of no use to these callers.

    A device of this machine that another machine dials listens on the address that the way to that machine begins at,
    as a device over SSH does on the one where it ends; else nobody beyond this machine could dial it.
    """
    if not scheme_of(receiver.device).here or receiver.device.listen is not None:
        return None
    return next((near for caller in callers if (near := caller.near)), None)
