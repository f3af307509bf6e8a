"""NVIDIA's management library, asked through ctypes: which GPUs there are, what they hold and what they have spent.

Functions, structures and return codes: nvml.h of the CUDA toolkit. That ``nvmlInit`` succeeds means little (on a Jetson it
does while most else is not supported), so every call may refuse: then there is no value, and ``Here.missing`` has the reason.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edgekit.runtime.machine.sources import Here

__all__ = ["LIBRARY", "Gpu", "gpus", "taken_bytes"]

LIBRARY = "libnvidia-ml.so.1"
NAME_BYTES = 96
NOT_AVAILABLE = 2**64 - 1
INSUFFICIENT_SIZE = 7
SPARE = 16
"""Processes that may have come between the asking for their number and for themselves."""

REASONS = {
    1: "not initialised",
    2: "invalid argument",
    3: "not supported",
    4: "no permission",
    6: "not found",
    7: "insufficient size",
    8: "external power is not connected",
    9: "the driver is not loaded",
    10: "timeout",
    12: "a library is missing",
    13: "the driver has no such function",
    15: "the GPU is lost",
    18: "library and driver are of different versions",
    999: "unknown error",
}


class _Memory(ctypes.Structure):
    """nvmlMemory_t"""

    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Process(ctypes.Structure):
    """nvmlProcessInfo_t, as the functions that end with _v3 fill it."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


def gpus(here: Here, field: str = "gpu") -> list[Gpu]:
    """All GPUs, in the order of the PCI bus; why there are none is in ``here.missing``."""
    library, count = _opened(here, field), ctypes.c_uint()
    if library is None or not _done(here, library, "nvmlDeviceGetCount_v2", field, ctypes.byref(count)):
        return []
    found = []
    for index in range(count.value):
        handle = ctypes.c_void_p()
        if _done(here, library, "nvmlDeviceGetHandleByIndex_v2", field, ctypes.c_uint(index), ctypes.byref(handle)):
            found.append(Gpu(here, library, index, handle, field=field))
    if not count.value:
        here.lacks(field, "NVML knows of no GPU")
    return found


class Gpu:
    """One GPU of an open library; what it does not tell is None."""

    def __init__(self, here: Here, library: Any, index: int, handle: ctypes.c_void_p, *, field: str = "gpu"):
        self.index = index
        self._here, self._library, self._handle, self._field = here, library, handle, field

    def name(self) -> str | None:
        """As in ``NVIDIA GeForce RTX 4060``."""
        text = ctypes.create_string_buffer(NAME_BYTES)
        return text.value.decode(errors="replace") if self._tell("nvmlDeviceGetName", text, ctypes.c_uint(NAME_BYTES)) else None

    def capability(self) -> str | None:
        """Its CUDA compute capability, as in ``8.7``."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        told = self._tell("nvmlDeviceGetCudaComputeCapability", ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}" if told else None

    def driver(self) -> str | None:
        """The version of the driver, which is the same for all."""
        text = ctypes.create_string_buffer(NAME_BYTES)
        told = _done(self._here, self._library, "nvmlSystemGetDriverVersion", self._field, text, ctypes.c_uint(NAME_BYTES))
        return text.value.decode(errors="replace") if told else None

    def joules(self) -> float | None:
        """Spent since the driver was loaded (Volta and newer count)."""
        millijoules = ctypes.c_ulonglong()
        told = self._tell("nvmlDeviceGetTotalEnergyConsumption", ctypes.byref(millijoules))
        return millijoules.value / 1000 if told else None

    def watts(self) -> float | None:
        """Drawn by the board; on Ampere (but GA100) and newer the mean of the last second."""
        milliwatts = ctypes.c_uint()
        return milliwatts.value / 1000 if self._tell("nvmlDeviceGetPowerUsage", ctypes.byref(milliwatts)) else None

    def free_bytes(self) -> int | None:
        """Memory that nobody has taken."""
        memory = _Memory()
        return int(memory.free) if self._tell("nvmlDeviceGetMemoryInfo", ctypes.byref(memory)) else None

    def process_bytes(self, pid: int) -> int | None:
        """Memory that one process has taken; None where the driver does not tell of single ones, or not of this one.

        A process in a container goes by another number here than inside.
        """
        count = ctypes.c_uint(0)
        name = "nvmlDeviceGetComputeRunningProcesses_v3"
        if self._tell(name, ctypes.byref(count), None, also=INSUFFICIENT_SIZE):
            there = (_Process * (count.value + SPARE))()
            count = ctypes.c_uint(len(there))
            if self._tell(name, ctypes.byref(count), there):
                return next((int(p.used) for p in there[: count.value] if p.pid == pid and p.used != NOT_AVAILABLE), None)
        return None

    def _tell(self, function: str, *arguments: Any, also: int = 0) -> bool:
        return _done(self._here, self._library, function, self._field, self._handle, *arguments, also=also)


def taken_bytes(gpu: Gpu, before_bytes: int | None, pid: int) -> int | None:
    """Memory of a GPU that a process has taken: as the driver counts it, else the drop of what was free ``before_bytes``.

    The drop holds the context and the engine too, and whatever other processes took meanwhile. A GPU that shares the
    machine's memory tells neither.
    """
    own = gpu.process_bytes(pid)
    if own is not None:
        return own
    free = gpu.free_bytes()
    return None if before_bytes is None or free is None else max(before_bytes - free, 0)


def _opened(here: Here, field: str) -> Any | None:
    """The library, ready to be asked until this process ends; None where it is not there or does not start."""
    library = here.library(LIBRARY, field)
    return library if library is not None and _done(here, library, "nvmlInit_v2", field) else None


def _done(here: Here, library: Any, function: str, field: str, *arguments: Any, also: int = 0) -> bool:
    """Whether a call succeeds, or ends with the code ``also``."""
    try:
        code = getattr(library, function)(*arguments)
    except AttributeError:
        code = 13
    if code in (0, also):
        return True
    here.lacks(field, f"{function}: {REASONS.get(code, f'error {code}')}")
    return False
