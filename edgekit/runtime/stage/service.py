"""A stage in service: from when its links are made until the first of them is lost.

source ─▶ inlets ─▶ executor ─▶ outlets ─▶ next stage
             └──── relayed ────────┘

One lost link ends the service of the stage: it hangs up on those who send to it and tells those who receive from it.
So the loss walks through the plan in both directions, every stream in it ends, and all stages link up anew.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgekit.runtime.engine.engine import EngineLost
from edgekit.runtime.engine.executor import Executor
from edgekit.runtime.links.ends import End
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.greeting import Door, Hello
from edgekit.runtime.links.joint import Inlets, Outlets, Turn
from edgekit.runtime.links.link_end import LinkEnd
from edgekit.runtime.links.tls import Guard
from edgekit.runtime.log import say_seldom
from edgekit.runtime.stage.counters import LinkTally, Tally
from edgekit.runtime.stage.watchdog import end_stage
from edgekit.runtime.verbs import Endpoint, StageSpec, end_name

__all__ = ["Service"]

LEAVE_S = 1.0
"""Time that those who receive from a stage have to hang up once they are told of a loss."""

Arrays = Mapping[str, NDArray[np.generic]]


class Service:
    """Joins what comes, runs the model, deals out what goes on."""

    def __init__(self, spec: StageSpec, executor: Executor, scratch: Arrays, tally: Tally, *, guard: Guard | None = None):
        self.spec = spec
        self.lost: str | None = None
        """Why this service is over."""
        self.inlets = Inlets(spec.sources, self.lose)
        self.outlets = Outlets(spec.receivers, self.lose)
        self._executor, self._scratch, self._tally, self._guard = executor, scratch, tally, guard
        self.epoch = 0
        """Of the latest stream."""
        _share(tally.inlets, self.inlets.links)
        _share(tally.outlets, self.outlets.links)

    @property
    def awaited(self) -> tuple[str, ...]:
        """The stages that have to be linked before frames can pass."""
        inlets = [end for (end, _), link in self.inlets.links.items() if not link.linked]
        outlets = [end for (end, _), link in self.outlets.links.items() if not link.linked]
        return tuple(end_name(end) for end in (*inlets, *outlets) if end != "client")

    def dial(self, there: Endpoint) -> None:
        """Link up with a stage that follows, unless that has been done.

        Raises:
            DeviceError: it cannot be reached, or is not ready itself.
        """
        outlet = self.outlets.links[there.end, there.replica]
        if not outlet.linked:
            hello = Hello(
                plan=self.spec.plan,
                source=self.spec.stage,
                source_replica=self.spec.replica,
                receiver=there.end,
                receiver_replica=there.replica,
            )
            door = Door(there.host, there.port, there.name, self._guard, self.spec.transport)
            outlet.call(door, hello, f"{self.spec.name}: {end_name(there.end)}")

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
        self.outlets.leave(self.epoch, f"{self.spec.name}: {note}", LEAVE_S)

    def _stream(self) -> bool:
        """One stream of frames, from its first to its END; whether another may follow."""
        frame, epoch = self.spec.replica, None
        while True:
            turn = self.inlets.take(frame, epoch)
            self.epoch = epoch = turn.epoch
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
        begin_s = self._tally.begin(frame)
        try:
            self._executor.run(turn.arrays, outputs)
        except EngineLost as error:
            end_stage(f"{self.spec.name}: {error}")
        except Exception as error:  # whatever a model raises concerns this frame alone
            self._tally.fail()
            self.inlets.done()
            note = f"{self.spec.name}: {type(error).__name__}: {error}"
            say_seldom(note, level="warning", of=self.spec, epoch=turn.epoch, frame=frame)
            self.outlets.fail(turn.epoch, frame, note, slots)
            return
        self._tally.done(turn.epoch, frame, begin_s, board=self._executor.board)
        made = {**turn.arrays, **outputs}
        for slot in slots:
            for name, view in slot.views.items():
                if view is not made[name]:
                    view[...] = made[name]
        self.inlets.done()
        self.outlets.give(turn.epoch, frame, slots)


def _share(tallies: dict[tuple[End, int], LinkTally], links: Mapping[tuple[End, int], LinkEnd]) -> None:
    """Have links go on to count where those before them were."""
    for key, link in links.items():
        link.tally = tallies.setdefault(key, link.tally)
