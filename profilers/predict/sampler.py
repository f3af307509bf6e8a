"""Samples of what kernels cost on a device: random stacks run one after the other, each as a whole and kernel by kernel.

The stacks come in the order of their seeds, which is random by kind and size, so that slow changes of the machine hit all
alike. Every so often one and the same is run as a sentinel, which tells how much the machine changes. Its clock wanders: so
other work, that is always the same, is done in between, and seconds are told as they would be at the usual clock. And no process
finds its memory where another did, which is worth some per cent: so each stack is run again twice as a whole, later, and the
median of its times counts.
"""

import time
from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from devices.connection import REAL, Connection, Emulation, Measure, Measured
from edgekit.conditions import changes
from edgekit.device import Variant
from edgekit.errors import DeviceError
from edgekit.graph import Graph
from edgekit.onnxio import Model, kernel_nodes, load, normalise, read
from edgekit.progress import Tell
from edgekit.samples import SampledNetwork, Samples
from edgekit.stages.artifact import build, upload
from profilers.map.kernel_descriptions import Timed, timed, timed_by_unit
from profilers.map.kernels import map_kernels
from profilers.measure.measured_conditions import conditions_of
from profilers.measure.segments import request_for
from profilers.predict.random_stacks import draw_stack

__all__ = ["sample_device", "sample_network"]

Keep = Callable[[Samples], None]

SENTINEL, SENTINEL_EVERY = 23, 20
LATER = (8, 20)
"""After so many other stacks a stack is run again."""

EACH_S = 0.4
"""Time for a network, whole and by kernels each."""


def sample_device(
    connection: Connection,
    budget_s: float,
    tell: Tell,
    keep: Keep,
    *,
    before: Samples | None = None,
    variant: Variant | None = None,
    seeds: Iterable[int] | None = None,
) -> Samples:
    """Samples of a device, ``budget_s`` seconds of them in all; those of ``before`` are kept and count.

    ``keep`` gets all there is after each network.

    Raises:
        DeviceError: the samples before were taken under other conditions.
    """
    variant = variant or (before.variant if before else connection.device.variant)
    facts = connection.facts()
    held = conditions_of(connection, facts, facts, (), variant)
    samples = before or Samples(connection.device.name, variant, held, (), connection.device.emulated)
    if changed := changes(samples.conditions, held):
        why = "; ".join(map(str, changed))
        raise DeviceError(f"the samples of {samples.device} are stale: {why}; take them anew, into another file")
    done = {network.source for network in samples.networks}
    for seed in seeds if seeds is not None else range(1_000_000):
        if samples.taken_s >= budget_s:
            break
        if f"stack {seed}" in done:
            continue
        if len(samples.networks) >= SENTINEL_EVERY * len(samples.sentinel_s):
            sentinel = _sample(SENTINEL, connection, variant, kernels=False)[0].p10_s
            samples = msgspec.structs.replace(samples, sentinel_s=(*samples.sentinel_s, sentinel))
        count = f"{samples.kernel_count} kernels of {len(samples.networks)} stacks"
        tell(f"{count}, {samples.taken_s:.0f} of {budget_s:.0f} s", samples.taken_s, budget_s)
        network, whole = _sample(seed, connection, variant)
        networks = [*samples.networks, network]
        for place in (len(networks) - 1 - back for back in LATER):
            if place >= 0:
                networks[place] = _again(networks[place], connection, variant)
        samples = msgspec.structs.replace(
            samples,
            networks=tuple(networks),
            base_bytes=whole.base_bytes,
            library_bytes=max(samples.library_bytes, whole.library_bytes),
        )
        keep(samples)
    return samples


def _sample(seed: int, connection: Connection, variant: Variant, kernels: bool = True) -> tuple[SampledNetwork, Measured]:
    model = load(normalise(draw_stack(seed)))
    return sample_network(f"stack {seed}", read(model), model, connection, variant, kernels=kernels)


def _again(network: SampledNetwork, connection: Connection, variant: Variant) -> SampledNetwork:
    """A stack run once more as a whole, in another process; the median of all times counts."""
    other, _ = _sample(int(network.source.removeprefix("stack ")), connection, variant, kernels=False)
    found = (*network.p10s_s, *other.p10s_s)
    p10 = float(np.median(found))
    usual = network.p50_s / network.p10_s
    return msgspec.structs.replace(network, p10_s=p10, p50_s=p10 * usual, p10s_s=found, taken_s=network.taken_s + other.taken_s)


def sample_network(
    source: str, graph: Graph, model: Model, connection: Connection, variant: Variant, *, each_s: float = EACH_S, kernels: bool = True
) -> tuple[SampledNetwork, Measured]:
    """One network run as a whole and, unless told not to, by kernels; and the whole as it was measured."""
    begin = time.perf_counter()
    whole = graph.segment(0, len(graph.units))
    digest = upload(build(model, graph, 0, len(graph.units), variant), connection)
    request = request_for(graph, whole, digest, connection, variant, each_s)
    if request.emulation is None:
        request = msgspec.structs.replace(request, emulation=Emulation(compared=True))
    measured, _ = connection.measure(request)
    p10, p50 = (float(value) / measured.slowness for value in np.percentile(measured.samples_s, (10, 50)))
    cpu = float(np.percentile(measured.cpu_s, 10)) / measured.slowness if measured.cpu_s else p10
    found, profiled_s = (((), ()), 0.0) if not kernels else _kernels(graph, model, connection, request)
    taken = time.perf_counter() - begin
    network = SampledNetwork(source, p10, p50, cpu, profiled_s, taken, *found, p10s_s=(p10,))
    return network, measured


def _kernels(graph: Graph, model: Model, connection: Connection, request: Measure) -> tuple[Timed, float]:
    """Its kernels and what was fused, none where they cannot be mapped whole; and the seconds of a run with the profiler on."""
    measured, optimized = connection.measure(msgspec.structs.replace(request, mode="kernels"))
    quick = measured.slowness * (request.emulation or REAL).speed  # a device that is played runs its kernels at full speed
    profiled_s = float(np.percentile(measured.samples_s, 10)) / quick if measured.samples_s else 0.0
    times = tuple(msgspec.structs.replace(time, seconds=time.seconds / quick) for time in measured.kernels)
    if not optimized and len(times) == len(graph.units):
        return timed_by_unit(graph, model, times), profiled_s
    nodes = kernel_nodes(optimized) if optimized else ()
    if not nodes or map_kernels(graph, times, nodes).coverage < 1:
        return ((), ()), profiled_s
    return timed(graph, model, times, nodes), profiled_s
