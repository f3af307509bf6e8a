"""Profiles a graph on a device: the whole with the profiler off, then kernel by kernel to know where the time goes."""

import statistics
from dataclasses import replace
from typing import NamedTuple

import msgspec

from devices.connection import Connection, KernelTime, Measured
from edgekit.device import MCU, Variant
from edgekit.energy import Energy
from edgekit.errors import DeviceError
from edgekit.graph import Graph
from edgekit.memory_model import MemoryModel
from edgekit.onnxio import Model, kernel_nodes, read
from edgekit.profile import Kernel, Profile
from edgekit.progress import Tell, silent
from edgekit.serial_line import SerialLine
from edgekit.stages.artifact import build, runnable, upload
from edgekit.stages.builders import builder_of
from edgekit.stages.installed import require_engine
from profilers.map.kernels import map_kernels
from profilers.map.twin_profile import as_units_of
from profilers.map.widened_kernels import widened
from profilers.measure import calm
from profilers.measure.board_pass import board_pass, measured_line
from profilers.measure.measured_conditions import conditions_of
from profilers.measure.rounds import AGREE, LEAST_BURSTS, MOST_BURSTS, repeatability, usual
from profilers.measure.segments import data_for, request_for, rests_at, summarize

__all__ = ["profile_graph", "with_energy"]


