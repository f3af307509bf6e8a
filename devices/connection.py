"""The one interface to a device: the verbs of an agent. Every kind of address has a class that speaks them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from devices.local_ports import Receive
from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.graph import Tensor
from edgekit.runtime.agent.control import Stream
from edgekit.runtime.verbs import (
    REAL,
    Emulation,
    Engine,
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
    "REAL",
    "Connection",
    "Emulation",
    "Engine",
    "FactsReply",
    "KernelTime",
    "Measure",
    "Measured",
    "NotSetUp",
    "Probe",
    "Probed",
    "Transport",
    "VirtualStage",
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


class VirtualStage(Protocol):
    """A loaded stage whose outputs are computed in this process, and whose time is described."""

    @property
    def spec(self) -> StageSpec:
        """What was loaded."""

    @property
    def seconds(self) -> float:
        """What a frame takes on the virtual clock."""

    def compute(self, arrays: "Mapping[str, NDArray[Any]]", /) -> "Mapping[str, NDArray[Any]]":
        """The outputs for one frame."""


class NotSetUp(DeviceError):
    """A machine without an agent of ours: no stage runs there."""


class Connection(Protocol):
    """A device that can be asked. Errors are DeviceError (it cannot) or what the request itself is guilty of.

    Callers ask it for these facts, never for its class or the scheme of its address.
    """

    @property
    def device(self) -> Device:
        """The device as the cluster describes it."""

    @property
    def virtual(self) -> bool:
        """Whether its clock is virtual: a description says what its work takes, and there are no processes and no links."""

    @property
    def virtual_stages(self) -> Mapping[tuple[str, int, int], VirtualStage]:
        """Those that are loaded, by plan, stage and replica, for the client to compute; none where the clock is real."""

    @property
    def stays(self) -> bool:
        """Whether its agent and the stages outlive this connection."""

    @property
    def agent_socket(self) -> Path | None:
        """The socket of its agent; None: that is on another machine, or there is no agent."""

    @property
    def near(self) -> str | None:
        """The address of this machine that the way to the device begins at; None: it is not known, or there is no way to go."""

    def forward(self, receive: Receive) -> AbstractContextManager[tuple[str, int]]:
        """An address that programs on its machine can dial, until the context is left; ``receive`` gets each connection, here.

        Raises:
            DeviceError: its machine does not allow it.
        """

    def dial(self, host: str, port: int) -> Stream:
        """A connection that its machine makes, for this process to use.

        Raises:
            DeviceError: its machine does not allow it, or nobody answers there; or OSError.
        """

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
