"""Profiles a graph on a device: the whole with the profiler off, then kernel by kernel to know where the time goes."""

import statistics

import msgspec

from devices.connection import Connection, FactsReply, Measured
from edgekit.device import Variant
from edgekit.graph import Graph
from edgekit.onnxio import Model, cut, kernel_nodes
from edgekit.profile import Conditions, Kernel, Profile
from profilers.kernels import map_kernels
from profilers.segments import request_for, summarize

__all__ = ["profile_graph"]

OPTIMIZATION = 99
"""onnxruntime's ORT_ENABLE_ALL: the level that stages run at, so the level to profile at."""


def profile_graph(graph: Graph, model: Model, connection: Connection, variant: Variant | None = None, budget_s: float = 2.0) -> Profile:
    """The kernel pass: seconds of every kernel, mapped to units, and of the whole graph measured apart.

    ``budget_s`` is spent twice: once on the whole, once on its kernels.
    """
    variant = variant or connection.device.variant
    whole = graph.segment(0, len(graph.units))
    digest = connection.put(cut(model, graph, 0, len(graph.units)))
    request = request_for(graph, whole, digest, connection, variant, budget_s)
    measured, _ = connection.measure(request)
    timed, optimized = connection.measure(msgspec.structs.replace(request, mode="kernels"))
    kernels, folded, coverage = _kernels(graph, timed, optimized)
    return Profile(
        graph.digest,
        connection.device.name,
        len(graph.units),
        variant,
        _conditions(connection.facts(), connection, measured, variant),
        kernels,
        (summarize(0, len(graph.units), measured),),
        folded,
        coverage,
        measured.base_bytes,
        connection.device.emulated,
        statistics.median(timed.samples_s) if timed.samples_s else None,
    )


def _kernels(graph: Graph, timed: Measured, optimized: bytes) -> tuple[tuple[Kernel, ...], int, float]:
    """Kernels with the units they claim; a device that answers without a graph has timed unit by unit.

    Where some kernel could not be mapped there are none: proportions with a gap would only mislead the search.
    """
    if not optimized:
        return tuple(Kernel(k.name, k.op, k.seconds, (unit,)) for unit, k in enumerate(timed.kernels)), 0, 1.0
    mapping = map_kernels(graph, timed.kernels, kernel_nodes(optimized))
    return mapping.kernels if mapping.coverage == 1 else (), mapping.folded, mapping.coverage


def _conditions(facts: FactsReply, connection: Connection, measured: Measured, variant: Variant) -> Conditions:
    device = connection.device
    busy = sum(measured.cpu_s) / device.speed
    return Conditions(
        machine=facts.machine.architecture,
        processor=facts.machine.processor or facts.machine.architecture,
        onnxruntime=facts.onnxruntime,
        optimization=OPTIMIZATION,
        spinning=False,
        speed=device.speed,
        cores=device.cores,
        load_average=facts.machine.load_average,
        wall_over_cpu=sum(measured.samples_s) / busy if busy and variant.threads == 1 else None,
    )
