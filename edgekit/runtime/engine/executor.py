"""Runs one stage model, in place on the buffers of its links, at the speed its device plays."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.device import Variant
from edgekit.drawn import sample_inputs
from edgekit.graph import Tensor
from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.engine.engine import Arrays, BoardModel
from edgekit.runtime.engine.engines import engine_of, open_model
from edgekit.runtime.engine.reference_work import slowness
from edgekit.runtime.engine.sessions import open_session, session_options
from edgekit.runtime.engine.slowdown import Pace

__all__ = ["Arrays", "Executor", "open_session", "run_once", "sample_inputs", "session_options"]

WARM_UP, LEARNING = 10, 32
"""Runs before frames come, and where a slower machine is played; where a run is long, as many as there is time for."""

WARM_UP_S = 0.5
LEAST_WARM_UP = 2

REST_S = 0.03
"""A pause after which caches have cooled and clocks are down, as between the frames of a slow stream."""

RESTED = 3


class Executor:
    """A loaded model. ``run`` reads and writes the caller's arrays, without copies."""

    def __init__(
        self,
        model: Path | bytes,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        variant: Variant,
        speed: float,
        *,
        board: BoardPort | None = None,
    ):
        engine = engine_of(variant)
        self.runs_on = engine.runs_on(variant)
        self.build_s = 0.0 if isinstance(model, bytes) else engine.prepare(model, variant)
        begin = time.perf_counter()
        self._model = open_model(model, variant, inputs, outputs, board=board)
        self._pace = Pace(speed)
        # with one thread the kernels run on the calling thread, so the transport's own processor time stays out
        self._one_thread = variant.threads == 1 and self.runs_on == "cpu"
        self._cpu = time.thread_time if self._one_thread else time.process_time
        self.load_s = time.perf_counter() - begin
        self.cpu_s = 0.0
        self.first_s = 0.0

    def warm_up(self, inputs: Arrays, outputs: Arrays) -> None:
        """Run one after the other, without pause, until arenas have grown, caches are hot and the pace knows how long it takes.

        Where a slower machine is played, a few more follow after a pause each, so that the pace knows what pauses add.
        """
        if self._pace.plays:
            slowness()  # what is usual may have to be found out, which is not to take from the time for runs
        end = time.perf_counter() + WARM_UP_S
        for count in range(LEARNING if self._pace.plays else WARM_UP):
            if count >= LEAST_WARM_UP and time.perf_counter() > end:
                break
            wall_s = self._compute(inputs, outputs)
            if self._pace.plays:
                self._pace.learn(self._busy_s(wall_s), slowness())
            if count == 0:
                self.first_s = wall_s
        for _ in range(RESTED if self._pace.plays else 0):
            time.sleep(REST_S)
            self._pace.rested(self._busy_s(self._compute(inputs, outputs)))

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame: read ``inputs``, fill ``outputs`` (C-contiguous arrays by name)."""
        wall_s = self._compute(inputs, outputs)
        if remainder_s := self._pace.remainder_s(wall_s, self._busy_s(wall_s)):
            time.sleep(remainder_s)

    @property
    def board(self) -> tuple[float, float] | None:
        """From when to when a microcontroller computed in the last run, in monotonic seconds; None where none does."""
        span: tuple[float, float] | None = getattr(self._model, "board", None)
        return span

    @property
    def on_board(self) -> BoardModel | None:
        """The segment, where a microcontroller computes it."""
        return self._model if isinstance(self._model, BoardModel) else None

    def _busy_s(self, wall_s: float) -> float:
        return self.cpu_s if self._one_thread else wall_s

    def _compute(self, inputs: Arrays, outputs: Arrays) -> float:
        begin, busy = time.perf_counter(), self._cpu()
        self._model.run(inputs, outputs)
        self.cpu_s, wall_s = self._cpu() - busy, time.perf_counter() - begin
        return wall_s


def run_once(model: Path | bytes, arrays: Arrays, variant: Variant | None = None) -> dict[str, NDArray[np.generic]]:
    """The outputs of a model, by name, computed in this process."""
    session = open_session(model, variant or Variant())
    names = [output.name for output in session.get_outputs()]
    wanted = {entry.name for entry in session.get_inputs()}
    values = session.run(names, {name: array for name, array in arrays.items() if name in wanted})
    return dict(zip(names, values, strict=True))
