"""Records which frame was where, and when, on all devices of a running pipeline, for as long as somebody wants to know.

Agents remember the latest few thousand frames anyway; they are asked for those twice a second, each on a thread of its own,
and for their clock every half minute.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from devices import Connection
from edgekit.deploy.client.client import Client, Streaming
from edgekit.deploy.observe.clocks import AGAIN_S, Estimate, estimate, ours_s
from edgekit.errors import EdgekitError
from edgekit.plan import CLIENT, Plan
from edgekit.runtime.stage.counters import HISTORY
from edgekit.runtime.stage.status_records import Passage
from edgekit.runtime.verbs import End

__all__ = ["Recorder", "Recording", "Track"]

LOOK_S = 0.5

OVERLAP_S = 1.0
"""Time before the last look that is asked for again: what ended then may not have been written down."""

SETTLE_S = 0.25
"""Time in which what has arrived in the end is acknowledged, and known by its sender to have."""

MOST = 200_000
"""Passages of one device; those that come after them are left out."""

JOIN_S = 10.0

Seen = dict[tuple[int, int], Passage]
"""By epoch and frame."""


class Track(NamedTuple):
    """One replica of a stage that computes, or one of its links: to which replica of whom."""

    device: str
    stage: End
    replica: int
    receiver: End | None = None
    receiver_replica: int = 0


class Recording(NamedTuple):
    """What passed where, by our clock in seconds; how far every device's clock was from it; and what is not in it, by device."""

    plan: Plan
    tracks: dict[Track, tuple[Passage, ...]]
    clocks: dict[str, tuple[Estimate, ...]]
    lacks: dict[str, str]


class Recorder:
    """Records while its context is open; ``recording`` is what there is afterwards. ``client``: the one in this process, by its name."""

    def __init__(self, plan: Plan, release: str, connections: Mapping[str, Connection], *, client: tuple[str, Streaming] | None = None):
        self._plan, self._client = plan, client
        self._over = threading.Event()
        self._devices = {name: _Agent(name, connection, release) for name, connection in connections.items()}
        self._sent: dict[Track, Seen] = {}

    def __enter__(self) -> Self:
        self._begin_s = time.monotonic()
        follow = [agent.follow for agent in self._devices.values()]
        self._threads = [threading.Thread(target=each, args=(self._over,), name="recording", daemon=True) for each in follow]
        if self._client is not None:
            self._threads.append(threading.Thread(target=self._follow, args=self._client, name="recording", daemon=True))
        for thread in self._threads:
            thread.start()
        for agent in self._devices.values():
            agent.begun.wait(JOIN_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        time.sleep(SETTLE_S)
        self._over.set()
        for thread in self._threads:
            thread.join(JOIN_S)

    @property
    def recording(self) -> Recording:
        """What passed while the context was open."""
        tracks = {track: tuple(seen.values()) for track, seen in self._sent.items()}
        for agent in self._devices.values():
            tracks |= agent.passed()
        clocks = {name: tuple(agent.estimates) for name, agent in self._devices.items()}
        lacks = {name: agent.lacks for name, agent in self._devices.items() if agent.lacks}
        return Recording(self._plan, tracks, clocks, lacks)

    def _follow(self, name: str, client: Streaming) -> None:
        """Keep what the client sends, whose clock is ours."""
        last = not isinstance(client, Client)
        while not last:
            last = self._over.wait(LOOK_S)
            assert isinstance(client, Client)
            for (end, replica), link in client.outlets.links.items():
                sent = (each for each in list(link.transfers) if each.begin_s >= self._begin_s)
                _keep(self._sent.setdefault(Track(name, CLIENT, 0, end, replica), {}), sent)


class _Agent:
    """What one agent has told. Of a device that is lost on the way that is what it told before."""

    def __init__(self, name: str, connection: Connection, release: str):
        self._name, self._connection, self._release = name, connection, release
        self._seen: dict[Track, Seen] = {}
        self.begun = threading.Event()
        """Set when what passes from now on is kept, or nothing will be."""
        self.estimates: list[Estimate] = []
        self.lacks = ""

    def follow(self, over: threading.Event) -> None:
        """Look again and again, and once more in the end."""
        try:
            begin_s = since_s = self._estimate()
            self.begun.set()
            again_s, last = time.monotonic() + AGAIN_S, False
            while not last:
                last = over.wait(LOOK_S)
                since_s = self._look(max(since_s - OVERLAP_S, begin_s))
                if last or time.monotonic() > again_s:
                    self._estimate()
                    again_s = time.monotonic() + AGAIN_S
        except EdgekitError as error:
            self.lacks = f"what came after it was lost ({error})"
        finally:
            self.begun.set()

    def passed(self) -> "dict[Track, tuple[Passage, ...]]":
        """Everything by our clock."""

        def ours(each: Passage) -> Passage:
            return Passage(each.epoch, each.frame, ours_s(self.estimates, each.begin_s), ours_s(self.estimates, each.end_s))

        return {track: tuple(map(ours, seen.values())) for track, seen in list(self._seen.items())}

    def _estimate(self) -> float:
        self.estimates.append(estimate(self._connection.clock))
        return self.estimates[-1].at_s

    def _look(self, since_s: float) -> float:
        """Keep what has passed since then; the time at which that was told."""
        stages = [stage for stage in self._connection.logs(since_s=since_s).stages if stage.plan == self._release]
        for stage in stages:
            self._add(Track(self._name, stage.stage, stage.replica), stage.passages)
            for sent in stage.transfers:
                self._add(Track(self._name, stage.stage, stage.replica, sent.receiver, sent.replica), sent.passages)
        return min((stage.now_s for stage in stages if stage.now_s is not None), default=since_s + OVERLAP_S)

    def _add(self, track: Track, passages: tuple[Passage, ...]) -> None:
        if len(passages) >= HISTORY:
            self.lacks = "frames that it had forgotten when it was asked for them"
        if sum(map(len, self._seen.values())) > MOST:
            self.lacks = f"what came after {MOST} frames and transfers"
        else:
            _keep(self._seen.setdefault(track, {}), passages)


def _keep(seen: Seen, passages: Iterable[Passage]) -> None:
    for each in passages:
        seen[each.epoch, each.frame] = each
