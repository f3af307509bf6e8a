"""What a pipeline that stays should be and what it is, device by device; one that cannot be reached is told, not raised."""

import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from devices import Connection, connect
from devices.local import find
from edgekit.deploy.record import Record, find_record
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError
from edgekit.runtime.verbs import LogsReply, StageStatus

__all__ = ["Observer", "Status"]

SERVING = "serving"


class Status(NamedTuple):
    """Every stage that there should be, as it is."""

    record: Record
    stages: tuple[StageStatus, ...]

    @property
    def degraded(self) -> tuple[str, ...]:
        """Those that do not serve, and why."""
        return tuple(f"{stage.name} is {stage.state}" for stage in self.stages if stage.state != SERVING)


class Observer:
    """Asks all devices of the pipeline under ``home`` at once; connections are kept for the next time, and opened anew when lost.

    Raises:
        UsageError: no pipeline was deployed there.
    """

    def __init__(self, home: Path):
        self.record = find_record(home)
        self._home = home
        self._connections: dict[str, Connection] = {}
        self._marks: dict[str, int | None] = {device.name: None for device in self.record.devices}
        self._rests = dict.fromkeys(self._marks, "")

    def status(self) -> Status:
        """How it is now."""
        replies = self._ask_all()
        stages = []
        for index, stage in enumerate(self.record.plan.stages):
            for replica, name in enumerate(stage.devices):
                stages.append(self._stage(index, replica, name, replies[name]))
        return Status(self.record, tuple(stages))

    def lines(self) -> list[tuple[str, str]]:
        """Devices and lines of their logs: of late at first, then those that are new; a device that is out of reach has none."""
        found = []
        for name, reply in self._ask_all().items():
            if isinstance(reply, LogsReply):
                self._marks[name] = reply.mark
                *lines, self._rests[name] = (self._rests[name] + reply.text).split("\n")
                found += [(name, line) for line in lines]
        return found

    def close(self) -> None:
        """Leave the devices as they are."""
        for connection in self._connections.values():
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
        return StageStatus(f"stage {index}@{device}", release, index, replica, 0, state, 0, 0, 0)

    def _ask_all(self) -> dict[str, LogsReply | str]:
        """What each device answers; or why it does not."""
        replies: dict[str, LogsReply | str] = {}

        def ask(device: Device) -> None:
            try:
                replies[device.name] = self._connection(device).logs(0, self._marks[device.name])
            except EdgekitError as error:
                replies[device.name] = str(error)
                if lost := self._connections.pop(device.name, None):
                    lost.close()

        threads = [threading.Thread(target=ask, args=(device,), name=f"asking {device.name}") for device in self.record.devices]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {name: replies[name] for name in self._marks}

    def _connection(self, device: Device) -> Connection:
        if device.name not in self._connections:
            if device.scheme == "local" and not find(device, self._home):
                raise DeviceError(f"{device.name}: its agent has gone")
            self._connections[device.name] = connect(device, self._home)
        return self._connections[device.name]
