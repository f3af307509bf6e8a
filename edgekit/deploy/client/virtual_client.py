"""A pipeline of ``sim:`` devices: real outputs, described times, on a clock that only the frames move.

    enter ─▶ message ─▶ stage 0 ─▶ message ─▶ stage 1 ─▶ message ─▶ leave

A stage takes its frames in their order, as a stage process does. Stages on one device take turns; a link is taken for
the bytes of a message and not for its latency; what the transport costs the processors at its ends keeps them busy
without delaying the frame itself. Plans are priced by the same rules, so a prediction can be held against this clock.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.connection import Connection, VirtualStage
from edgekit.cluster import Cluster, Link
from edgekit.deploy.client.client import WINDOW, check_window
from edgekit.deploy.client.sink import Result, too_late
from edgekit.deploy.client.virtual_clock import Clock, Job
from edgekit.errors import StageError
from edgekit.frame_files import check_frame
from edgekit.graph import Graph, Tensor
from edgekit.plan import CLIENT, Plan, wired
from edgekit.runtime.verbs import End

__all__ = ["VirtualClient"]

Arrays = Mapping[str, NDArray[np.generic]]
HISTORY = 4096


class _Message(NamedTuple):
    """What one frame sends from one device to another; within a device there is no link."""

    source: End
    receiver: End
    here: str
    there: str
    nbytes: int
    link: Link | None


class _Frame(NamedTuple):
    """A frame on its way: what it gives, and its jobs."""

    number: int
    outputs: Arrays | None
    error: StageError | None
    intended_s: float | None
    enter: Job
    computes: list[tuple[int, str, Job]]
    transfers: list[tuple[_Message, Job]]
    leave: Job


class VirtualClient:
    """Streams frames on a virtual clock; ``spans``, ``transfers`` and ``sent`` remember what the stages and links did, and when."""

    def __init__(self, plan: Plan, graph: Graph, cluster: Cluster, devices: Mapping[str, Connection], digest: str):
        self._plan, self._graph, self._cluster, self._devices, self._digest = plan, graph, cluster, devices, digest
        self._messages = plan.messages()
        self.spans: deque[tuple[int, str, int, float, float]] = deque(maxlen=HISTORY)
        self.transfers: dict[tuple[End, End, str, str], deque[float]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self.sent: deque[tuple[str, str, int, float, float]] = deque(maxlen=HISTORY)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a frame consists of."""
        return self._graph.cuts[0].tensors

    def stream(
        self,
        frames: Iterable[Arrays],
        *,
        window: int = WINDOW,
        arrivals_s: Sequence[float] | None = None,
        deadline_s: float | None = None,
    ) -> Iterator[Result]:
        """See ``Streaming``."""
        check_window(window)
        clock = Clock()
        source = enumerate(frames)
        running: deque[_Frame] = deque()
        failure: Exception | None = None
        ended, latest_s = False, 0.0
        while True:
            while not ended and (len(running) < window if arrivals_s is None else latest_s <= clock.now_s):
                try:
                    number, arrays = next(source)
                    check_frame(arrays, self._graph.cuts[0].tensors, f"frame {number}")
                    latest_s = clock.now_s if arrivals_s is None else arrivals_s[number]
                except StopIteration:
                    ended = True
                except Exception as error:  # the caller's iterable may raise anything; it is raised again after the results
                    ended, failure = True, error
                else:
                    running.append(self._admit(clock, number, arrays, None if arrivals_s is None else latest_s))
            if not clock.advance():
                break
            while running and running[0].leave.done_s is not None:
                yield self._result(running.popleft(), deadline_s)
        if failure is not None:
            raise failure

    def _admit(self, clock: Clock, number: int, arrays: Arrays, intended_s: float | None) -> _Frame:
        """Compute a frame, and hand its jobs to the clock."""
        messages = [self._message(number, *ends) for ends in self._messages]
        client = self._cluster.client
        enter = clock.add(
            Job("enter", resources=(f"device {client}",), takes_s=0.0, holds_s=_sending_s(messages, CLIENT)), earliest_s=intended_s or 0.0
        )
        done: dict[End, Job] = {CLIENT: enter}
        computes, transfers = [], []
        for index in range(len(self._plan.stages)):
            arrived = [(message, self._send(clock, message, done)) for message in messages if message.receiver == index]
            transfers += arrived
            device, stage = self._device(index, number), self._stage(index, number)
            holds_s = stage.seconds + _receiving_s(messages, index) + _sending_s(messages, index)
            done[index] = Job((index, device), resources=(f"device {device}",), takes_s=stage.seconds, holds_s=holds_s)
            clock.add(done[index], [job for _, job in arrived])
            computes.append((index, device, done[index]))
        back = [(message, self._send(clock, message, done)) for message in messages if message.receiver == CLIENT]
        leave = Job("leave", resources=(f"device {client}",), takes_s=0.0, holds_s=_receiving_s(messages, CLIENT))
        clock.add(leave, [job for _, job in back])
        return _Frame(number, *self._compute(number, arrays), intended_s, enter, computes, transfers + back, leave)

    def _compute(self, number: int, arrays: Arrays) -> tuple[Arrays | None, StageError | None]:
        known = dict(arrays)
        for index in range(len(self._plan.stages)):
            stage = self._stage(index, number)
            try:
                known |= stage.compute(known)
            except Exception as error:  # whatever a model raises concerns this frame alone
                what = f"{stage.spec.name}: {type(error).__name__}: {error}"
                return None, StageError(f"frame {number} failed: {what}", stage=stage.spec.name, frame=number)
        return {name: known[name] for name in self._graph.outputs}, None

    def _message(self, number: int, source: End, receiver: End) -> _Message:
        here, there = self._device(source, number), self._device(receiver, number)
        nbytes = sum(tensor.nbytes for tensor in wired(self._graph, self._messages[source, receiver]))
        return _Message(source, receiver, here, there, nbytes, self._cluster.channel(here, there))

    def _send(self, clock: Clock, message: _Message, done: Mapping[End, Job]) -> Job:
        link, lane = message.link, ("message", *message[:4])
        if link is None:
            return clock.add(Job(lane), [done[message.source]])
        resources = (f"link {message.here}→{message.there}", *(f"medium {medium}" for medium in dict.fromkeys(link.media)))
        return clock.add(
            Job(lane, resources=resources, takes_s=link.transfer_s(message.nbytes), holds_s=message.nbytes / link.bytes_per_s),
            [done[message.source]],
        )

    def _result(self, frame: _Frame, deadline_s: float | None) -> Result:
        sent_s, done_s = frame.enter.span[0], frame.leave.span[1]
        intended_s = sent_s if frame.intended_s is None else frame.intended_s
        self.spans.extend((index, device, frame.number, *job.span) for index, device, job in frame.computes)
        for message, job in frame.transfers:
            self.transfers[message[:4]].append(job.takes_s)
            self.sent.extend([(message.here, message.there, frame.number, *job.span)] if message.link else [])
        if deadline_s is not None and done_s > intended_s + deadline_s:
            return Result(frame.number, None, too_late(frame.number, deadline_s), intended_s, sent_s, intended_s + deadline_s)
        return Result(frame.number, frame.outputs, frame.error, intended_s, sent_s, done_s)

    def _device(self, end: End, number: int) -> str:
        if end == CLIENT:
            return self._cluster.client
        devices = self._plan.stages[end].devices
        return devices[number % len(devices)]

    def _stage(self, index: int, number: int) -> VirtualStage:
        return self._devices[self._device(index, number)].virtual_stages[
            self._digest, index, number % len(self._plan.stages[index].devices)
        ]


def _sending_s(messages: Iterable[_Message], end: End) -> float:
    """Processor seconds that an end spends on sending a frame."""
    return sum(m.link.send_s(m.nbytes) for m in messages if m.source == end and m.link)


def _receiving_s(messages: Iterable[_Message], end: End) -> float:
    """Processor seconds that an end spends on receiving a frame."""
    return sum(m.link.receive_s(m.nbytes) for m in messages if m.receiver == end and m.link)
