"""The run half of microcontrollers: a segment on the board whose cable ends at this machine.

    frame ─quantize─▶ put inputs ─▶ run ─▶ get outputs ─dequantize─▶ frame
                         │ the board was reset, or its line is cut
                         └─▶ find it, put table and weights again, and the same frame once more

A board that counts instructions has no seconds of its own: it is kept at a declared rate.
"""

import itertools
import secrets
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgekit.device import RunsOn, Variant
from edgekit.errors import DeviceError, GraphError
from edgekit.graph import Tensor
from edgekit.mcu_artifact import McuArtifact, decode
from edgekit.mcu_numbers import to_board, to_declared
from edgekit.runtime.board_facts import BoardFacts, BoardMemory, BoardPort, missing_packages
from edgekit.runtime.engine.engine import Arrays, Engine, EngineLost, KernelTimes
from edgekit.runtime.log import say_seldom
from edgekit.runtime.verbs import KernelTime
from edgekit.serial_line import LineTime
from edgekit.ticks import Ticks
from edgekit.wording import kib

if TYPE_CHECKING:
    from edgekit.runtime.serial_line.board_line import BoardLine

__all__ = ["ENGINE", "McuModel"]

RECOVER_S = 4.0
"""Time that a board has to come back within one frame; then its stage is lost, and comes back as any other does."""

AGAIN_S = 0.1
LOOKED_AT = 16
"""Runs whose count is asked for: that takes time on the line."""

LATEST = 512
"""Requests on the line that are remembered."""

NUMBERS = 1 << 32