def profile_graph(
    graph: Graph,
    model: Model,
    connection: Connection,
    *,
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
    Where the engine cannot run some units, each segment between them is measured instead of the whole.
    ``twin``: the network in another precision, to be measured in the graph's stead.
    A microcontroller counts what each operator takes; its serial line is measured too.

    Raises:
        DeviceError: the device began or ceased to be throttled meanwhile, or its clocks were set otherwise; or its engine can
            run no unit.
    """
    if twin is not None:
        other, twin = read(twin), replace(twin, frames=model.frames)
        made = profile_graph(other, twin, connection, variant=variant, budget_s=budget_s, rate_per_s=rate_per_s, tell=tell)
        found = as_units_of(graph, other, made)
        if not found.on_board:
            return found
        table = builder_of(found.variant.engine).memory(graph, found.variant, model)  # of the segments that the plan has
        return msgspec.structs.replace(found, memory_model=table, cannot_run=runnable(model, graph, found.variant)[1])
    variant = (variant or connection.device.variant).on(graph.precision)
    spans, refused = runnable(model, graph, variant)
    if not spans:
        unit, reason = refused[0]
        raise DeviceError(f"{connection.device.name}: engine {variant.engine} can run no unit of {graph.name}: unit {unit}, {reason}")
    require_engine(variant, connection)
    before = connection.facts()
    memory_model = builder_of(variant.engine).memory(graph, variant, model)
    if variant.engine == MCU:
        passes = [_board_pass(graph, model, connection, variant, span, tell) for span in spans]
    else:
        passes = [_pass(graph, model, connection, variant, span, budget_s, rate_per_s, tell) for span in spans]
    first, kept = passes[0], [burst for each in passes for burst in each.bursts]
    conditions = conditions_of(connection, before, connection.facts(), kept, variant)
    return Profile(
        graph.digest,
        connection.device.name,
        len(graph.units),
        variant,
        msgspec.structs.replace(conditions, rate_per_s=rate_per_s),
        tuple(kernel for each in passes for kernel in each.kernels),
        tuple(summarize(*span, each.bursts) for span, each in zip(spans, passes, strict=True)),
        sum(each.folded for each in passes),
        min(each.coverage for each in passes),
        first.bursts[0].base_bytes,
        connection.device.emulated,
        first.profiled_s if not refused else None,
        line=_line(graph, model, connection, variant, spans[-1], memory_model, kept),
        badge=connection.device.badge,
        runs_on=kept[0].runs_on,
        library_bytes=max(burst.library_bytes for burst in kept),
        widened=sum(each.widened for each in passes),
        cannot_run=refused,
        memory_model=memory_model,
    )


class _Pass(NamedTuple):
    """The measurements of one segment: as a whole, and kernel by kernel."""

    bursts: list[Measured]
    kernels: tuple[Kernel, ...]
    folded: int
    coverage: float
    profiled_s: float | None
    widened: int


def _pass(
    graph: Graph,
    model: Model,
    connection: Connection,
    variant: Variant,
    span: tuple[int, int],
    budget_s: float,
    rate_per_s: float | None,
    tell: Tell,
) -> _Pass:
    """Bursts of a segment, with the profiler off, around the pass over its kernels."""
    segment, digest = graph.segment(*span), upload(build(model, graph, *span, variant), connection)
    data = data_for(model, graph, segment, connection)
    request = request_for(graph, segment, digest, connection, variant, budget_s / LEAST_BURSTS, rate_per_s=rate_per_s, data=data)
    rested = msgspec.structs.replace(request, rests=rests_at(rate_per_s))
    what = "whole network" if span == (0, len(graph.units)) else f"units [{span[0]}, {span[1]})"
    tell(f"{what}, run 1 of 2", 0, 2 * LEAST_BURSTS)
    bursts = [calm.measured(connection, rested)]
    tell("kernels", 1, 2 * LEAST_BURSTS)
    timed, optimized = connection.measure(msgspec.structs.replace(request, mode="kernels", budget_s=budget_s))
    while not _repeats(_counting(bursts, connection)) and len(bursts) < MOST_BURSTS:
        made, most = len(bursts), "2" if len(bursts) < LEAST_BURSTS else f"at most {MOST_BURSTS}"
        done = LEAST_BURSTS + made
        tell(f"{what}, run {made + 1} of {most}", done, max(done + 1, 2 * LEAST_BURSTS))
        bursts.append(calm.measured(connection, rested))
    kernels, folded, coverage = _kernels(graph, range(*span), timed, optimized)
    profiled_s = statistics.median(timed.samples_s) if timed.samples_s else None
    spread = widened(graph, kernel_nodes(optimized)) if optimized else 0
    return _Pass(_counting(bursts, connection), kernels, folded, coverage, profiled_s, spread)


def _board_pass(graph: Graph, model: Model, connection: Connection, variant: Variant, span: tuple[int, int], tell: Tell) -> _Pass:
    """What a board counts in each operator of a segment, whose sum is what the segment takes."""
    tell("operators", 0, 1)
    found = board_pass(graph, model, connection, variant, span)
    return _Pass([found.measured], found.kernels, 0, 1.0, None, 0)


def _line(
    graph: Graph,
    model: Model,
    connection: Connection,
    variant: Variant,
    span: tuple[int, int],
    table: MemoryModel,
    bursts: list[Measured],
) -> SerialLine | None:
    """The serial line of a board; None where there is none."""
    known = [time for burst in bursts for time in burst.line]
    return measured_line(graph, model, connection, variant, span, table, known) if variant.engine == MCU else None


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
    span = profile.longest.start, profile.longest.stop
    segment, digest = graph.segment(*span), upload(build(model, graph, *span, profile.variant), connection)
    data = data_for(model, graph, segment, connection)
    request = request_for(graph, segment, digest, connection, profile.variant, 0.0, data=data)
    request = msgspec.structs.replace(request, mode="energy")
    return msgspec.structs.replace(profile, energy=connection.measure(request)[0].energy)


def _kernels(graph: Graph, units: range, timed: Measured, optimized: bytes) -> tuple[tuple[Kernel, ...], int, float]:
    """Kernels with the units they claim; a device that answers without a graph has timed unit by unit.

    Where some kernel could not be mapped there are none: proportions with a gap would only mislead the search. Kernels of a
    graph that a provider compiled are kept without units, to tell what ran where; a single one is the whole segment.
    """
    if not optimized and len(timed.kernels) == 1 and timed.kernels[0].provider:
        return (_spanning(graph, units, timed.kernels[0]),), 0, 1.0
    if not optimized and any(k.provider for k in timed.kernels):
        return tuple(Kernel(k.name, k.op, k.seconds, (), provider=k.provider) for k in timed.kernels), 0, 0.0
    if not optimized:
        return tuple(Kernel(k.name, k.op, k.seconds, (unit,)) for unit, k in zip(units, timed.kernels, strict=True)), 0, 1.0
    mapping = map_kernels(graph, timed.kernels, kernel_nodes(optimized))
    return mapping.kernels if mapping.coverage == 1 else (), mapping.folded, mapping.coverage


def _spanning(graph: Graph, units: range, time: KernelTime) -> Kernel:
    """A kernel that spans all these units; what each takes of its time is in proportion to its multiplications."""
    macs = [graph.segment(unit, unit + 1).macs for unit in units]
    shares = tuple(each / sum(macs) for each in macs) if any(macs) and len(units) > 1 else ()
    return Kernel(time.name, time.op, time.seconds, tuple(units), shares, time.provider)
