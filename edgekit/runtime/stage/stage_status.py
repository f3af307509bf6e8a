"""What a stage tells of itself."""

import time
from collections.abc import Iterable

from edgekit.runtime.links.ends import End
from edgekit.runtime.links.inlet import Inlet
from edgekit.runtime.links.outlet import Outlet
from edgekit.runtime.stage.counters import LinkTally, Tally, bytes_by_codec
from edgekit.runtime.stage.process_memory import peak_bytes
from edgekit.runtime.stage.service import Service
from edgekit.runtime.stage.status_records import LinkStatus, Passage, StageStatus, TransferTime
from edgekit.runtime.verbs import Logs, StageSpec

__all__ = ["told"]


def told(spec: StageSpec, state: str, tally: Tally, service: Service | None, asked: Logs) -> StageStatus:
    """A stage by its own counts."""
    now_s = time.monotonic()
    latest = list(tally.passages)
    shown = latest[-asked.spans :] if asked.spans else []
    inlets = service.inlets.links if service is not None else {}
    outlets = service.outlets.links if service is not None else {}
    return StageStatus(
        name=spec.name,
        plan=spec.plan,
        stage=spec.stage,
        replica=spec.replica,
        pid=0,
        state=state,
        frames=tally.frames,
        failed=tally.failed,
        peak_bytes=peak_bytes(),
        spans=tuple((each.frame, each.begin_s, each.end_s) for each in shown),
        transfers=tuple(_transfers(end, replica, link, asked) for (end, replica), link in outlets.items()),
        owner=spec.owner,
        now_s=now_s,
        busy_s=tally.busy_s(now_s),
        seconds=tally.seconds.told(),
        links=(*(_link(*key, link) for key, link in inlets.items()), *(_link(*key, link) for key, link in outlets.items())),
        passages=_since(latest, asked.since_s),
        boards=tuple(each.board for each in shown if each.board is not None),
        clients=sum(end == "client" and link.connected for (end, _), link in (*inlets.items(), *outlets.items())),
    )


def _since(passages: Iterable[Passage], since_s: float | None) -> tuple[Passage, ...]:
    return () if since_s is None else tuple(each for each in passages if each.end_s > since_s)


def _transfers(end: End, replica: int, link: Outlet, asked: Logs) -> TransferTime:
    latest = list(link.transfers)
    samples = tuple(each.end_s - each.begin_s for each in latest[-asked.spans :]) if asked.spans else ()
    return TransferTime(receiver=end, replica=replica, samples_s=samples, passages=_since(latest, asked.since_s))


def _link(end: End, replica: int, link: Inlet | Outlet) -> LinkStatus:
    tally: LinkTally = link.tally
    sends = isinstance(link, Outlet)
    again = 0 if end == "client" else max(tally.began - 1, 0)  # clients come and go, and lose nothing by it
    return LinkStatus(
        peer=end,
        replica=replica,
        sends=sends,
        linked=link.linked,
        messages=tally.messages,
        nbytes=bytes_by_codec(link.layout, tally.messages),
        resent=tally.resent,
        reconnects=tally.resumed + again,
        queue=None if isinstance(link, Outlet) else link.waiting,
        credits=link.credits if isinstance(link, Outlet) else None,
        seconds=tally.seconds.told() if sends else None,
    )
