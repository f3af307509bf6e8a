"""Measures a running pipeline in the terms of its prediction: latency alone, capacity, latency under load.

Latency is read with one frame in flight. Capacity is reached by raising the number of frames in flight until
throughput stops growing. Under load, frames arrive at random (Poisson) whether or not earlier ones are done, and
latency counts from the time at which a frame was meant to be sent, so that a slow pipeline cannot hide its queue.

What a link takes is told by its sender alone, so that no two clocks are compared: from the first byte handed over to the
acknowledgement, less the way back and less how long the receiver had the message before it acknowledged it.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.deploy.client.client import Client, Streaming
from edgekit.deploy.client.sink import Result
from edgekit.deploy.client.virtual_client import VirtualClient
from edgekit.deploy.serve.pipeline import Pipeline
from edgekit.errors import DeviceError
from edgekit.files import encode
from edgekit.plan import CLIENT, Cost, Load, Memory, Term
from edgekit.progress import Tell, in_turn, part_of, prefixed, silent
from edgekit.quantity import Badge, least
from edgekit.runtime.agent.store import digest_of
from edgekit.runtime.engine.executor import sample_inputs
from edgekit.runtime.verbs import End, StageStatus
from edgekit.trace import Equality, LoadPoint, Span, Trace

__all__ = ["certify"]

FRACTIONS = (0.5, 0.8, 0.95)
"""Shares of capacity at which latency under load is measured."""

WARM_UP = 4
LEAST_GAIN = 1.03
MOST_STALE = 2
"""Doublings of the frames in flight in a row that gain nothing, after which more would not either; one may have been unlucky."""

LEAST_ROUNDS = 3
MOST_WINDOW = 64
DOUBLINGS = 4
"""How often the frames in flight are usually doubled until capacity is reached."""

TOLD = 20
"""How often a phase tells how far it is; each frame would cost time that is measured."""

SHOWN_FRAMES = 12

Arrays = Mapping[str, NDArray[np.generic]]


class _Seen(NamedTuple):
    """Samples of serial lines and computes by (stage, device), and of transfers by (source, receiver, device, device)."""

    lines: dict[tuple[int, str], list[float]]
    computes: dict[tuple[int, str], list[float]]
    transfers: dict[tuple[End, End, str, str], list[float]]


def certify(
    pipeline: Pipeline,
    *,
    seconds: float = 3.0,
    seed: int = 0,
    tell: Tell = silent,
    fractions: Sequence[float] = FRACTIONS,
    frames: Sequence[Arrays] = (),
) -> Trace:
    """The trace of a pipeline; each phase lasts about ``seconds`` but has at least 20 frames.

    ``fractions``: shares of capacity at which latency under load is measured. ``frames``: what is sent, in turn; without any,
    the frames that its deployment was checked on.

    Raises:
        StageError: a frame failed, or a stage was lost on the way.
    """
    frames = [*(frames or pipeline.frames)] or [sample_inputs(pipeline.graph.cuts[0].tensors, seed + i) for i in range(4)]
    one, capacity, *loaded = in_turn(tell, [1, DOUBLINGS, *(1 / fraction for fraction in fractions)])
    with pipeline.client() as client:
        told = prefixed(one, "latency of a frame alone")
        first = _drive(client, frames, WARM_UP * 2, 1, tell=part_of(told, 0, 0, 1))
        alone = _drive(client, frames, _count(pipeline, seconds, _median_latency(first[WARM_UP:])), 1, tell=told)
        terms = _terms(pipeline, _observe(pipeline, client, len(alone)))
        window, period, busy, spans = _capacity(pipeline, client, frames, seconds, _median_latency(alone), capacity)
        loads = []
        for fraction, part in zip(fractions, loaded, strict=True):
            told = prefixed(part, f"latency at {fraction:.0%} of capacity")
            loads.append(_load_point(client, frames, fraction, period, _count(pipeline, seconds, period), seed, told))
    memory = _memory(pipeline)
    measured = Cost(
        latency_s=_alone(pipeline, alone),
        period_s=period,
        peak_memory_bytes=max((host.nbytes for host in memory), default=0),
        terms=terms,
        loads=tuple(Load(f"device {name}", seconds) for name, seconds in busy.items()),
        memory=memory,
        badge=_badge(pipeline),
        emulated=any(pipeline.cluster.device(name).emulated for name in pipeline.plan.devices),
        device_count=len(pipeline.plan.devices),
    )
    equality = pipeline.equality or Equality(0, False, 0.0, 0.0)
    return Trace(
        pipeline.graph.digest, digest_of(encode(pipeline.plan)), measured, equality, window, tuple(loads), spans, pipeline.plan.predicted
    )


def _badge(pipeline: Pipeline) -> Badge:
    """A pipeline that runs on a virtual clock is worth no more than the description of its devices."""
    described = (pipeline.cluster.device(name).badge for name in pipeline.plan.devices)
    return least(("certified", *(badge for badge in described if badge != "measured")))


def _drive(
    client: Streaming,
    frames: Sequence[Arrays],
    count: int,
    window: int,
    arrivals_s: list[float] | None = None,
    tell: Tell = silent,
) -> list[Result]:
    results = list[Result]()
    for result in client.stream(islice(cycle(frames), count), window=window, arrivals_s=arrivals_s):
        if len(results) % max(count // TOLD, 1) == 0:
            tell(f"frame {len(results) + 1} of {count}", len(results), count)
        result.value()
        results.append(result._replace(outputs=None))
    return results


def _count(pipeline: Pipeline, seconds: float, each_s: float) -> int:
    """Frames of a phase; every combination of replicas comes up a few times."""
    return max(int(min(max(seconds / max(each_s, 1e-6), 20), 400)), LEAST_ROUNDS * pipeline.turns)


def _median_latency(results: list[Result]) -> float:
    return statistics.median(result.done_s - result.sent_s for result in results)


def _alone(pipeline: Pipeline, results: list[Result]) -> float:
    """Latency of a frame alone; with replicas, that of the slowest turn."""
    return max(_median_latency(results[turn :: pipeline.turns]) for turn in range(pipeline.turns))


def _capacity(
    pipeline: Pipeline, client: Streaming, frames: Sequence[Arrays], seconds: float, latency_s: float, tell: Tell
) -> tuple[int, float, dict[str, float], tuple[Span, ...]]:
    """The window beyond which throughput grows no more, the period there, and what the devices did."""
    best, period, window = 1, latency_s, 1
    busy: dict[str, float] = {}
    spans: tuple[Span, ...] = ()
    stale = turn = 0
    while window < MOST_WINDOW:
        window *= 2
        turn += 1
        told = prefixed(part_of(tell, turn - 1, 1, max(turn, DOUBLINGS)), f"capacity with {window} frames in flight")
        results = _drive(client, frames, _count(pipeline, seconds, period) + 2 * window, window, tell=told)
        steady = (len(results) - window) // pipeline.turns * pipeline.turns  # replicas hand in their results in bursts
        got = (results[-1].done_s - results[-1 - steady].done_s) / steady
        gain = period / got
        if not spans or gain > (LEAST_GAIN if stale else 1):
            best, period = window, got
            busy, spans = _busy(pipeline, client, len(results)), _spans(pipeline, client)
        stale = stale + 1 if gain < LEAST_GAIN else 0
        if stale >= MOST_STALE and window > pipeline.turns:
            break
    return best, period, busy, spans


def _load_point(
    client: Streaming, frames: Sequence[Arrays], fraction: float, period: float, count: int, seed: int, tell: Tell
) -> LoadPoint:
    rate = fraction / period
    gaps = np.random.default_rng(seed).exponential(1 / rate, count)
    results = _drive(client, frames, count, 1, np.cumsum(gaps).tolist(), tell)
    p50, p90, p99 = np.percentile([result.done_s - result.intended_s for result in results], (50, 90, 99))
    return LoadPoint(fraction, rate, count, float(p50), float(p90), float(p99))


def _observe(pipeline: Pipeline, client: Streaming, count: int) -> _Seen:
    """Seconds of each compute and each transfer over the latest frames."""
    seen = _Seen({}, {}, {})
    if isinstance(client, VirtualClient):
        for stage, device, _, begin, end in list(client.spans)[-count * len(pipeline.plan.stages) :]:
            seen.computes.setdefault((stage, device), []).append(end - begin)
        seen.transfers.update({message: list(samples)[-count:] for message, samples in client.transfers.items()})
        return seen
    for stage, device, status in _statuses(pipeline, count):
        wholes = [end - begin for _, begin, end in status.spans]
        boards = [end - begin for begin, end in status.boards]
        seen.computes[stage, device] = boards or wholes
        seen.lines[stage, device] = [whole - board for whole, board in zip(wholes, boards, strict=False)]
        for sent in status.transfers:
            seen.transfers[stage, sent.receiver, device, pipeline.device(sent.receiver, sent.replica)] = list(sent.samples_s)
    if isinstance(client, Client):
        for (receiver, replica), link in client.outlets.links.items():
            message = (CLIENT, receiver, pipeline.cluster.client, pipeline.device(receiver, replica))
            seen.transfers[message] = [each.end_s - each.begin_s for each in list(link.transfers)[-count:]]
    return seen


def _terms(pipeline: Pipeline, seen: _Seen) -> tuple[Term, ...]:
    """The summands of a frame's latency as the prediction has them, in the order in which a frame passes them.

    Of replicas counts the one that the prediction counts with, else the slowest; a path that is taken twice is one term.
    """
    predicted = {term.name for term in pipeline.plan.predicted.terms} if pipeline.plan.predicted else set()
    terms: dict[str, float] = {}

    def add(samples: dict[str, list[float]]) -> None:
        medians = {name: statistics.median(values) for name, values in samples.items() if values}
        likely = {name: seconds for name, seconds in medians.items() if name in predicted} or medians
        if likely:
            name = max(likely, key=lambda name: likely[name])
            terms[name] = terms.get(name, 0.0) + likely[name]

    for end in (*range(len(pipeline.plan.stages)), CLIENT):
        for ends in pipeline.plan.messages():
            if ends[1] == end:
                add({f"transfer {m[2]}→{m[3]}": samples for m, samples in seen.transfers.items() if m[:2] == ends})
        add({f"line {end}@{device}": samples for (stage, device), samples in seen.lines.items() if stage == end})
        add({f"compute {end}@{device}": samples for (stage, device), samples in seen.computes.items() if stage == end})
    return tuple(Term(name, seconds, "certified") for name, seconds in terms.items())


def _busy(pipeline: Pipeline, client: Streaming, count: int) -> dict[str, float]:
    """Busy seconds per frame of each device, its serial line included, while the pipeline was full."""
    busy: dict[str, float] = defaultdict(float)
    seen = _observe(pipeline, client, count)
    for (stage, device), samples in (*seen.computes.items(), *seen.lines.items()):
        if samples:
            busy[device] += statistics.median(samples) / len(pipeline.plan.stages[stage].devices)
    return dict(busy)


def _spans(pipeline: Pipeline, client: Streaming) -> tuple[Span, ...]:
    """The latest frames in every stage and on every link. The clocks of stages on one machine are one clock."""
    count = SHOWN_FRAMES
    if isinstance(client, VirtualClient):
        found = [(f"stage {s}@{d}", f, a, b) for s, d, f, a, b in client.spans]
        sent = [(f"transfer {here}→{there}", f, a, b) for here, there, f, a, b in client.sent]
    else:
        statuses = list(_statuses(pipeline, count))
        found = [span for _, _, status in statuses for span in _worked(status)]
        begun_s: dict[str, float] = {}
        for _, device, status in statuses:
            for _, begin, _ in status.spans[:1]:
                begun_s[device] = min(begun_s.get(device, begin), begin)
        sent = list(_sent(pipeline, client, begun_s))
    last = max(frame for _, frame, _, _ in found)
    found += sent
    found = [span for span in found if last - count < span[1] <= last]
    start = min(begin for _, _, begin, _ in found)
    return tuple(Span(name, frame, begin - start, end - start) for name, frame, begin, end in found)


def _worked(status: StageStatus) -> Iterator[tuple[str, int, float, float]]:
    """What a stage did for its latest frames; the line of a microcontroller is busy before and after the board computes."""
    if len(status.boards) < len(status.spans):
        yield from ((status.name, frame, begin, end) for frame, begin, end in status.spans)
        return
    line = status.name.replace("stage ", "line ", 1)
    for (frame, begin, end), (first, last) in zip(status.spans, status.boards, strict=True):
        yield from ((line, frame, begin, first), (status.name, frame, first, last), (line, frame, last, end))


def _sent(pipeline: Pipeline, client: Streaming, since_s: Mapping[str, float]) -> Iterator[tuple[str, int, float, float]]:
    """What went over the links of the stream that came last, by the clocks of the senders."""
    sent = [
        (f"transfer {device}→{pipeline.device(each.receiver, each.replica)}", passage)
        for device, begin_s in since_s.items()
        for status in pipeline.connections[device].logs(since_s=begin_s).stages
        if status.plan == pipeline.release
        for each in status.transfers
        for passage in each.passages
    ]
    if isinstance(client, Client):
        for (receiver, replica), link in client.outlets.links.items():
            name = f"transfer {pipeline.cluster.client}→{pipeline.device(receiver, replica)}"
            sent += [(name, passage) for passage in link.transfers]
    latest = max((passage.epoch for _, passage in sent), default=0)
    yield from ((name, each.frame, each.begin_s, each.end_s) for name, each in sent if each.epoch == latest)


def _statuses(pipeline: Pipeline, count: int) -> Iterator[tuple[int, str, StageStatus]]:
    for device, reply in pipeline.logs(count).items():
        for status in reply.stages:
            if status.plan == pipeline.release:
                if status.state != "serving":
                    raise DeviceError(f"{status.name} is {status.state}; deploy again")
                yield status.stage, device, status


def _memory(pipeline: Pipeline) -> tuple[Memory, ...]:
    hosts: dict[str, int] = defaultdict(int)
    for device, reply in pipeline.logs().items():
        host = pipeline.cluster.device(device).machine
        for status in reply.stages:
            if status.plan == pipeline.release:
                hosts[host] += max(status.peak_bytes, pipeline.loaded[status.stage, status.replica].peak_bytes)
    return tuple(Memory(host, nbytes) for host, nbytes in hosts.items())
