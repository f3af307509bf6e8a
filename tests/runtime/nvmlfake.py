"""NVIDIA's management library as functions behind real C pointers: what calls it goes through the same ABI as with the driver's own.

Prototypes and structures as nvml.h writes them, apart from those of the code under test.
"""

from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_int, c_size_t, c_uint, c_ulonglong, c_void_p, memmove
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FakeGpu", "library"]

SUCCESS, UNINITIALIZED, NOT_SUPPORTED, INSUFFICIENT_SIZE, GPU_IS_LOST = 0, 1, 3, 7, 15


class nvmlMemory_t(Structure):
    _fields_ = [("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong)]


class nvmlProcessInfo_t(Structure):
    _fields_ = [("pid", c_uint), ("usedGpuMemory", c_ulonglong), ("gpuInstanceId", c_uint), ("computeInstanceId", c_uint)]


assert (nvmlMemory_t.free.offset, nvmlProcessInfo_t.usedGpuMemory.offset, nvmlProcessInfo_t.gpuInstanceId.offset) == (8, 8, 16)


@dataclass
class FakeGpu:
    """What a GPU answers; None: not supported."""

    name: str = "NVIDIA GeForce RTX 4060"
    millijoules: int | None = None
    milliwatts: int | None = None
    free: int | None = None
    processes: dict[int, int] | None = field(default_factory=dict)
    capability: tuple[int, int] = (8, 9)
    lost: bool = False


def library(*gpus: FakeGpu, driver: str = "550.54.15", init: int = SUCCESS, without: tuple[str, ...] = ()) -> Any:
    """A library of these GPUs, whose handles are 100, 101 …; functions ``without`` which it was built are not there."""
    started: list[bool] = []

    def of(handle: int) -> FakeGpu:
        assert started, "nvmlInit comes first"
        return gpus[handle - 100]

    def answer(gpu: FakeGpu, into: Any, value: int | None) -> int:
        if gpu.lost or value is None:
            return GPU_IS_LOST if gpu.lost else NOT_SUPPORTED
        into[0] = value
        return SUCCESS

    def text(into: int, size: int, value: str) -> int:
        data = value.encode() + b"\0"
        if len(data) > size:
            return INSUFFICIENT_SIZE
        memmove(into, data, len(data))
        return SUCCESS

    def initialise() -> int:
        started.append(True)
        return init

    def memory(handle: int, into: Any) -> int:
        free = of(handle).free
        if free is None:
            return NOT_SUPPORTED
        into[0] = nvmlMemory_t(8 << 30, free, (8 << 30) - free)
        return SUCCESS

    def processes(handle: int, count: Any, into: Any) -> int:
        there = of(handle).processes
        if there is None:
            return NOT_SUPPORTED
        room, count[0] = count[0], len(there)
        if room < len(there):
            return INSUFFICIENT_SIZE
        for place, (pid, used) in enumerate(there.items()):
            into[place] = nvmlProcessInfo_t(pid, used, 0xFFFFFFFF, 0xFFFFFFFF)
        return SUCCESS

    def capability(handle: int, major: Any, minor: Any) -> int:
        major[0], minor[0] = of(handle).capability
        return SUCCESS

    def handle_of(index: int, into: Any) -> int:
        into[0] = 100 + index
        return SUCCESS

    def counted(into: Any) -> int:
        into[0] = len(gpus)
        return SUCCESS if started else UNINITIALIZED

    functions: dict[str, tuple[Callable[..., int], tuple[Any, ...]]] = {
        "nvmlInit_v2": (initialise, ()),
        "nvmlDeviceGetCount_v2": (counted, (POINTER(c_uint),)),
        "nvmlDeviceGetHandleByIndex_v2": (handle_of, (c_uint, POINTER(c_size_t))),
        "nvmlDeviceGetName": (lambda handle, into, size: text(into, size, of(handle).name), (c_size_t, c_void_p, c_uint)),
        "nvmlSystemGetDriverVersion": (lambda into, size: text(into, size, driver), (c_void_p, c_uint)),
        "nvmlDeviceGetCudaComputeCapability": (capability, (c_size_t, POINTER(c_int), POINTER(c_int))),
        "nvmlDeviceGetTotalEnergyConsumption": (lambda h, into: answer(of(h), into, of(h).millijoules), (c_size_t, POINTER(c_ulonglong))),
        "nvmlDeviceGetPowerUsage": (lambda h, into: answer(of(h), into, of(h).milliwatts), (c_size_t, POINTER(c_uint))),
        "nvmlDeviceGetMemoryInfo": (memory, (c_size_t, POINTER(nvmlMemory_t))),
        "nvmlDeviceGetComputeRunningProcesses_v3": (processes, (c_size_t, POINTER(c_uint), POINTER(nvmlProcessInfo_t))),
    }

    class Library:
        """Called as ctypes calls a library: arguments are taken as they come, without a prototype to convert them."""

    built = Library()
    for name, (function, arguments) in functions.items():
        if name not in without:
            pointer = CFUNCTYPE(c_int, *arguments)(function)
            untyped = CFUNCTYPE(c_int)(c_void_p.from_buffer(pointer).value)
            untyped.argtypes = None
            setattr(built, name, _Function(pointer, untyped))
    return built


class _Function:
    def __init__(self, pointer: Any, untyped: Any):
        self._pointer, self._untyped = pointer, untyped  # the first one keeps what the second one calls

    def __call__(self, *arguments: Any) -> int:
        return int(self._untyped(*arguments))
