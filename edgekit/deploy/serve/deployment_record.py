"""What is written down of a pipeline that stays, so that other commands find it: ``deployment.json`` under its home.

``deploying.json`` beside it is of a deployment that has not come to its end, or did not.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgekit import folders
from edgekit.cluster import Cluster
from edgekit.device import Device
from edgekit.errors import UsageError
from edgekit.files import read, write
from edgekit.graph import Graph
from edgekit.mistakes import guess
from edgekit.plan import Plan
from edgekit.runtime.verbs import Loaded, Transport
from edgekit.trace import Equality

if TYPE_CHECKING:
    from edgekit.deploy.serve.pipeline import Pipeline

__all__ = ["DEPLOYED", "DEPLOYING", "Left", "Record", "deployed", "deployed_names", "find_record", "home_of", "only_deployed", "record"]

DEPLOYED, DEPLOYING = "deployment.json", "deploying.json"


class Left(msgspec.Struct, frozen=True):
    """A device that may still run stages of a release that another has taken over from."""

    device: Device
    release: str


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="format", tag="edgekit.deployment"):
    """A release that serves, and those that did before it, the latest last.

    ``secure``: its machines know each other by certificates. ``transport``: what carries their links. ``left``: where releases
    before it have not been ended yet.
    """

    plan: Plan
    graph: Graph
    cluster: Cluster
    release: str
    addresses: tuple[tuple[Any, int, Any, int, str, int], ...]
    loaded: tuple[tuple[int, int, Loaded], ...]
    equality: Equality | None = None
    before: tuple[str, ...] = ()
    secure: bool = True
    transport: Transport = "socket"
    left: tuple[Left, ...] = ()
    version: int = 3

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those that it runs on."""
        return tuple(map(self.cluster.device, self.plan.devices))


def home_of(cluster: str) -> Path:
    """Where the agents and the record of a cluster's pipeline are kept.

    Raises:
        UsageError: the cluster's name is no folder's.
    """
    if "/" in cluster or cluster in ("", ".", ".."):
        raise UsageError(f"cluster {cluster!r} cannot have a folder of its name; call it something without a /")
    return folders.state() / cluster


def deployed_names(state: Path | None = None) -> tuple[str, ...]:
    """The pipelines that are written down, also those whose deployment has not come to its end.

    ``state`` is the folder of their homes.
    """
    homes = state or folders.state()
    found = {path.parent.name for name in (DEPLOYED, DEPLOYING) for path in homes.glob(f"*/{name}")}
    return tuple(sorted(found))


def only_deployed() -> str:
    """The pipeline that is meant where none is named.

    Raises:
        UsageError: there is none, or there are several.
    """
    names = deployed_names()
    if not names:
        raise UsageError("no pipeline is deployed; run: edgekit deploy, or name a plan")
    if len(names) > 1:
        raise UsageError(f"several pipelines are deployed: {', '.join(names)}; name one, with -n NAME")
    return names[0]


def deployed(home: Path) -> bool:
    """Whether a pipeline has been written down under ``home``."""
    return (home / DEPLOYED).is_file()


def find_record(home: Path) -> Record:
    """What was written down.

    Raises:
        UsageError: nothing was.
    """
    if not deployed(home):
        if others := [name for name in deployed_names(home.parent) if name != home.name]:
            there = f"{guess(home.name, others) or ';'} deployed: {', '.join(others)}"
            raise UsageError(f"no pipeline called {home.name} is deployed{there}")
        raise UsageError(f"no pipeline is deployed under {home}; run: edgekit deploy, or name a plan")
    return read(home / DEPLOYED, Record)


def record(pipeline: "Pipeline", path: Path, *, before: tuple[str, ...] = (), left: tuple[Left, ...] = ()) -> Record:
    """Write a pipeline down."""
    addresses = tuple((*edge, *address) for edge, address in pipeline.addresses.items())
    loaded = tuple((*key, value) for key, value in pipeline.loaded.items())
    plan, graph, cluster, secure = pipeline.plan, pipeline.graph, pipeline.cluster, pipeline.authority is not None
    made = Record(plan, graph, cluster, pipeline.release, addresses, loaded, pipeline.equality, before, secure, pipeline.transport, left)
    write(path, made)
    return made
