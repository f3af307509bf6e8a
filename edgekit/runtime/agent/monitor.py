"""What an agent shows to monitors: its stages and its machine, as numbers and as a yes or no."""

from collections.abc import Sequence
from typing import Protocol

from edgekit.runtime.agent.metrics import CONTENT_TYPE, Sensed, exposition
from edgekit.runtime.agent.pages import Page, Pages
from edgekit.runtime.links.sockets import LOOPBACK
from edgekit.runtime.log import say
from edgekit.runtime.machine.processor import family
from edgekit.runtime.machine.sensors import BITS, temperatures, throttling
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.energy_counter import Running
from edgekit.runtime.stage.status_records import Heat, StageStatus

__all__ = ["Monitor", "heat", "show"]

SERVING = "serving"


class _Staged(Protocol):
    """Whoever looks after stages."""

    def status(self) -> Sequence[StageStatus]:
        """Every stage there is, or should be."""

    def is_free(self) -> bool:
        """Whether it could begin something now."""


class Monitor:
    """The pages of one agent."""

    def __init__(self, stages: _Staged, here: Here | None = None):
        self._stages = stages
        self._here = here or Here()
        self._joules = Running(self._here)

    def serve(self, host: str, port: int) -> Pages:
        """Have them read.

        Raises:
            OSError: nothing can listen there.
        """
        return Pages(host, port, {"/metrics": self.metrics, "/livez": self.live, "/readyz": self.ready})

    def metrics(self) -> Page:
        """All that has been counted and measured."""
        now = _throttled(self._here)
        throttled = {} if now is None else {cause: cause in now for cause in BITS}
        sensed = Sensed(temperatures(self._here), throttled, self._joules.joules())
        return Page(exposition(self._stages.status(), sensed), kind=CONTENT_TYPE)

    def live(self) -> Page:
        """Whether the agent itself works."""
        return Page("alive\n") if self._stages.is_free() else Page("busy with its own lists\n", 503)

    def ready(self) -> Page:
        """Whether every stage is loaded and linked with its neighbours."""
        stages = self._stages.status()
        lacking = [f"{stage.name} of plan {stage.plan[:12]} is {stage.state}" for stage in stages if stage.state != SERVING]
        if not stages:
            lacking = ["no stage is loaded"]
        return Page("\n".join([*lacking, ""]), 503) if lacking else Page("ready\n")


def show(stages: _Staged, host: str = LOOPBACK, port: int = 0) -> str:
    """Have monitors look at an agent, and say where: HOST:PORT; it does its work without them too, where nothing can listen."""
    try:
        address = Monitor(stages).serve(host, port).address
    except OSError as error:
        say(f"no pages for monitors at {host}:{port}: {error.strerror or error}")
        return ""
    say(f"pages for monitors at http://{address}/metrics")
    return address


def heat(here: Here) -> Heat:
    """How hot a machine is and what holds it back; None where it does not tell."""
    return Heat(max(temperatures(here).values(), default=None), _throttled(here))


def _throttled(here: Here) -> tuple[str, ...] | None:
    found = throttling(here) if family(here) == "raspberry-pi" else None
    return None if found is None else tuple(found["now"])
