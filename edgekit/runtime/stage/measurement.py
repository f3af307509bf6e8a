"""Times a model in the stage process, as one segment or kernel by kernel with the engine's profiler; or sees what energy it takes."""

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit.energy import Energy
from edgekit.runtime.engine.engines import at_board, engine_of
from edgekit.runtime.engine.executor import REST_S, Arrays, Executor, sample_inputs
from edgekit.runtime.engine.reference_work import slowness
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.machine.stolen_time import Stolen
from edgekit.runtime.power import energy_use
from edgekit.runtime.stage.process_memory import Watch, peak_bytes
from edgekit.runtime.verbs import REAL, KernelTime, Measure, Measured

__all__ = ["measure_energy", "measure_kernels", "measure_segment"]

COMPARED_S = 0.02
"""Time between two looks at how fast the machine is."""


def measure_segment(request: Measure, model: Path, base_bytes: int) -> Measured:
    """Run a model as the pipeline would, until the budget is spent but at least ``least`` times; at a rate, if one is asked for."""
    watch = Watch(base_bytes)
    executor, inputs, outputs = _warm(request, model, watch.loaded)
    samples: list[float] = []
    cpu: list[float] = []
    compared = _Compared((request.emulation or REAL).compared and executor.runs_on == "cpu")
    due = time.perf_counter()
    end = due + request.budget_s
    interval_s = 1 / request.rate_per_s if request.rate_per_s else 0.0
    stolen = Stolen()
    while len(samples) < request.least or time.perf_counter() < end:
        begin = time.perf_counter()
        executor.run(inputs, outputs)
        samples.append(_computed_s(executor, time.perf_counter() - begin))
        cpu.append(executor.cpu_s)
        compared.look()
        if interval_s:
            due = max(due + interval_s, begin)
            time.sleep(max(due - time.perf_counter(), 0.0))
    share = stolen.share()
    peaks = watch.ran()
    rested = tuple(_after_rests(executor, inputs, outputs, request)) if request.rests else ()
    return Measured(
        samples_s=tuple(samples),
        cpu_s=tuple(cpu),
        base_bytes=base_bytes,
        peak_bytes=peaks.most,
        load_s=executor.load_s,
        first_s=executor.first_s,
        build_s=executor.build_s,
        load_peak_bytes=peaks.load,
        run_peak_bytes=peaks.run,
        proportional_bytes=peaks.proportional,
        library_bytes=peaks.library,
        stolen=share,
        rested_s=rested,
        slowness=compared.slowness,
        runs_on=executor.runs_on,
        line=executor.on_board.line_times() if executor.on_board else (),
        memory=executor.on_board.memory() if executor.on_board else None,
    )


class _Compared:
    """How fast the machine is between the runs, by work that is always the same; looked at every so often, if at all."""

    def __init__(self, asked: bool):
        self._found = [slowness()] if asked else []
        self._last = time.perf_counter()

    def look(self) -> None:
        if self._found and time.perf_counter() > self._last + COMPARED_S:
            self._found.append(slowness())
            self._last = time.perf_counter()

    @property
    def slowness(self) -> float:
        return statistics.median(self._found or [1.0])


def _after_rests(executor: Executor, inputs: Arrays, outputs: Arrays, request: Measure) -> list[float]:
    """Runs after a pause each, fewer where they take longer than the budget."""
    found: list[float] = []
    end = time.perf_counter() + request.budget_s
    while not found or (len(found) < request.rests and time.perf_counter() < end):
        time.sleep(REST_S)
        begin = time.perf_counter()
        executor.run(inputs, outputs)
        found.append(_computed_s(executor, time.perf_counter() - begin))
    return found


def _computed_s(executor: Executor, wall_s: float) -> float:
    """Seconds of the last run; of a microcontroller those that it counted, without its serial line."""
    return wall_s if executor.board is None else executor.board[1] - executor.board[0]


def measure_kernels(request: Measure, model: Path, base_bytes: int) -> tuple[Measured, bytes]:
    """The time of every kernel, and the optimised graph (without its weights) that the kernels belong to, where there is one.

    A segment of an engine that tells no kernels is one.
    """
    engine = engine_of(request.variant)
    if engine.profile is None:
        return _opaque(request.variant.engine, measure_segment(request, model, base_bytes)), b""
    runs_on = engine.runs_on(request.variant)
    compared = _Compared((request.emulation or REAL).compared and runs_on == "cpu")
    found = engine.profile(
        model, request.variant, _inputs(request, model), request.least, request.budget_s, compared.look, **at_board(request.board)
    )
    measured = Measured(
        samples_s=found.samples_s,
        cpu_s=(),
        base_bytes=base_bytes,
        peak_bytes=peak_bytes(),
        load_s=found.load_s,
        kernels=found.kernels,
        slowness=compared.slowness,
        runs_on=runs_on,
        line=found.line,
        memory=found.memory,
    )
    return measured, found.optimized


def measure_energy(request: Measure, model: Path, base_bytes: int) -> Measured:
    """Joules of a model that runs again and again, over those of the device at rest with the model loaded."""
    executor, inputs, outputs = _warm(request, model)

    def start() -> Callable[[], int]:
        over, count = threading.Event(), [0]

        def work() -> None:
            while not over.is_set():
                executor.run(inputs, outputs)
                count[0] += 1

        def stop() -> int:
            over.set()
            thread.join()
            return count[0]

        thread = threading.Thread(target=work, name="work", daemon=True)
        thread.start()
        return stop

    energy = msgspec.convert(energy_use.measure(Here(), start, gpu=executor.runs_on == "gpu"), Energy)
    return Measured(
        samples_s=(),
        cpu_s=(),
        base_bytes=base_bytes,
        peak_bytes=peak_bytes(),
        load_s=executor.load_s,
        energy=energy,
        runs_on=executor.runs_on,
    )


def _warm(request: Measure, model: Path, loaded: Callable[[], None] = lambda: None) -> tuple[Executor, Arrays, Arrays]:
    """A model that has run a few times, with inputs and room for its outputs; ``loaded`` is told before them."""
    speed = (request.emulation or REAL).speed
    executor = Executor(model, request.inputs, request.outputs, request.variant, speed, board=request.board)
    loaded()
    inputs = _inputs(request, model)
    outputs = Layout(request.outputs).views(Layout(request.outputs).allocate())
    executor.warm_up(inputs, outputs)
    return executor, inputs, outputs


def _inputs(request: Measure, model: Path) -> Arrays:
    """What the model runs on: what was put beside it, or made-up values."""
    if not request.data:
        return sample_inputs(request.inputs)
    return Layout(request.inputs).unpack((model.parent / request.data).read_bytes())


def _opaque(engine: str, measured: Measured) -> Measured:
    kernel = KernelTime(name=engine, op="Segment", seconds=statistics.median(measured.samples_s), provider=engine)
    return msgspec.structs.replace(measured, samples_s=(), cpu_s=(), kernels=(kernel,))  # no profiler was on
