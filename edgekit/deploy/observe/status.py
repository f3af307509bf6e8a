"""What a pipeline that stays should be and what it is, device by device; one that cannot be reached is told, not raised."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from devices import Connection, agent_runs, connect, scheme_of
from edgekit.deploy.observe.rates import StageRate, rates
from edgekit.deploy.observe.stragglers import Slow, Slowing
from edgekit.deploy.serve.deployment_record import Record, find_record
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.log import Event, event_of
from edgekit.runtime.verbs import LogsReply, StageStatus

if TYPE_CHECKING:
    from edgekit.deploy.observe.recording import Recording

__all__ = ["Host", "Observer", "Status"]

SERVING = "serving"

SILENT_S = 10.0
"""Time that an agent has to answer, or a machine to be reached."""


class Host(Struct, frozen=True):
    """A device: how hot it is, what slows it down (None: it does not tell), and where it serves its metrics."""

    device: str
    temperature_c: float | None = None
    throttled: tuple[str, ...] | None = None
    pages: str = ""

    def seen_from_here(self, device: Device) -> str:
        """How its metrics are read on this machine.

        >>> Host("pi", pages="127.0.0.1:9464").seen_from_here(Device("pi", "ssh://pi@raspi"))
        'http://127.0.0.1:9464/metrics, after: ssh -N -L 9464:127.0.0.1:9464 ssh://pi@raspi'
        """
        host, _, port = self.pages.rpartition(":")
        if not scheme_of(device).login:
            return f"http://{self.pages}/metrics"
        if host in ("127.0.0.1", "[::1]", "localhost"):
            return f"http://127.0.0.1:{port}/metrics, after: ssh -N -L {port}:{self.pages} {device.address}"
        if host not in ("0.0.0.0", "[::]"):
            return f"http://{self.pages}/metrics"
        from devices.ssh_config import route

        there = route(device.address)[-1].host
        return f"http://{f'[{there}]' if ':' in there else there}:{port}/metrics"


class Status(NamedTuple):
    """Every stage that there should be, as it is, and the devices; ``rates`` are those since the look before, if there was one.

    ``slow``: those that have taken longer than their plan counts on for a while.
    """

    record: Record
    stages: tuple[StageStatus, ...]
    hosts: tuple[Host, ...] = ()
    rates: tuple[StageRate, ...] = ()
    slow: tuple[Slow, ...] = ()

    @property
    def degraded(self) -> tuple[str, ...]:
        """Those that do not serve, and why."""
        return tuple(f"{stage.name} is {stage.state}" for stage in self.stages if stage.state != SERVING)


class Observer:
    """Asks all devices of the pipeline under ``home`` (or of that record) at once; connections are kept for the next time, and
    opened anew when lost.

    Raises:
        UsageError: no pipeline was deployed there.
    """

    def __init__(self, home: Path, record: Record | None = None):
        self.record = record or find_record(home)
        self._home = home
        self._connections: dict[str, Connection] = {}
        self._asking: dict[str, threading.Thread] = {}
        self._marks: dict[str, int | None] = {device.name: None for device in self.record.devices}
        self._before: tuple[StageStatus, ...] = ()
        self._rests = dict.fromkeys(self._marks, "")
        self._slowing = Slowing(self.record.plan)

    def status(self) -> Status:
        """How it is now."""
        replies = self._ask_all()
        stages = []
        for index, stage in enumerate(self.record.plan.stages):
            for replica, name in enumerate(stage.devices):
                stages.append(self._stage(index, replica, name, replies[name]))
        moving = rates(self._before, stages)
        self._before = tuple(stages)
        hosts = tuple(_host(*each) for each in replies.items())
        return Status(self.record, self._before, hosts, moving, self._slowing.look(moving, time.monotonic()))

    def events(self) -> list[Event]:
        """What the devices have logged, by their clocks: of late at first, then what is new; a device that is out of reach has none."""
        found: list[Event] = []
        for name, reply in self._ask_all().items():
            if isinstance(reply, LogsReply):
                self._marks[name] = reply.mark
                *lines, self._rests[name] = (self._rests[name] + reply.text).split("\n")
                found += [_event(line, name) for line in lines if line.strip()]
        return sorted(found, key=lambda event: event.time)

    def watch(self, seconds: float) -> "Recording":
        """What passes on all devices in so many seconds.

        Raises:
            DeviceError: one is out of reach.
        """
        from edgekit.deploy.observe.recording import Recorder

        connections = {device.name: self._connection(device) for device in self.record.devices}
        with Recorder(self.record.plan, self.record.release, connections) as recorder:
            time.sleep(seconds)
        return recorder.recording

    def close(self) -> None:
        """Leave the devices as they are."""
        for connection in list(self._connections.values()):
            connection.close()
        self._connections.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _stage(self, index: int, replica: int, device: str, reply: LogsReply | str) -> StageStatus:
        release = self.record.release
        if not isinstance(reply, str):
            for stage in reply.stages:
                if (stage.plan, stage.stage, stage.replica) == (release, index, replica):
                    return stage
        state = f"out of reach: {reply}" if isinstance(reply, str) else "missing"
        return StageStatus(
            name=f"stage {index}@{device}", plan=release, stage=index, replica=replica, pid=0, state=state, frames=0, failed=0, peak_bytes=0
        )

    def _ask_all(self) -> dict[str, LogsReply | str]:
        """What each device answers; or why it does not. One that is silent is asked again once it has answered."""
        replies: dict[str, LogsReply | str] = {}

        def ask(device: Device) -> None:
            try:
                replies[device.name] = self._connection(device).logs(0, self._marks[device.name])
            except EdgekitError as error:
                replies[device.name] = str(error)
                if lost := self._connections.pop(device.name, None):
                    lost.close()

        for device in self.record.devices:
            if device.name not in self._asking or not self._asking[device.name].is_alive():
                self._asking[device.name] = threading.Thread(target=ask, args=(device,), name=f"asking {device.name}", daemon=True)
                self._asking[device.name].start()
        end_s = time.monotonic() + SILENT_S
        for thread in self._asking.values():
            thread.join(max(end_s - time.monotonic(), 0.0))
        return {name: replies.get(name, f"{name}: its agent has not answered for {SILENT_S:g} s; is it stopped?") for name in self._marks}

    def _connection(self, device: Device) -> Connection:
        if device.name not in self._connections:
            if agent_runs(device, self._home) is False:
                raise DeviceError(f"{device.name}: its agent has gone")
            self._connections[device.name] = connect(device, self._home)
        return self._connections[device.name]


def _host(device: str, reply: LogsReply | str) -> Host:
    return Host(device) if isinstance(reply, str) else Host(device, reply.heat.temperature_c, reply.heat.throttled, reply.pages)


def _event(line: str, device: str) -> Event:
    """What a line of a device's log says; one that an agent of an earlier edgekit wrote has its time in front."""
    event = event_of(line)
    if event is None:
        time, _, text = line.partition(" ")
        event = Event(time, 0.0, "info", text) if time[:2] == "20" and time[10:11] == "T" else Event("", 0.0, "warning", line)
    return replace(event, device=device)
