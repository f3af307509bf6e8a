"""A Connection over a channel to an agent, however the channel was opened."""

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from devices import local_ports
from devices.connection import VirtualStage
from devices.local_ports import Receive
from devices.owner import me
from edgekit.device import ONNXRUNTIME, Device, Variant
from edgekit.errors import DeviceError
from edgekit.runtime.agent.control import Channel, Stream
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.board_facts import BoardPort, port_of
from edgekit.runtime.links.sockets import LOOPBACK
from edgekit.runtime.verbs import (
    Claim,
    Done,
    Facts,
    FactsReply,
    Greet,
    Greeted,
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

__all__ = ["AgentConnection", "greet"]

GREET_S = 10.0
"""Time that an agent has to say who it is."""

PIECE_BYTES = 512 * 1024
"""What the agent holds in memory and writes at once: what a broken connection may cost."""


def greet(channel: Channel) -> Greeted:
    """Who answers there.

    Raises:
        DeviceError: nobody does; the connection is closed.
    """
    greeted: Greeted = channel.ask(Greet(), Greeted, within_s=GREET_S)[0]
    return greeted


class AgentConnection:
    """The verbs, sent one at a time; ``address`` is where the device's data sockets can be dialled, unless it says otherwise.

    ``stays``: the agent outlives the connection. The ports that are forwarded are those of this machine.
    """

    def __init__(self, device: Device, channel: Channel, *, address: str = LOOPBACK, stays: bool):
        self._device = device
        self._channel = channel
        self._address = address
        self._stays = stays
        self._lock = threading.Lock()
        self._known: BoardPort | None = None

    @property
    def device(self) -> Device:
        return self._device

    @property
    def virtual(self) -> bool:
        return False

    @property
    def virtual_stages(self) -> Mapping[tuple[str, int, int], VirtualStage]:
        return {}

    @property
    def stays(self) -> bool:
        return self._stays

    @property
    def agent_socket(self) -> Path | None:
        return None

    @property
    def near(self) -> str | None:
        return None

    def forward(self, receive: Receive) -> AbstractContextManager[tuple[str, int]]:
        return local_ports.forward(receive)

    def dial(self, host: str, port: int) -> Stream:
        return local_ports.dial(host, port)

    def claim(self, purpose: str) -> None:
        self._ask(Claim(me(), purpose), Done)

    def facts(self) -> FactsReply:
        reply: FactsReply = self._ask(Facts(port_of(self._device)), FactsReply)[0]
        if reply.boardless and self._device.port is not None:
            return msgspec.structs.replace(reply, boardless=f"{self._device.address}: {reply.boardless}")
        return reply

    def clock(self) -> float:
        now_s: float | None = self._ask(Greet(), Greeted)[0].now_s
        if now_s is None:
            raise DeviceError(f"{self._device.name}: its agent does not tell the time; set it up again, or deploy again")
        return now_s

    def put(self, data: bytes) -> str:
        digest = digest_of(data)
        there: PutReply = self._ask(Put(digest), PutReply)[0]
        while not there.present:
            begin = there.held_bytes
            there = self._send(digest, data, begin)
            if not there.present and there.held_bytes <= begin:
                raise DeviceError(f"{self._device.name}: {len(data)} bytes were sent but not kept; see its log")
        return digest

    def load(self, spec: StageSpec, golden: bytes = b"") -> tuple[Loaded, bytes]:
        spec = msgspec.structs.replace(spec, listen=spec.listen or self._address, board=self._board(spec.variant))
        reply: tuple[Loaded, bytes] = self._ask(Load(spec), Loaded, golden)
        return reply

    def measure(self, request: Measure) -> tuple[Measured, bytes]:
        request = msgspec.structs.replace(request, board=self._board(request.variant))
        reply: tuple[Measured, bytes] = self._ask(request, Measured)
        return reply

    def probe(self, request: Probe) -> Probed:
        request = msgspec.structs.replace(request, listen=request.listen or self._address)
        reply: Probed = self._ask(request, Probed)[0]
        return reply

    def run(self, request: Run) -> None:
        self._ask(request, Done)

    def logs(self, spans: int = 0, after: int | None = None, since_s: float | None = None) -> LogsReply:
        reply: LogsReply = self._ask(Logs(spans, after, since_s), LogsReply)[0]
        return reply

    def stop(self, plan: str | None = None) -> None:
        self._ask(Stop(plan), Done)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _board(self, variant: Variant) -> BoardPort | None:
        """Where the board is that an engine runs on; who it is stays the same wherever it is plugged in later."""
        if variant.engine == ONNXRUNTIME or (port := port_of(self._device)) is None:
            return None
        if self._known is None and (there := self.facts().board) is not None:
            self._known = msgspec.structs.replace(port, uid=there.uid)
        return self._known or port

    def _send(self, digest: str, data: bytes, begin: int) -> PutReply:
        """Send what follows ``begin``, in pieces; what the agent holds then."""
        view = memoryview(data)
        offsets = range(begin, max(len(data), begin + 1), PIECE_BYTES)  # with nothing left to send it still has to be finished
        with self._lock:
            pieces = ((Put(digest, len(data), offset), view[offset : offset + PIECE_BYTES]) for offset in offsets)
            reply: PutReply = self._channel.ask_ahead(pieces, PutReply)[0]
            return reply

    def _ask(self, request: Request, reply: Any, blob: bytes | memoryview = b"") -> tuple[Any, bytes]:
        with self._lock:
            return self._channel.ask(request, reply, blob=blob)
