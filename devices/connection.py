"""The one interface to a device: the verbs of an agent. Every kind of address has a class that speaks them."""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from edgekit.device import Device
from edgekit.graph import Tensor
from edgekit.runtime.verbs import (
    FactsReply,
    KernelTime,
    Loaded,
    LogsReply,
    Measure,
    Measured,
    Probe,
    Probed,
    Run,
    StageSpec,
    Transport,
    Work,
    coding_works,
    works,
)

__all__ = [
    "Connection",
    "FactsReply",
    "KernelTime",
    "Measure",
    "Measured",
    "Probe",
    "Probed",
    "Transport",
    "Work",
    "coding_works",
    "packed",
    "works",
]


if TYPE_CHECKING:
    from numpy.typing import NDArray


def packed(tensors: tuple[Tensor, ...], arrays: "Mapping[str, NDArray[Any]]") -> bytes:
    """The bytes of arrays in the layout of their tensors, as ``put``, ``load`` and ``measure`` take them."""
    from edgekit.runtime.links.frames import Layout

    return Layout(tensors).pack(arrays)


class Connection(Protocol):
    """A device that can be asked. Errors are DeviceError (it cannot) or what the request itself is guilty of."""

    @property
    def device(self) -> Device:
        """The device as the cluster describes it."""

    def claim(self, purpose: str) -> None:
        """Have the device for oneself until this connection is closed; DeviceError says who has it already, and for what."""

    def facts(self) -> FactsReply:
        """What machine it is."""

    def clock(self) -> float:
        """The monotonic clock of its processes, in seconds since some time in the past."""

    def put(self, data: bytes) -> str:
        """Keep some bytes there; their digest names them from now on. What is there already is not sent."""

    def load(self, spec: StageSpec, golden: bytes = b"") -> tuple[Loaded, bytes]:
        """Start a stage; ``golden`` are inputs in the layout of its tensors, answered by its outputs."""

    def measure(self, request: Measure) -> tuple[Measured, bytes]:
        """Time a model in a stage process of its own."""

    def probe(self, request: Probe) -> Probed:
        """Open an echo here, or time frames from here to one."""

    def run(self, request: Run) -> None:
        """Let a loaded stage dial its receivers and serve."""

    def logs(self, spans: int = 0, after: int | None = None, since_s: float | None = None) -> LogsReply:
        """The agent's log of late, or after a mark; and its stages with their latest frames, and with all since a time of its clock."""

    def stop(self, plan: str | None = None) -> None:
        """End the stages of a plan; without one, the agent itself."""

    def close(self) -> None:
        """Leave the device; an agent started only for this connection ends."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
