"""``sim:`` devices: outputs computed here with the engine of the variant, times taken from a description, no process at all."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from devices.connection import VirtualStage
from devices.descriptions import completed, described_s, description
from devices.local_ports import Receive
from edgekit import __version__
from edgekit.calibration import Calibration
from edgekit.device import Device, Roofline, Variant
from edgekit.energy import Energy
from edgekit.errors import DeviceError, UsageError
from edgekit.machine import Machine
from edgekit.runtime.agent.control import Stream
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.engine.engines import engine_of
from edgekit.runtime.engine.executor import Arrays, Executor, sample_inputs
from edgekit.runtime.links.frames import Layout
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
    StageStatus,
)

__all__ = ["SimConnection", "SimStage", "connect"]


class SimStage:
    """A stage on a described machine."""

    def __init__(self, spec: StageSpec, model: bytes, seconds: float):
        self.spec = spec
        self.seconds = seconds
        self.executor = Executor(model, spec.inputs, spec.outputs, spec.variant, speed=1.0)
        self.frames = 0

    def compute(self, arrays: Arrays) -> Arrays:
        """The outputs for one frame."""
        outputs = self.golden(arrays)
        self.frames += 1
        return outputs

    def golden(self, arrays: Arrays) -> Arrays:
        """The outputs for inputs that are no frame of a stream."""
        outputs = Layout(self.spec.outputs).views(Layout(self.spec.outputs).allocate())
        self.executor.run(arrays, outputs)
        return outputs


class SimConnection:
    """The verbs on a described machine. Its memory is what model and tensors take; nothing else is known of it."""

    def __init__(self, device: Device, described: Roofline | Calibration):
        self._device = device
        self._described = described
        self._store: dict[str, bytes] = {}
        self.stages: dict[tuple[str, int, int], SimStage] = {}

    @property
    def device(self) -> Device:
        return self._device

    @property
    def virtual(self) -> bool:
        return True

    @property
    def virtual_stages(self) -> Mapping[tuple[str, int, int], VirtualStage]:
        return self.stages

    @property
    def stays(self) -> bool:
        return False

    @property
    def agent_socket(self) -> Path | None:
        return None

    @property
    def near(self) -> str | None:
        return None

    def forward(self, receive: Receive) -> AbstractContextManager[tuple[str, int]]:
        self._no_links()

    def dial(self, host: str, port: int) -> Stream:
        self._no_links()

    def claim(self, purpose: str) -> None:
        """It is nobody else's in any case."""

    def facts(self) -> FactsReply:
        engines = (Engine("onnxruntime", metadata.version("onnxruntime"), ("CPUExecutionProvider",)),)
        described = self._described
        processor = f"{described.device}, calibrated" if isinstance(described, Calibration) else str(described)
        return FactsReply(
            version=__version__, machine=Machine("sim", 1, processor=processor, memory_bytes=self.device.memory_bytes), engines=engines
        )

    def clock(self) -> float:
        return time.monotonic()

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        self._store[digest] = data
        return digest

    def load(self, spec: StageSpec, golden: bytes = b"") -> tuple[Loaded, bytes]:
        model = self._model(spec.model)
        stage = SimStage(spec, model, sum(self._seconds(spec.emulation, spec.variant)))
        held = len(model) + Layout(spec.inputs).nbytes + Layout(spec.outputs).nbytes
        outputs = stage.golden(Layout(spec.inputs).unpack(golden) if golden else sample_inputs(spec.inputs))
        self.stages[spec.plan, spec.stage, spec.replica] = stage
        return Loaded(host="sim", port=0, load_s=0.0, base_bytes=0, peak_bytes=held), Layout(spec.outputs).pack(outputs)

    def measure(self, request: Measure) -> tuple[Measured, bytes]:
        model = self._model(request.model)
        if request.mode == "energy":
            return Measured(
                samples_s=(), cpu_s=(), base_bytes=0, peak_bytes=len(model), load_s=0.0, energy=Energy(reason="it is only described")
            ), b""
        runs_on = engine_of(request.variant).runs_on(request.variant)
        if request.mode == "kernels":
            each = enumerate(self._seconds(request.emulation, request.variant))
            kernels = tuple(KernelTime(name=f"unit {i}", op="unit", seconds=seconds) for i, seconds in each)
            return Measured(samples_s=(), cpu_s=(), base_bytes=0, peak_bytes=len(model), load_s=0.0, kernels=kernels, runs_on=runs_on), b""
        seconds = (sum(self._seconds(request.emulation, request.variant)),) * request.least
        return Measured(samples_s=seconds, cpu_s=seconds, base_bytes=0, peak_bytes=len(model), load_s=0.0, runs_on=runs_on), b""

    def probe(self, request: Probe) -> Probed:
        self._no_links()

    def run(self, request: Run) -> None:
        if (request.plan, request.stage, request.replica) not in self.stages:
            raise DeviceError(f"{self.device.name}: stage {request.stage} is not loaded; deploy the plan again")

    def logs(self, spans: int = 0, after: int | None = None, since_s: float | None = None) -> LogsReply:
        return LogsReply(
            text="",
            stages=tuple(
                StageStatus(
                    name=stage.spec.name,
                    plan=plan,
                    stage=index,
                    replica=replica,
                    state="serving",
                    frames=stage.frames,
                )
                for (plan, index, replica), stage in self.stages.items()
            ),
        )

    def stop(self, plan: str | None = None) -> None:
        self.stages = {key: stage for key, stage in self.stages.items() if plan is not None and key[0] != plan}

    def close(self) -> None:
        self.stages.clear()
        self._store.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _no_links(self) -> NoReturn:
        raise UsageError(f"{self.device.name} is simulated: its links are described in the cluster, not measured")

    def _model(self, digest: str) -> bytes:
        if digest not in self._store:
            raise DeviceError(f"{self.device.name}: the model {digest[:12]} is not in the store; put it first")
        return self._store[digest]

    def _seconds(self, emulation: Emulation | None, variant: Variant) -> tuple[float, ...]:
        if isinstance(self._described, Calibration):
            self._described.require(variant)
        return described_s((emulation or REAL).works, self._described, variant)


def connect(device: Device, home: Path | None = None) -> SimConnection:
    """Reach a ``sim:`` device; ``home`` means nothing to it.

    Raises:
        UsageError: the device has no description.
    """
    return SimConnection(completed(device), description(device))
