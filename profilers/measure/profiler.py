"""Profiles a graph on a device: the whole with the profiler off, then kernel by kernel to know where the time goes."""

import statistics
from dataclasses import replace

import msgspec

from devices.connection import Connection, KernelTime, Measured
from edgekit.device import Variant
from edgekit.energy import Energy
from edgekit.graph import Graph
from edgekit.onnxio import Model, cut, kernel_nodes, read
from edgekit.profile import Kernel, Profile
from edgekit.progress import Tell, silent
from edgekit.stages.onnxruntime_memory import ONNXRUNTIME_MEMORY
from profilers.map.kernels import map_kernels
from profilers.map.twin_profile import as_units_of
from profilers.map.widened_kernels import widened
from profilers.measure import calm
from profilers.measure.measured_conditions import conditions_of
from profilers.measure.rounds import AGREE, LEAST_BURSTS, MOST_BURSTS, repeatability, usual
from profilers.measure.segments import data_for, request_for, rests_at, summarize

__all__ = ["profile_graph", "with_energy"]


def profile_graph(
    graph: Graph,
    model: Model,
    connection: Connection,
    variant: Variant | None = None,
    budget_s: float = 2.0,
    rate_per_s: float | None = None,
    twin: Model | None = None,
    tell: Tell = silent,
) -> Profile:
    """The kernel pass: seconds of every kernel, mapped to units, and of the whole graph measured before and after.

    The precision of the variant is that of the graph, whatever the device is described with.
    ``budget_s`` is spent twice: once on the whole, once on its kernels; more on the whole where it does not repeat.
    ``rate_per_s``: at which frames come in; None: one as soon as the one before is done.
    ``twin``: the network in another precision, to be measured in the graph's stead.

    Raises:
        DeviceError: the device began or ceased to be throttled meanwhile, or its clocks were set otherwise.
    """
    if twin is not None:
        other, twin = read(twin), replace(twin, frames=model.frames)
        return as_units_of(graph, other, profile_graph(other, twin, connection, variant, budget_s, rate_per_s, tell=tell))
    variant = (variant or connection.device.variant).on(graph.precision)
    count = len(graph.units)
    digest = connection.put(cut(model, graph, 0, count))
    whole = graph.segment(0, count)
    data = data_for(model, graph, whole, connection)
    request = request_for(graph, whole, digest, connection, variant, budget_s / LEAST_BURSTS, rate_per_s, data)
    before = connection.facts()
    rested = msgspec.structs.replace(request, rests=rests_at(rate_per_s))
    tell("whole network, run 1 of 2", 0, 2 * LEAST_BURSTS)
    bursts = [calm.measured(connection, rested)]
    tell("kernels", 1, 2 * LEAST_BURSTS)
    timed, optimized = connection.measure(msgspec.structs.replace(request, mode="kernels", budget_s=budget_s))
    while not _repeats(kept := _counting(bursts, connection)) and len(bursts) < MOST_BURSTS:
        made, most = len(bursts), "2" if len(bursts) < LEAST_BURSTS else f"at most {MOST_BURSTS}"
        done = LEAST_BURSTS + made
        tell(f"whole network, run {made + 1} of {most}", done, max(done + 1, 2 * LEAST_BURSTS))
        bursts.append(calm.measured(connection, rested))
    conditions = conditions_of(connection, before, connection.facts(), kept, variant)
    kernels, folded, coverage = _kernels(graph, timed, optimized)
    return Profile(
        graph.digest,
        connection.device.name,
        count,
        variant,
        msgspec.structs.replace(conditions, rate_per_s=rate_per_s),
        kernels,
        (summarize(0, count, kept),),
        folded,
        coverage,
        bursts[0].base_bytes,
        connection.device.emulated,
        statistics.median(timed.samples_s) if timed.samples_s else None,
        badge=connection.device.badge,
        library_bytes=max(burst.library_bytes for burst in bursts),
        widened=widened(graph, kernel_nodes(optimized)) if optimized else 0,
        memory_model=ONNXRUNTIME_MEMORY,
    )


def _counting(bursts: list[Measured], connection: Connection) -> list[Measured]:
    """Those that show the machine as it usually is, where it only plays the device; else all."""
    if not connection.device.emulated:
        return bursts
    return [bursts[index] for index in usual([burst.samples_s for burst in bursts])]


def _repeats(bursts: list[Measured]) -> bool:
    return len(bursts) >= LEAST_BURSTS and repeatability([burst.samples_s for burst in bursts]) <= AGREE


def with_energy(profile: Profile, graph: Graph, model: Model, connection: Connection) -> Profile:
    """The profile with the energy of the whole graph, at rest and at work for ten seconds each; or with the reason why it has none."""
    if profile.emulated:
        return msgspec.structs.replace(profile, energy=Energy(reason="the machine only plays this device"))
    whole = graph.segment(0, len(graph.units))
    digest = connection.put(cut(model, graph, 0, len(graph.units), profile.variant.precision))
    data = data_for(model, graph, whole, connection)
    request = request_for(graph, whole, digest, connection, profile.variant, 0.0, data=data)
    request = msgspec.structs.replace(request, mode="energy")
    return msgspec.structs.replace(profile, energy=connection.measure(request)[0].energy)


def _kernels(graph: Graph, timed: Measured, optimized: bytes) -> tuple[tuple[Kernel, ...], int, float]:
    """Kernels with the units they claim; a device that answers without a graph has timed unit by unit.

    Where some kernel could not be mapped there are none: proportions with a gap would only mislead the search. Kernels of a
    graph that a provider compiled are kept without units, to tell what ran where; a single one is the whole graph.
    """
    if not optimized and len(timed.kernels) == 1 and timed.kernels[0].provider:
        return (_whole(graph, timed.kernels[0]),), 0, 1.0
    if not optimized and any(k.provider for k in timed.kernels):
        return tuple(Kernel(k.name, k.op, k.seconds, (), provider=k.provider) for k in timed.kernels), 0, 0.0
    if not optimized:
        return tuple(Kernel(k.name, k.op, k.seconds, (unit,)) for unit, k in enumerate(timed.kernels)), 0, 1.0
    mapping = map_kernels(graph, timed.kernels, kernel_nodes(optimized))
    return mapping.kernels if mapping.coverage == 1 else (), mapping.folded, mapping.coverage


def _whole(graph: Graph, time: KernelTime) -> Kernel:
    """A kernel that spans all units; what each takes of its time is in proportion to its multiplications."""
    units = tuple(range(len(graph.units)))
    macs = [graph.segment(unit, unit + 1).macs for unit in units]
    shares = tuple(each / sum(macs) for each in macs) if any(macs) and len(units) > 1 else ()
    return Kernel(time.name, time.op, time.seconds, units, shares, time.provider)
