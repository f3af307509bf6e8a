"""How fast stages and links go, from two looks at what they have counted; each stage by its own device's clock."""

from collections.abc import Iterable

from msgspec import Struct

from edgekit.plan import CLIENT
from edgekit.quantity import Count
from edgekit.runtime.stage.status_records import LinkStatus, StageStatus
from edgekit.runtime.verbs import End

__all__ = ["LinkRate", "StageRate", "rates"]


class LinkRate(Struct, frozen=True):
    """Bytes a second from one end to another."""

    source: End
    receiver: End
    bytes_per_s: float


class StageRate(Struct, frozen=True):
    """One replica of a stage: frames a second, the share of the time that it computes, and what waits to be computed on.

    ``links``: to those who receive from it, and from the client, whom nobody else sees. None: it was loaded in between, or
    does not tell.
    """

    stage: Count
    replica: Count
    frames_per_s: float | None = None
    busy: float | None = None
    queue: Count | None = None
    links: tuple[LinkRate, ...] = ()


def rates(before: Iterable[StageStatus], now: Iterable[StageStatus]) -> tuple[StageRate, ...]:
    """Of every stage that is there now."""
    known = {(stage.plan, stage.stage, stage.replica): stage for stage in before}
    return tuple(_rate(known.get((stage.plan, stage.stage, stage.replica)), stage) for stage in now)


def _rate(before: StageStatus | None, now: StageStatus) -> StageRate:
    queues = [link.queue for link in now.links if link.queue is not None]
    queue = sum(queues) if queues else None
    if before is None or before.pid != now.pid or before.now_s is None or now.now_s is None or now.now_s <= before.now_s:
        return StageRate(now.stage, now.replica, queue=queue)
    seconds = now.now_s - before.now_s
    busy = None if now.busy_s is None or before.busy_s is None else min(max((now.busy_s - before.busy_s) / seconds, 0.0), 1.0)
    sent = {_ends(now.stage, link): _nbytes(link) for link in before.links}
    links: dict[tuple[End, End], float] = {}
    for link in now.links:
        if link.sends or link.peer == CLIENT:
            ends = _ends(now.stage, link)
            links[ends[:2]] = links.get(ends[:2], 0.0) + max(_nbytes(link) - sent.get(ends, 0), 0) / seconds
    told = tuple(LinkRate(*ends, each) for ends, each in links.items())
    return StageRate(now.stage, now.replica, (now.frames - before.frames) / seconds, busy, queue, told)


def _ends(stage: int, link: LinkStatus) -> tuple[End, End, int]:
    return (stage, link.peer, link.replica) if link.sends else (link.peer, stage, link.replica)


def _nbytes(link: LinkStatus) -> int:
    return sum(link.nbytes.values())
