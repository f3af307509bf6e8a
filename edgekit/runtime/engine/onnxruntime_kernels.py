"""Times the kernels of a model with onnxruntime's profiler, and saves the optimised graph that they belong to."""

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.device import Variant
from edgekit.errors import GraphError
from edgekit.runtime.agent.store import PART
from edgekit.runtime.engine.engine import Arrays, KernelTimes
from edgekit.runtime.engine.sessions import open_session, session_options
from edgekit.runtime.verbs import KernelTime

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = ["kernel_times"]

WARM_UP = 10


def kernel_times(model: Path, variant: Variant, inputs: Arrays, least: int, budget_s: float, between: Callable[[], None]) -> KernelTimes:
    """The time of every kernel in quiet runs; ``between`` is called after each run.

    No graph where the provider compiled parts of it: onnxruntime refuses to save those.
    """
    with tempfile.TemporaryDirectory(dir=model.parent, suffix=PART) as folder:
        begin = time.perf_counter()
        session, saved = _profiled(model, variant, folder)
        load_s = time.perf_counter() - begin
        end = time.perf_counter() + budget_s
        walls: list[float] = []
        while len(walls) < least + WARM_UP or time.perf_counter() < end:
            begin = time.perf_counter()
            session.run(None, inputs)
            walls.append(time.perf_counter() - begin)
            between()
        events = json.loads(Path(session.end_profiling()).read_text())
        optimized = Path(folder, "optimized.onnx").read_bytes() if saved else b""
    return KernelTimes(_in_quiet_runs(events, walls), tuple(walls[WARM_UP:]), load_s, optimized)


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
        KernelTime(
            name=name,
            op=op,
            seconds=statistics.fmean(s[run] for run in quiet) if len(s) == len(walls) else _centre(s[WARM_UP:] or s),
            provider=provider,
        )
        for (name, op, provider), s in samples.items()
    )


def _centre(seconds: list[float]) -> float:
    """A mean without the slowest and fastest tenth, for what does not run once in every run."""
    ordered = sorted(seconds)
    cut = len(ordered) // 10
    return statistics.fmean(ordered[cut : len(ordered) - cut])
