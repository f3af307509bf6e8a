"""Brings the next plan where devices of the one that serves are gone for good.

lost ── all machines answer ──▶ its stages come back by themselves
  └── some do not, and still do not ──▶ the plan that was kept for it is brought as any deployment is, and clients follow it
"""

import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from devices import agent_runs
from edgekit.deploy.serve.connections import connect_all
from edgekit.deploy.serve.deployment_record import Record, find_record
from edgekit.deploy.serve.deployments import fall_back
from edgekit.deploy.serve.reconnection import Following
from edgekit.deploy.serve.release import kept_fallbacks
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError
from edgekit.progress import Tell, silent

__all__ = ["Coordinator"]

AGAIN_S = 2.0
"""Time between two looks: a machine that is silent at both is gone."""

SILENT_S = 4.0
"""Time that an agent has to answer."""


class Coordinator(Following):
    """Follows a pipeline, and mends it as long as somebody asks whether it does."""

    def __init__(self, home: Path, tell: Tell = silent):
        super().__init__(home)
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._looked_s = float("-inf")
        self._silent: frozenset[str] = frozenset()
        self._hopeful = False
        """Whether the look that goes on may bring another plan.

        It may if it is the first after a loss, or if a machine was silent at the one before.
        """

    def mending(self) -> bool:
        """Whether another plan is on its way, or may be; never where none was kept."""
        if self._thread is not None and self._thread.is_alive():
            return self._hopeful
        since_s = time.monotonic() - self._looked_s
        if since_s < AGAIN_S:
            return bool(self._silent)
        if since_s > 2 * AGAIN_S:  # of another loss
            self._silent = frozenset()
        self._hopeful = since_s > 2 * AGAIN_S or bool(self._silent)
        if not self._spare():
            self._silent, self._looked_s = frozenset(), time.monotonic()
            return False
        self._thread = threading.Thread(target=self._look, name="coordinator", daemon=True)
        self._thread.start()
        return self._hopeful

    def _spare(self) -> list[tuple[str, ...]]:
        """The devices of each plan that was kept for a loss."""
        try:
            release = find_record(self._home).release
            return [each.plan.devices for each in kept_fallbacks(release, self._home)]
        except EdgekitError:  # ended meanwhile
            return []

    def _look(self) -> None:
        before, suspected = self._silent, frozenset[str]()
        try:
            kept = find_record(self._home)
            spare = (name for names in self._spare() for name in names)
            silent = self._out_of_reach(kept, {*kept.plan.devices, *spare})
            gone = silent & before
            if gone & set(kept.plan.devices):
                self._tell(f"{', '.join(sorted(gone))} cannot be reached; bringing the plan that does without")
                fall_back(self._home, gone, self._tell)
            elif silent & set(kept.plan.devices):
                suspected = silent
        except EdgekitError as error:  # no plan is left, or somebody else is at it: the client waits as long as it would
            self._tell(str(error))
        finally:
            self._silent, self._looked_s = suspected, time.monotonic()

    def _out_of_reach(self, kept: Record, names: Iterable[str]) -> frozenset[str]:
        """Devices whose agents do not answer, asked all at once."""
        reached: set[str] = set()

        def ask(device: Device) -> None:
            gone = agent_runs(device, self._home) is False
            if device.name not in kept.plan.devices if gone else _answers(device, self._home):  # the agent of a spare one is started
                reached.add(device.name)

        asked = set(names)
        threads = [threading.Thread(target=ask, args=(kept.cluster.device(name),), name=f"asking {name}", daemon=True) for name in asked]
        for thread in threads:
            thread.start()
        end_s = time.monotonic() + SILENT_S
        for thread in threads:
            thread.join(max(end_s - time.monotonic(), 0.0))
        return frozenset(asked - reached)


def _answers(device: Device, home: Path) -> bool:
    try:
        with ExitStack() as stack:
            connect_all([device], stack, home=home)
        return True
    except DeviceError:
        return False
