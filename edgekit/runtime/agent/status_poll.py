"""How an agent asks all its stages at once how they are; one that does not answer is told of, and keeps nobody waiting."""

import threading
import time
from collections.abc import Mapping

import msgspec

from edgekit.errors import EdgekitError
from edgekit.runtime.agent.children import Child
from edgekit.runtime.stage.status_records import StageStatus
from edgekit.runtime.verbs import Logs, LogsReply

__all__ = ["statuses"]

PATIENCE_S = 5.0
"""Time that a stage process has to say how it is."""

Key = tuple[str, int, int]


def statuses(children: Mapping[Key, Child], asked: Logs, within_s: float = PATIENCE_S) -> list[StageStatus]:
    """All stage processes, asked at once; of one that does not answer in time it is told that it does not."""
    found: dict[Key, StageStatus] = {}

    def ask(key: Key, child: Child) -> None:
        try:
            reply, _ = child.ask(msgspec.structs.replace(asked, after=None), within_s=within_s)
            (state,) = reply.stages if isinstance(reply, LogsReply) else ()
            found[key] = msgspec.structs.replace(state, pid=child.process.pid)
        except (EdgekitError, ValueError) as error:
            found[key] = _silent(key, child, f"lost: {error}" if child.channel.closed else str(error))

    threads = [threading.Thread(target=ask, args=each, name="asking a stage", daemon=True) for each in children.items()]
    for thread in threads:
        thread.start()
    end_s = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(end_s - time.monotonic(), 0.0))
    late = f"silent: it has not answered for {within_s:g} s"
    return [found.get(key) or _silent(key, child, late) for key, child in children.items()]


def _silent(key: Key, child: Child, state: str) -> StageStatus:
    name, owner = (child.spec.name, child.spec.owner) if child.spec else ("stage", "")
    plan, stage, replica = key
    pid = child.process.pid if not child.channel.closed else 0
    return StageStatus(
        name=name,
        plan=plan,
        stage=stage,
        replica=replica,
        state=state,
        pid=pid,
        owner=owner,
    )
