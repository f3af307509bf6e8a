"""Times a model in the stage process, as one segment or kernel by kernel with onnxruntime's profiler; or sees what energy it takes."""

import json
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgekit.device import Variant
from edgekit.energy import Energy
from edgekit.errors import GraphError
from edgekit.runtime.agent.store import PART
from edgekit.runtime.engine.executor import REST_S, Arrays, Executor, open_session, sample_inputs, session_options
from edgekit.runtime.engine.providers import is_onnxruntime, of_gpu
from edgekit.runtime.engine.reference_work import slowness
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.machine.stolen_time import Stolen
from edgekit.runtime.power import energy_use
from edgekit.runtime.stage.process_memory import Watch, peak_bytes
from edgekit.runtime.verbs import REAL, KernelTime, Measure, Measured

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = ["measure_energy", "measure_kernels", "measure_segment"]

WARM_UP = 10
COMPARED_S = 0.02
"""Time between two looks at how fast the machine is."""


def measure_segment(request: Measure, model: Path, base_bytes: int) -> Measured:
    """Run a model as the pipeline would, until the budget is spent but at least ``least`` times; at a rate, if one is asked for."""
    watch = Watch(base_bytes)
    executor, inputs, outputs = _warm(request, model, watch.loaded)
    samples: list[float] = []
    cpu: list[float] = []
    compared = _Compared((request.emulation or REAL).compared)
    due = time.perf_counter()
    end = due + request.budget_s
    interval_s = 1 / request.rate_per_s if request.rate_per_s else 0.0
    stolen = Stolen()
    while len(samples) < request.least or time.perf_counter() < end:
        begin = time.perf_counter()
        executor.run(inputs, outputs)
        samples.append(time.perf_counter() - begin)
        cpu.append(executor.cpu_s)
        compared.look()
        if interval_s:
            due = max(due + interval_s, begin)
            time.sleep(max(due - time.perf_counter(), 0.0))
    share = stolen.share()
    peaks = watch.ran()
    rested = tuple(_after_rests(executor, inputs, outputs, request)) if request.rests else ()
    return Measured(
        tuple(samples),
        tuple(cpu),
        base_bytes,
        peaks.most,
        executor.load_s,
        first_s=executor.first_s,
        build_s=executor.build_s,
        load_peak_bytes=peaks.load,
        run_peak_bytes=peaks.run,
        proportional_bytes=peaks.proportional,
        library_bytes=peaks.library,
        stolen=share,
        rested_s=rested,
        slowness=compared.slowness,
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
        found.append(time.perf_counter() - begin)
    return found


def measure_kernels(request: Measure, model: Path, base_bytes: int) -> tuple[Measured, bytes]:
    """The time of every kernel, and the optimised graph (without its weights) that the kernels belong to.

    No graph where the provider compiled parts of it: onnxruntime refuses to save those. What no onnxruntime runs is one kernel.
    """
    if not is_onnxruntime(request.variant):
        return _opaque(request.variant.provider, measure_segment(request, model, base_bytes)), b""
    with tempfile.TemporaryDirectory(dir=model.parent, suffix=PART) as folder:
        begin = time.perf_counter()
        session, saved = _profiled(model, request.variant, folder)
        load_s = time.perf_counter() - begin
        inputs = _inputs(request, model)
        compared = _Compared((request.emulation or REAL).compared)
        end = time.perf_counter() + request.budget_s
        walls: list[float] = []
        while len(walls) < request.least + WARM_UP or time.perf_counter() < end:
            begin = time.perf_counter()
            session.run(None, inputs)
            walls.append(time.perf_counter() - begin)
            compared.look()
        events = json.loads(Path(session.end_profiling()).read_text())
        optimized = Path(folder, "optimized.onnx").read_bytes() if saved else b""
    times = _in_quiet_runs(events, walls)
    return Measured(tuple(walls[WARM_UP:]), (), base_bytes, peak_bytes(), load_s, times, slowness=compared.slowness), optimized


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

    energy = msgspec.convert(energy_use.measure(Here(), start, gpu=of_gpu(request.variant)), Energy)
    return Measured((), (), base_bytes, peak_bytes(), executor.load_s, energy=energy)


def _warm(request: Measure, model: Path, loaded: Callable[[], None] = lambda: None) -> tuple[Executor, Arrays, Arrays]:
    """A model that has run a few times, with inputs and room for its outputs; ``loaded`` is told before them."""
    executor = Executor(model, request.inputs, request.outputs, request.variant, (request.emulation or REAL).speed)
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


def _opaque(backend: str, measured: Measured) -> Measured:
    kernel = KernelTime(backend, "Segment", statistics.median(measured.samples_s), backend)
    return msgspec.structs.replace(measured, samples_s=(), cpu_s=(), kernels=(kernel,))  # no profiler was on


def _profiled(model: Path, variant: Variant, folder: str) -> "tuple[ort.InferenceSession, bool]":
    """A session with the profiler on, and whether its optimised graph was saved."""
    options = session_options(variant)
    options.enable_profiling = True
    options.profile_file_prefix = f"{folder}/kernels"
    options.optimized_model_filepath = f"{folder}/optimized.onnx"
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights.bin")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    try:
        return open_session(model, variant, options), True
    except GraphError as error:
        if "compiled nodes" not in str(error):
            raise
    options.optimized_model_filepath = ""
    return open_session(model, variant, options), False


def _in_quiet_runs(events: list[dict[str, object]], walls: list[float]) -> tuple[KernelTime, ...]:
    """Mean time of each kernel in the fastest tenth of the runs, so that what interrupted a run counts for none of its kernels.

    Events carry whole microseconds, so a mean is finer than any one of them; the first runs, still warming up, are left out.
    """
    ordered = sorted(walls[WARM_UP:])
    limit = ordered[min(len(ordered) - 1, max(2, len(ordered) // 10))]
    quiet = [run for run in range(WARM_UP, len(walls)) if walls[run] <= limit]
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for event in events:
        name, args = str(event["name"]), event.get("args")
        if event.get("cat") == "Node" and name.endswith("_kernel_time") and isinstance(args, dict):
            key = (name.removesuffix("_kernel_time"), str(args.get("op_name", "")), str(args.get("provider", "")))
            samples[key].append(float(str(event["dur"])) * 1e-6)
    return tuple(
        KernelTime(name, op, statistics.fmean(s[run] for run in quiet) if len(s) == len(walls) else _centre(s[WARM_UP:] or s), provider)
        for (name, op, provider), s in samples.items()
    )


def _centre(seconds: list[float]) -> float:
    """A mean without the slowest and fastest tenth, for what does not run once in every run."""
    ordered = sorted(seconds)
    cut = len(ordered) // 10
    return statistics.fmean(ordered[cut : len(ordered) - cut])
