"""What a device has counted, in the text format that Prometheus reads (version 0.0.4); what nobody measures is absent.

Format: prometheus.io/docs/instrumenting/exposition_formats. A counter that begins again at 0, as those of a stage that was
loaded again do, is what ``rate()`` expects.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edgekit.runtime.stage.status_records import Distribution, LinkStatus, StageStatus

__all__ = ["CONTENT_TYPE", "Sensed", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


class Sensed(NamedTuple):
    """What the machine tells: °C by thermal zone, whether it is held back by cause, joules by meter."""

    temperatures_c: Mapping[str, float]
    throttled: Mapping[str, bool]
    joules: Mapping[str, float]


class _Family(NamedTuple):
    name: str
    kind: str
    says: str


FRAMES = _Family("edgekit_frames_total", "counter", "Frames that a stage has computed, or could not.")
STAGE = _Family("edgekit_stage_seconds", "histogram", "Time that a stage computes on a frame.")
LINK = _Family("edgekit_link_seconds", "histogram", "Time of a message by its sender's clock, less what its receiver held it.")
QUEUE = _Family("edgekit_queue_depth", "gauge", "Messages that have come and wait to be computed on.")
CREDITS = _Family("edgekit_credits", "gauge", "Messages that the receiver has room for and that have not been sent.")
RESENT = _Family("edgekit_retransmits_total", "counter", "Messages that were sent again over another connection.")
RECONNECTS = _Family("edgekit_reconnects_total", "counter", "Connections that took the place of one that was lost.")
BYTES = _Family("edgekit_bytes_total", "counter", "Bytes of tensors, by how they are written.")
TEMPERATURE = _Family("edgekit_temp_celsius", "gauge", "Temperature of a thermal zone.")
THROTTLED = _Family("edgekit_throttled", "gauge", "Whether the machine is held back at the moment, by cause.")
ENERGY = _Family("edgekit_energy_joules_total", "counter", "Energy by one meter since it was first read; meters may see the same.")


def exposition(stages: Iterable[StageStatus], sensed: Sensed) -> str:
    """All of it; a stage that does not say how it is has no figures."""
    lines: dict[_Family, list[str]] = {}
    for stage in stages:
        if stage.seconds is not None:
            _stage(lines, stage, stage.seconds)
    _sensed(lines, sensed)
    heads = {family: [f"# HELP {family.name} {family.says}", f"# TYPE {family.name} {family.kind}"] for family in lines}
    return "".join(f"{line}\n" for family, told in lines.items() for line in (*heads[family], *told))


def _stage(lines: dict[_Family, list[str]], stage: StageStatus, seconds: Distribution) -> None:
    labels = {"stage": str(stage.stage), "replica": str(stage.replica), "device": stage.name.partition("@")[2], "plan": stage.plan[:12]}
    _add(lines, FRAMES, {**labels, "result": "done"}, stage.frames)
    _add(lines, FRAMES, {**labels, "result": "failed"}, stage.failed)
    _spread(lines, STAGE, labels, seconds)
    for link in stage.links:
        _link(lines, link, {**labels, "peer": str(link.peer), "peer_replica": str(link.replica)})


def _link(lines: dict[_Family, list[str]], link: LinkStatus, labels: Labels) -> None:
    both = {**labels, "direction": "sent" if link.sends else "received"}
    for codec, nbytes in link.nbytes.items():
        _add(lines, BYTES, {**both, "codec": codec}, nbytes)
    _add(lines, RECONNECTS, both, link.reconnects)
    if link.queue is not None:
        _add(lines, QUEUE, labels, link.queue)
    if link.credits is not None:
        _add(lines, CREDITS, labels, link.credits)
        _add(lines, RESENT, labels, link.resent)
    if link.seconds is not None:
        _spread(lines, LINK, labels, link.seconds)


def _sensed(lines: dict[_Family, list[str]], sensed: Sensed) -> None:
    for zone, celsius in sensed.temperatures_c.items():
        _add(lines, TEMPERATURE, {"zone": zone}, celsius)
    for cause, now in sensed.throttled.items():
        _add(lines, THROTTLED, {"cause": cause}, int(now))
    for meter, joules in sensed.joules.items():
        _add(lines, ENERGY, {"meter": meter}, joules)


def _spread(lines: dict[_Family, list[str]], family: _Family, labels: Labels, times: Distribution) -> None:
    """A histogram: buckets hold all that is below their bound."""
    total = 0
    for bound, count in zip((*map(repr, times.bounds_s), "+Inf"), times.counts, strict=True):
        total += count
        _add(lines, family, {**labels, "le": bound}, total, "_bucket")
    _add(lines, family, labels, times.sum_s, "_sum")
    _add(lines, family, labels, total, "_count")


def _add(lines: dict[_Family, list[str]], family: _Family, labels: Labels, value: float, part: str = "") -> None:
    told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
    lines.setdefault(family, []).append(f"{family.name}{part}{{{told}}} {value!r}")


def _escaped(text: str) -> str:
    r"""Label values may hold anything.

    >>> print(_escaped('a "b" \\ c'))
    a \"b\" \\ c
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
