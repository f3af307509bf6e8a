"""A stage as it is now, and what it has counted since it was loaded: what agents answer to Logs.

Fields that came later have a default, so that an agent of an earlier edgekit is still understood.
"""

from msgspec import Struct

from edgekit.quantity import Bytes, Count, Seconds
from edgekit.runtime.links.ends import End

__all__ = ["Distribution", "Heat", "LinkStatus", "Passage", "StageStatus", "TransferTime"]


class Distribution(Struct, frozen=True):
    """How long something took, how often: ``counts`` up to each bound, beyond the one before it, and beyond the last; and their sum."""

    bounds_s: tuple[Seconds, ...]
    counts: tuple[Count, ...]
    sum_s: Seconds

    @property
    def count(self) -> int:
        """How often at all."""
        return sum(self.counts)


class Heat(Struct, frozen=True):
    """The hottest zone of a machine, and what holds it back at the moment; None where it does not tell."""

    temperature_c: float | None = None
    throttled: tuple[str, ...] | None = None


class Passage(Struct, frozen=True, array_like=True):
    """One frame in one place, in monotonic seconds of the device; ``epoch`` is of the stream that numbers it.

    ``board``: from when to when a microcontroller computed it; the rest of the time its serial line was busy.
    """

    epoch: Count
    frame: Count
    begin_s: float
    end_s: float
    board: tuple[float, float] | None = None


class TransferTime(Struct, frozen=True, kw_only=True):
    """Sender's view of one message: from the first byte handed over to the acknowledgement, less its way back and the receiver's hold.

    The hold is how long the receiver has had the whole message when it acknowledges it; it measures that and says so. Of
    messages that are acknowledged together it is that of the last one: those before it took at most what is told.
    """

    receiver: End
    replica: Count
    samples_s: tuple[Seconds, ...]
    passages: tuple[Passage, ...] = ()


class LinkStatus(Struct, frozen=True, kw_only=True):
    """One link of a stage: what has gone over it since the stage was loaded, and how it is now.

    ``nbytes``: of the tensors by how they are written, with what was sent again. ``resent``: messages that were.
    ``reconnects``: connections that took the place of one that was lost. ``queue``: messages that have come and wait to be
    computed on; ``credits``: messages that the receiver has room for and that have not been sent. ``seconds``: of its transfers.
    """

    peer: End
    replica: Count
    sends: bool
    linked: bool
    messages: Count = 0
    nbytes: dict[str, Bytes] = {}
    resent: Count = 0
    reconnects: Count = 0
    queue: Count | None = None
    credits: Count | None = None
    seconds: Distribution | None = None


class StageStatus(Struct, frozen=True, kw_only=True):
    """A stage as it is now, with the spans (frame, start, stop; monotonic seconds) of its latest frames.

    ``now_s``: the device's monotonic clock when this was told; ``busy_s``: time that the stage has computed for since it was loaded.
    ``clients`` counts its links with clients. ``boards``: from when to when a microcontroller computed each frame of ``spans``; empty
    where the stage has none.
    """

    name: str
    plan: str
    stage: Count
    replica: Count
    state: str
    pid: int = 0
    frames: Count = 0
    failed: Count = 0
    peak_bytes: Bytes = 0
    spans: tuple[tuple[int, float, float], ...] = ()
    transfers: tuple[TransferTime, ...] = ()
    owner: str = ""
    now_s: float | None = None
    busy_s: Seconds | None = None
    seconds: Distribution | None = None
    links: tuple[LinkStatus, ...] = ()
    passages: tuple[Passage, ...] = ()
    clients: Count = 0
    boards: tuple[tuple[float, float], ...] = ()
