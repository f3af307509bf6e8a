"""NVIDIA GPUs, asked through their management library: joules since the driver was loaded, else watts.

Formats: nvmlDeviceGetTotalEnergyConsumption (mJ, Volta and newer) and nvmlDeviceGetPowerUsage (mW) of nvml.h. They see the
board of the GPU with its memory, and nothing of the machine around it. A Jetson's GPU has neither: its INA3221 has.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekit.runtime.machine.nvml import LIBRARY, Gpu, gpus
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.meter import Meter

__all__ = ["meters"]

FIELD = "power.nvml"
READERS: dict[str, Callable[[Gpu], float | None]] = {"joules": Gpu.joules, "watts": Gpu.watts}
"""By unit, the better first: a counter misses nothing between two readings."""


def meters(here: Here) -> list[Meter]:
    """One meter of all GPUs that answer in the same unit: the one that most of them know."""
    there = {f"gpu{gpu.index} {gpu.name() or ''}".strip(): gpu for gpu in gpus(here, FIELD)}
    answering = {unit: {rail: gpu for rail, gpu in there.items() if read(gpu) is not None} for unit, read in READERS.items()}
    unit = max(answering, key=lambda unit: len(answering[unit]))
    rails = answering[unit]
    return [Meter("nvml", LIBRARY, unit, tuple(rails), tuple(rails), lambda: _values(rails, READERS[unit]))] if rails else []


def _values(rails: dict[str, Gpu], read: Callable[[Gpu], float | None]) -> dict[str, float]:
    found = {rail: read(gpu) for rail, gpu in rails.items()}
    return {rail: value for rail, value in found.items() if value is not None}
