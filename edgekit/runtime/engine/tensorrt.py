"""TensorRT engines of a device, built once for each model and found again by every stage process that runs it.

    store/
      5e1f…                            the model, under its digest
      engines/
        9c40…/                         for this GPU with these versions, as identity.json beside the engines says
          5e1f…fp32_….engine           built from that model
          5e1f…fp32.built              how long it took
          …_sm87.timing                what TensorRT learned of the GPU, shared by all models

An engine is of one GPU, driver, TensorRT and onnxruntime, so those name the folder: a change of any builds anew. It is built
in a process of its own, which can be ended when it takes too long, and whose memory is none of the stage's.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import msgspec

from edgekit.device import Variant
from edgekit.errors import DeviceError
from edgekit.runtime.engine.providers import TENSORRT
from edgekit.runtime.machine.nvml import gpus
from edgekit.runtime.machine.sensors import sensing
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.origin import environment

__all__ = ["BUILD_S", "build", "identity", "place"]

BUILD_S = 900.0
"""Time after which the building of one engine is given up."""

FOLDER = "engines"
BUILT = ".built"
NAME_LENGTH = 16
BUILDER = "edgekit.runtime.engine.tensorrt_builder"


def identity(here: Here) -> dict[str, str | None]:
    """What an engine depends on besides its model; what is not known is None, and takes the risk of not changing."""
    gpu = next(iter(gpus(here)), None)
    return {
        "gpu": (gpu.name() if gpu else None) or here.text("/proc/device-tree/model"),
        "compute_capability": gpu.capability() if gpu else None,
        "driver": (gpu.driver() if gpu else None) or next(iter(here.lines("/etc/nv_tegra_release")), None),
        "tensorrt": _installed("tensorrt") or sensing(here, "other")["tensorrt"],
        "onnxruntime": _installed("onnxruntime-gpu") or _installed("onnxruntime"),
    }


def place(model: Path | bytes, variant: Variant) -> tuple[Path | None, str]:
    """The folder of a model's engine and what its files begin with; none for other providers, or for what is no file."""
    if variant.provider != TENSORRT or isinstance(model, bytes):
        return None, ""
    known = json.dumps(identity(Here()), indent=2, sort_keys=True)
    folder = model.parent / FOLDER / hashlib.sha256(known.encode()).hexdigest()[:NAME_LENGTH]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identity.json").write_text(known)
    return folder, f"{model.name[:NAME_LENGTH]}{variant.precision}"


def build(model: Path | bytes, variant: Variant, budget_s: float = BUILD_S) -> float:
    """See that the engine of a model is there; the seconds that it took to build, now or before. 0 where none is needed.

    Raises:
        DeviceError: it cannot be built, or not in time.
    """
    folder, name = place(model, variant)
    if folder is None:
        return 0.0
    done = folder / (name + BUILT)
    if not done.is_file():
        begin = time.perf_counter()
        _run([sys.executable, "-m", BUILDER, str(model), msgspec.json.encode(variant).decode()], budget_s)
        done.with_suffix(".new").write_text(f"{time.perf_counter() - begin:.3f}\n")
        os.replace(done.with_suffix(".new"), done)
    return float(done.read_text())


def _run(command: list[str], budget_s: float) -> None:
    """Run the process that builds; the folder that this one works in holds no module of ours."""
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=budget_s, env=environment())
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"TensorRT has not built the engine in {budget_s:g} s; choose a smaller stage, or CUDAExecutionProvider, which builds none"
        ) from None
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        why = "killed; the usual cause is memory" if ended.returncode == -signal.SIGKILL else said
        raise DeviceError(f"TensorRT cannot build the engine ({why}); choose a smaller stage, or CUDAExecutionProvider, which builds none")


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
