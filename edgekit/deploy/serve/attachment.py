"""Finding a pipeline again that stays: with the connections to its agents, or as a client alone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from devices import agent_runs
from edgekit.deploy.client.client import Client, Streaming
from edgekit.deploy.serve.connections import connect_all
from edgekit.deploy.serve.deployment_record import find_record, home_of, only_deployed
from edgekit.deploy.serve.failover import Coordinator
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.deploy.serve.reconnection import restored
from edgekit.deploy.serve.release import kept_frames
from edgekit.errors import DeviceError, UsageError
from edgekit.progress import Listener, of_text, silent

__all__ = ["attach", "connect"]


@contextmanager
def attach(home: Path) -> Iterator[Pipeline]:
    """The pipeline that was deployed under ``home``.

    Raises:
        UsageError: none was.
        DeviceError: it was, but an agent of it has gone.
    """
    kept = find_record(home)
    gone = [device.name for device in kept.devices if agent_runs(device, home) is False]
    if gone:
        raise DeviceError(f"the agent of {', '.join(gone)} has gone; run: edgekit stop -n {kept.cluster.name}, then edgekit deploy")
    with ExitStack() as stack:
        pipeline = restored(kept, connect_all(kept.devices, stack, home=home), home)
        pipeline.follow = Coordinator(home)
        with suppress(UsageError):
            pipeline.frames = kept_frames(kept.release, home)
        yield pipeline


@contextmanager
def connect(cluster: str | None = None, tell: Listener = silent) -> Iterator[Streaming]:
    """A client of the pipeline that was deployed to a cluster of this name, or of the only one; its agents are not asked.

    When another release is deployed, or an earlier one brought back, it goes on there, in the middle of a stream without a loss.
    So it does when a device is gone and a plan without it was kept: then this process brings it, and ``tell`` is told.

    Raises:
        UsageError: none was deployed from here, or several were and none is named.
        DeviceError: a stage cannot be reached, or serves another client.
    """
    coordinator = Coordinator(home_of(cluster or only_deployed()), of_text(tell))
    with Client(coordinator.newest(), coordinator) as client:
        yield client
