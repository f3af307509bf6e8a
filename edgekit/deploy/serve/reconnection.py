"""Where a pipeline that stays serves, for clients that outlive its releases."""

from collections.abc import Mapping
from pathlib import Path

from devices import Connection
from devices.authority import Authority
from edgekit.deploy.client.client_links import Target
from edgekit.deploy.serve.deployment_record import DEPLOYED, Record, find_record
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.errors import EdgekitError

__all__ = ["Following", "restored"]


def restored(kept: Record, connections: Mapping[str, Connection], home: Path) -> Pipeline:
    """A pipeline as it was written down."""
    pipeline = Pipeline(kept.plan, kept.graph, kept.cluster, connections, kept.release)
    pipeline.authority = Authority.kept(kept.cluster.name, home, kept.release) if kept.secure else None
    pipeline.transport = kept.transport
    pipeline.addresses = {(a, b, c, d): (host, port) for a, b, c, d, host, port in kept.addresses}
    pipeline.loaded = {(stage, replica): loaded for stage, replica, loaded in kept.loaded}
    pipeline.equality = kept.equality
    return pipeline


class Following:
    """Reads the record of a pipeline again whenever it has changed."""

    def __init__(self, home: Path):
        self._home = home
        self._seen = self._stamp()
        self._target = restored(find_record(home), {}, home).target()

    def newest(self) -> Target:
        """What serves now; once nothing does, what did."""
        stamp = self._stamp()
        if stamp not in (self._seen, None):
            try:
                kept = find_record(self._home)
                if kept.release != self._target.release:
                    self._target = restored(kept, {}, self._home).target()
                self._seen = stamp
            except EdgekitError:  # ended meanwhile, or written by another edgekit: what is linked goes on as long as it lasts
                pass
        return self._target

    def mending(self) -> bool:
        """Nobody here changes plans."""
        return False

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self._home / DEPLOYED).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino
