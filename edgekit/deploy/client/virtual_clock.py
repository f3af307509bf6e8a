"""A clock that only jobs move: who waits for whom, and which resource is free when.

lane        jobs that begin in the order in which they were added: the frames of one stage, or of one link
resource    a device, a link, a medium: holds one job at a time; of those ready, the first that became so

        begin                    done                      free
──ready──┼── takes_s ─────────────┼── what waits may begin
         └── holds_s ────────────────────────────────────────┼── the resources take the next job
"""

from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from heapq import heappop, heappush

__all__ = ["Clock", "Job"]


class Job:
    """Something that takes time; ``begin_s`` and ``done_s`` are known once it has begun."""

    __slots__ = ("begin_s", "done_s", "holds_s", "lane", "ready_s", "resources", "takes_s", "then", "waits")

    def __init__(self, lane: Hashable, *, resources: tuple[str, ...] = (), takes_s: float = 0.0, holds_s: float = 0.0):
        self.lane = lane
        self.resources = resources
        self.takes_s = takes_s
        self.holds_s = holds_s
        self.begin_s: float | None = None
        self.done_s: float | None = None
        self.ready_s: float | None = None
        self.waits = 0
        self.then: list[Job] = []

    @property
    def span(self) -> tuple[float, float]:
        """When it began and was done; only for a job that has begun."""
        assert self.begin_s is not None and self.done_s is not None
        return self.begin_s, self.done_s


class Clock:
    """Adds up what jobs take; ``now_s`` moves from event to event."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Job | None]] = []
        self._count = 0
        self._lanes: dict[Hashable, deque[Job]] = defaultdict(deque)
        self._free_s: dict[str, float] = defaultdict(float)
        self._ready: list[Job] = []

    def add(self, job: Job, after: Sequence[Job] = (), earliest_s: float = 0.0) -> Job:
        """Put a job at the end of its lane; it is ready when those it comes after are done, and not before ``earliest_s``."""
        self._lanes[job.lane].append(job)
        for other in after:
            other.then.append(job)
        job.waits = len(after)
        if not after:
            self._tell(max(earliest_s, self.now_s), job)
        return job

    def advance(self) -> bool:
        """Move to the next event; False where none is left."""
        if not self._events:
            return False
        self.now_s = self._events[0][0]
        while self._events and self._events[0][0] <= self.now_s:
            job = heappop(self._events)[2]
            if job is not None and job.done_s is None:
                job.ready_s = self.now_s
                self._ready.append(job)
            elif job is not None:
                self._finish(job)
        while any([self._begin(job) for job in list(self._ready)]):  # a job that begins may let the next of its lane begin
            pass
        return True

    def _finish(self, job: Job) -> None:
        for other in job.then:
            other.waits -= 1
            if not other.waits:
                other.ready_s = self.now_s
                self._ready.append(other)

    def _begin(self, job: Job) -> bool:
        if self._lanes[job.lane][0] is not job or any(self._free_s[name] > self.now_s for name in job.resources):
            return False
        self._ready.remove(job)
        self._lanes[job.lane].popleft()
        job.begin_s = self.now_s
        job.done_s = self.now_s + job.takes_s
        self._tell(job.done_s, job)
        for name in job.resources:
            self._free_s[name] = self.now_s + job.holds_s
            self._tell(self._free_s[name], None)
        return True

    def _tell(self, when_s: float, job: Job | None) -> None:
        self._count += 1
        heappush(self._events, (when_s, self._count, job))
