"""The run half of an engine: it opens what its build half has made of a segment, and runs it on the device.

    [project.entry-points."edgekit.engines"]
    hailo = "edgekit_hailo.runtime:ENGINE"

    ENGINE = Engine(open_segment, lambda variant: "npu")

The build half of the same name, which stands beside the client, is in ``edgekit.stages.builder``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgekit.device import RunsOn, Variant
from edgekit.errors import DeviceError
from edgekit.runtime.board_facts import BoardMemory
from edgekit.runtime.verbs import KernelTime
from edgekit.serial_line import LineTime

__all__ = ["Arrays", "BoardModel", "Engine", "EngineLost", "KernelTimes", "OpenModel"]

Arrays = Mapping[str, NDArray[np.generic]]


class OpenModel(Protocol):
    """A segment that is ready to run; one thread at a time runs it.

    One that runs on a microcontroller also says when: ``board`` is a tuple of two times of ``time.monotonic()``, from when to
    when the board computed in the last run. Their difference is what the board counted, at the pace that it plays.
    """

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        """One frame: read ``inputs``, fill ``outputs`` (C-contiguous arrays by name)."""


class KernelTimes(NamedTuple):
    """The kernels of a segment by the engine's own names for them, and the runs that they were timed in.

    ``optimized`` is the optimised ONNX graph that the kernels belong to; empty where the engine has none.
    ``line``: requests on the serial line of a microcontroller, and ``memory`` what it says of its own.
    """

    kernels: tuple[KernelTime, ...]
    samples_s: tuple[float, ...]
    load_s: float
    optimized: bytes = b""
    line: tuple[LineTime, ...] = ()
    memory: BoardMemory | None = None


@runtime_checkable
class BoardModel(OpenModel, Protocol):
    """A segment on a microcontroller, whose frames go over a serial line."""

    board: tuple[float, float] | None

    def line_times(self) -> tuple[LineTime, ...]:
        """The latest requests on the line."""

    def memory(self) -> BoardMemory:
        """What the board says of its memory."""


class EngineLost(DeviceError):
    """What an engine runs on is gone: ``run`` raises it, and its stage is lost, not its frame alone."""


Open = Callable[..., OpenModel]
Profile = Callable[..., KernelTimes]


class Engine(NamedTuple):
    """What runs segments on a device.

    Attributes:
        open: (artifact, variant, inputs, outputs) → a segment that is ready to run. The artifact is a file named by the
            SHA-256 of its bytes. What it raises refuses the segment; what ``run`` raises fails its frame alone, but for EngineLost.
            Where the device is a microcontroller, ``board=`` says where that is, here and in ``profile``.
        runs_on: the processor that a variant keeps busy.
        prepare: (artifact, variant) → the seconds that it took to build what the engine needs on this device, once.
        profile: (artifact, variant, inputs, least runs, seconds to spend, called between runs) → times of kernels;
            None: nobody sees into a segment, so that it is one kernel by the name of the engine.
    """

    open: Open
    runs_on: Callable[[Variant], RunsOn]
    prepare: Callable[[Path, Variant], float] = lambda artifact, variant: 0.0
    profile: Profile | None = None
