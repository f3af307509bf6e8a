"""A stage in service: from when its links are made until the first of them is lost.

source ─▶ inlets ─▶ executor ─▶ outlets ─▶ next stage
             └──── relayed ────────┘

One lost link ends the service of the stage: it hangs up on those who send to it and tells those who receive from it.
So the loss walks through the plan in both directions, every stream in it ends, and all stages link up anew.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.runtime.executor import Executor
from edgekit.runtime.frames import Kind
from edgekit.runtime.joint import Inlets, Outlets, Turn
from edgekit.runtime.verbs import Endpoint, StageSpec, end_name
from edgekit.runtime.wire import Hello, dial

__all__ = ["Service", "Tally"]

HISTORY = 4096

LEAVE_S = 1.0
"""Time that those who receive from a stage have to hang up once they are told of a loss."""

Arrays = Mapping[str, NDArray[np.generic]]


@dataclass
class Tally:
    """What a stage has done since it was loaded; spans are (frame, start, stop) in monotonic seconds."""

    frames: int = 0
    failed: int = 0
    spans: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=HISTORY))


class Service:
    """Joins what comes, runs the model, deals out what goes on."""

    def __init__(self, spec: StageSpec, executor: Executor, scratch: Arrays, tally: Tally):
        self.spec = spec
        self.lost: str | None = None
        """Why this service is over."""
        self.inlets = Inlets(spec.sources, self.lose)
        self.outlets = Outlets(spec.receivers, self.lose)
        self._executor, self._scratch, self._tally = executor, scratch, tally
        self._epoch = 0

    @property
    def awaited(self) -> tuple[str, ...]:
        """The stages that have to be linked before frames can pass."""
        inlets = [end for (end, _), link in self.inlets.links.items() if not link.connected]
        outlets = [end for (end, _), link in self.outlets.links.items() if not link.connected]
        return tuple(end_name(end) for end in (*inlets, *outlets) if end != "client")

    def dial(self, there: Endpoint) -> None:
        """Link up with a stage that follows, unless that has been done.

        Raises:
            DeviceError: it cannot be reached, or is not ready itself.
        """
        outlet = self.outlets.links[there.end, there.replica]
        if not outlet.connected:
            hello = Hello(self.spec.plan, self.spec.stage, self.spec.replica, there.end, there.replica)
            outlet.attach(dial(there.host, there.port, hello, f"{self.spec.name}: {end_name(there.end)}"))

    def lose(self, why: str) -> None:
        """End the service, once what has come in full has gone on."""
        if self.lost is None:
            self.lost = why
            self.inlets.interrupt(why)

    def serve(self) -> None:
        """Serve streams, one after the other, until a link is lost."""
        while self._stream():
            pass

    def close(self) -> None:
        """Hang up on the sources, tell the receivers why, and let them hang up."""
        note = self.lost or "it was unlinked"
        self.lose(note)
        self.inlets.close()
        self.outlets.leave(self._epoch, f"{self.spec.name}: {note}", LEAVE_S)

    def _stream(self) -> bool:
        """One stream of frames, from its first to its END; whether another may follow."""
        frame, epoch = self.spec.replica, None
        while True:
            turn = self.inlets.take(frame, epoch)
            self._epoch = epoch = turn.epoch
            if turn.lost:
                self.lose(turn.note)
                return False
            if turn.kind is Kind.END:
                self.outlets.end(epoch)
                return True
            if turn.kind is Kind.FAIL:
                self.outlets.fail(epoch, frame, turn.note, self.outlets.acquire(frame))
            else:
                self._compute(frame, turn)
            frame += self.spec.replicas

    def _compute(self, frame: int, turn: Turn) -> None:
        slots = self.outlets.acquire(frame)
        outputs = dict(self._scratch)
        for slot in slots:
            outputs |= {name: view for name, view in slot.views.items() if name in self._scratch}
        begin = time.monotonic()
        try:
            self._executor.run(turn.arrays, outputs)
        except Exception as error:  # whatever a model raises concerns this frame alone
            self._tally.failed += 1
            self.inlets.done()
            self.outlets.fail(turn.epoch, frame, f"{self.spec.name}: {type(error).__name__}: {error}", slots)
            return
        self._tally.spans.append((frame, begin, time.monotonic()))
        made = {**turn.arrays, **outputs}
        for slot in slots:
            for name, view in slot.views.items():
                if view is not made[name]:
                    view[...] = made[name]
        self.inlets.done()
        self._tally.frames += 1
        self.outlets.give(turn.epoch, frame, slots)
