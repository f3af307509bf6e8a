"""A profile says what was measured, and nothing where that does not add up."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from devices import connect
from devices.connection import Connection, KernelTime, Measure, Measured
from edgekit.device import Variant
from edgekit.onnxio import cut
from profilers.measure.profiler import profile_graph
from tests.models import simulated, skipping

NET = skipping()


@contextmanager
def answering(kernels: tuple[KernelTime, ...], optimized: bytes) -> Iterator[Connection]:
    """A device whose kernel pass gives this."""
    with connect(simulated("a").devices[0]) as connection:
        ask = connection.measure

        def measure(request: Measure) -> tuple[Measured, bytes]:
            measured, _ = ask(request)
            return (msgspec.structs.replace(measured, kernels=kernels), optimized) if request.mode == "kernels" else (measured, b"")

        connection.measure = measure  # type: ignore[method-assign]
        yield connection


def test_kernels_with_a_gap_are_not_kept() -> None:
    whole = cut(NET.model, NET.graph, 0, 5)
    nodes = [KernelTime(name=node.name, op=node.op, seconds=1.0) for node in NET.graph.nodes]
    with answering(tuple(nodes), whole) as connection:
        profile = profile_graph(NET.graph, NET.model, connection)
    assert profile.coverage == 1 and len(profile.kernels) == len(nodes)
    with answering(tuple(nodes[1:]), whole) as connection:  # the first kernel has no time
        profile = profile_graph(NET.graph, NET.model, connection)
    assert profile.coverage < 1 and profile.kernels == ()
    assert profile.unit_s == pytest.approx((profile.whole.p50_s / 5,) * 5)


def test_a_device_that_answers_without_a_graph_has_timed_unit_by_unit() -> None:
    with connect(simulated("a").devices[0]) as connection:
        profile = profile_graph(NET.graph, NET.model, connection)
    assert [kernel.units for kernel in profile.kernels] == [(0,), (1,), (2,), (3,), (4,)]
    assert profile.badge == "spec" and profile.emulated and profile.coverage == 1 and profile.conditions.machine == "sim"


def test_kernels_of_a_compiled_graph_tell_where_they_ran_and_nothing_of_units() -> None:
    kernels = tuple(
        KernelTime(name=f"OpenVINO-EP-subgraph_{i}_0", op="OpenVINO-EP", seconds=1.0, provider="OpenVINOExecutionProvider")
        for i in range(5)
    )
    with answering(kernels, b"") as connection:
        profile = profile_graph(NET.graph, NET.model, connection)
    assert profile.coverage == 0 and profile.compute_units == "compute units: OpenVINO 5"
    assert profile.unit_s == pytest.approx((profile.whole.p50_s / 5,) * 5)


@pytest.mark.parametrize(("threads", "known"), [(1, True), (2, False)])
def test_time_over_processor_time_is_known_with_one_thread_only(threads: int, known: bool) -> None:
    with connect(simulated("a").devices[0]) as connection:
        profile = profile_graph(NET.graph, NET.model, connection, variant=Variant(threads=threads))
    assert profile.variant.threads == threads
    assert (profile.conditions.wall_over_cpu is not None) == known
