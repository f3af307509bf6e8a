"""A Connection over a channel to an agent, however the channel was opened."""

import threading
from types import TracebackType
from typing import Any, Self

from edgekit.device import Device
from edgekit.errors import DeviceError
from edgekit.runtime.control import Channel
from edgekit.runtime.store import digest_of
from edgekit.runtime.verbs import (
    Done,
    Facts,
    FactsReply,
    Load,
    Loaded,
    Logs,
    LogsReply,
    Measure,
    Measured,
    Probe,
    Probed,
    Put,
    PutReply,
    Request,
    Run,
    StageSpec,
    Stop,
)

__all__ = ["AgentConnection"]


class AgentConnection:
    """The verbs, sent one at a time."""

    def __init__(self, device: Device, channel: Channel):
        self._device = device
        self._channel = channel
        self._lock = threading.Lock()

    @property
    def device(self) -> Device:
        return self._device

    def facts(self) -> FactsReply:
        reply: FactsReply = self._ask(Facts(), FactsReply)[0]
        return reply

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        if not self._ask(Put(digest), PutReply)[0].present and not self._ask(Put(digest), PutReply, data)[0].present:
            raise DeviceError(f"{self._device.name}: {len(data)} bytes were sent but not kept; see its log")
        return digest

    def load(self, spec: StageSpec, golden: bytes = b"") -> tuple[Loaded, bytes]:
        reply: tuple[Loaded, bytes] = self._ask(Load(spec), Loaded, golden)
        return reply

    def measure(self, request: Measure) -> tuple[Measured, bytes]:
        reply: tuple[Measured, bytes] = self._ask(request, Measured)
        return reply

    def probe(self, request: Probe) -> Probed:
        reply: Probed = self._ask(request, Probed)[0]
        return reply

    def run(self, request: Run) -> None:
        self._ask(request, Done)

    def logs(self, spans: int = 0) -> LogsReply:
        reply: LogsReply = self._ask(Logs(spans), LogsReply)[0]
        return reply

    def stop(self, plan: str | None = None) -> None:
        self._ask(Stop(plan), Done)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, request: Request, reply: Any, blob: bytes = b"") -> tuple[Any, bytes]:
        with self._lock:
            return self._channel.ask(request, reply, blob)