class McuModel:
    """A segment on a board, which is its own as long as this object is."""

    def __init__(
        self,
        artifact: Path,
        variant: Variant,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        *,
        board: BoardPort | None = None,
    ):
        if board is None:
            raise DeviceError("the engine mcu runs on a microcontroller, and the device has none; give it an address serial:, or a port")
        if lacking := missing_packages():
            raise DeviceError(
                f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed; run: pip install edgekit[mcu]"
            )
        self._artifact = decode(artifact.read_bytes())
        _require_ends(self._artifact, inputs, outputs)
        self._port = board
        self._numbers = itertools.count(secrets.randbelow(NUMBERS))  # another process may have run before, with its own
        self._times: list[LineTime] = []
        self._run_s = 0.0
        self.board: tuple[float, float] | None = None
        self.counts: tuple[int, ...] = ()
        """Cycles or instructions of each operator, of the latest run that was looked at."""
        self._runs = 0
        self._line, self.facts = self._open()

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame; where the board was reset or its line was cut, once more.

        Raises:
            EngineLost: the board has not come back in time.
        """
        from edgekit.runtime.serial_line.serial_port import LostBoard
        from edgekit.runtime.serial_line.smp_line import RefusedRequest

        lost_s: float | None = None
        while True:
            try:
                if lost_s is not None:
                    self._line, self.facts = self._open(attempts=2)
                self._frame(inputs, outputs)
                return
            except (LostBoard, RefusedRequest) as error:
                self._line.close()
                if lost_s is None:
                    lost_s = time.monotonic()
                    say_seldom(f"{error}; looking for the board", level="warning")
                if time.monotonic() > lost_s + RECOVER_S:
                    raise EngineLost(str(error)) from error
                time.sleep(AGAIN_S)

    def line_times(self) -> tuple[LineTime, ...]:
        return tuple(self._times)

    def memory(self) -> BoardMemory:
        return self._line.memory()

    def seconds(self, count: int) -> float:
        """What so many cycles or instructions take."""
        return count / (self.facts.hz if self.facts.time == "cycles" else self._port.insn_per_s or self.facts.hz)

    def kernel(self, index: int, counts: list[int]) -> KernelTime:
        """An operator that took so many cycles or instructions in some runs."""
        operator, number = self._artifact.operators[index], round(statistics.median(counts))
        ticks = Ticks(number, self.facts.time)
        return KernelTime(name=operator.name, op=operator.kind, seconds=self.seconds(number), ticks=ticks)

    def close(self) -> None:
        """Leave the board to others."""
        self._line.close()

    def _frame(self, inputs: Arrays, outputs: Arrays) -> None:
        number = next(self._numbers) % NUMBERS
        for index, end in enumerate(self._artifact.inputs):
            data = to_board(end, inputs[end.name]).tobytes()
            begin = time.monotonic()
            self._line.put_input(index, data, number)
            self._remember("in", len(data), time.monotonic() - begin)
        self._compute(number)
        for index, end in enumerate(self._artifact.outputs):
            begin = time.monotonic()
            data = self._line.get_output(index, number)
            self._remember("out", len(data), time.monotonic() - begin)
            np.copyto(outputs[end.name], to_declared(end, np.frombuffer(data, np.int8)))

    def _compute(self, number: int) -> None:
        """Run on the board, and wait for as long as it would take at its rate."""
        begin = time.monotonic()
        self._line.run(number, 0, len(self._artifact.operators), usual_s=self._run_s)
        took_s = time.monotonic() - begin
        self._run_s = 0.9 * took_s  # asked a little earlier than it is done, to see it done
        if self._runs < LOOKED_AT:  # it is the same work in each run
            self._runs += 1
            ticks = self._line.profile(len(self._artifact.operators))
            self.counts = tuple(round(each * self.facts.num / self.facts.den) for each in ticks)
        counted_s = self.seconds(sum(self.counts))
        if self.facts.time == "insn":
            time.sleep(max(begin + counted_s - time.monotonic(), 0.0))
        self.board = (begin, begin + counted_s)
        self._remember("run", 0, max(took_s - counted_s, 0.0))  # without the counts, which later frames do not ask for

    def _remember(self, way: Literal["in", "out", "run"], nbytes: int, seconds: float) -> None:
        self._times = [*self._times[1 - LATEST :], LineTime(way=way, nbytes=nbytes, seconds=seconds)]

    def _open(self, attempts: int = 8) -> "tuple[BoardLine, BoardFacts]":
        """The line to the board, with table and weights there.

        Raises:
            DeviceError: it is not there, refuses the table, or has no room for the weights.
        """
        from edgekit.runtime.serial_line.board_search import find

        line, facts = find(self._port, tell=lambda text: say_seldom(f"skipped on the line: {text}"), attempts=attempts)
        try:
            _require_rate(facts, self._port)
            _put(line, facts, self._artifact)
        except BaseException:
            line.close()
            raise
        self._port = BoardPort(port=facts.port, uid=facts.uid, insn_per_s=self._port.insn_per_s)
        return line, facts


def _require_ends(artifact: McuArtifact, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    """The tensors that travel have to be those of the artifact."""
    for kind, tensors, ends in (("inputs", inputs, artifact.inputs), ("outputs", outputs, artifact.outputs)):
        wanted = {end.name: (end.shape, end.dtype) for end in ends}
        got = {tensor.name: (tensor.shape, tensor.dtype) for tensor in tensors}
        if wanted != got:
            raise GraphError(f"the artifact has the {kind} {wanted}, the stage sends {got}; deploy again")


def _require_rate(facts: BoardFacts, board: BoardPort) -> None:
    """A count of instructions is no time until somebody says how many the board runs in a second."""
    if facts.time == "insn" and board.insn_per_s is None:
        raise DeviceError(
            f"{facts.board} counts instructions, no cycles, as an emulator does; say how many it is to run in a second: "
            f"insn_per_s = {facts.hz:_} beside its address, for one in each cycle of its clock"
        )


def _put(line: "BoardLine", facts: BoardFacts, artifact: McuArtifact) -> None:
    """Have the table and the weights on the board; weights that are in its flash are not sent."""
    from edgekit.runtime.serial_line.smp_line import NO_ROOM, RefusedRequest

    line.put_table(artifact.table)
    found = line.commit(artifact.table)
    if not found.missing:
        return
    spare = facts.pool_bytes - artifact.arena_bytes - len(artifact.table)
    try:
        line.put_weights(artifact.blob)
        found = line.commit(artifact.table)
    except RefusedRequest as error:
        if error.rc != NO_ROOM:
            raise
        raise DeviceError(
            f"{facts.board}: the weights of this stage ({kib(len(artifact.blob))}) are not in its flash, and its RAM has room for "
            f"{kib(max(spare, 0))}; put them into its flash: edgekit firmware build MODEL --board {facts.board}, then edgekit "
            "firmware flash"
        ) from error
    if found.missing:
        raise DeviceError(f"{facts.board}: {found.missing} of the weights are missing ({found.first.hex()}); deploy again")


def _profile(
    artifact: Path,
    variant: Variant,
    inputs: Arrays,
    least: int,
    budget_s: float,
    between: Callable[[], None],
    *,
    board: BoardPort | None = None,
) -> KernelTimes:
    """What the board counts in each operator; the median of some runs."""
    begin = time.perf_counter()
    held = decode(artifact.read_bytes())
    outputs = {end.name: np.empty(end.shape, end.dtype) for end in held.outputs}
    tensors = [tuple(Tensor(end.name, end.shape, end.dtype) for end in ends) for ends in (held.inputs, held.outputs)]
    model = McuModel(artifact, variant, tensors[0], tensors[1], board=board)
    try:
        load_s = time.perf_counter() - begin
        runs: list[tuple[int, ...]] = []
        end_s = time.perf_counter() + budget_s
        while len(runs) < least or time.perf_counter() < end_s:
            model.run(inputs, outputs)
            runs.append(model.counts)
            between()
        kernels = tuple(model.kernel(index, list(counts)) for index, counts in enumerate(zip(*runs, strict=True)))
        samples = tuple(model.seconds(sum(counts)) for counts in runs)
        return KernelTimes(kernels, samples, load_s, line=model.line_times(), memory=model.memory())
    finally:
        model.close()


def _runs_on(variant: Variant) -> RunsOn:
    return "mcu"


ENGINE = Engine(McuModel, _runs_on, profile=_profile)
