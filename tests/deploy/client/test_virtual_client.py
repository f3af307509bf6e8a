"""A pipeline on the virtual clock costs what the cost model says, frame by frame and in a full pipeline."""

from itertools import islice, repeat
from random import Random

import numpy as np
import pytest

from devices import connect
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.client.virtual_client import VirtualClient
from edgekit.device import Device, Roofline
from edgekit.errors import FrameError, PlanError, StageError, UsageError
from edgekit.plan import CLIENT, Plan, Stage, Transfer, chain
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.equality import TOLERANCE, compare
from edgekit.trace import Trace
from profilers.measure.segments import measure_segments
from tests.models import Net, paired, picking, serial, simulated, skipping, split


def predicted(plan: Plan, net: Net, cluster: Cluster) -> Plan:
    """A plan with its price, from profiles that measured each of its segments."""
    profiles = api.profile(net.graph, net.model, cluster, devices=plan.devices)
    ranges = {(name, stage.start, stage.stop) for stage in plan.stages for name in stage.devices}
    for name, start, stop in ranges:
        with connect(cluster.device(name)) as connection:
            profiles = profiles.add(measure_segments(net.graph, net.model, connection, profiles[name], [(start, stop)]))
    return api.predict(plan, net.graph, cluster, profiles)


def trace_of(plan: Plan, net: Net, cluster: Cluster) -> tuple[Plan, Trace]:
    plan = predicted(plan, net, cluster)
    with api.deploy(plan, net.graph, net.model, cluster) as pipeline:
        return plan, api.verify(pipeline, seconds=0.2)


def random_cluster(random: Random, names: list[str]) -> Cluster:
    """Unequal devices and links, a medium here and there, and transports that cost the processors something."""
    devices = tuple(Device(n, "sim:", roofline=Roofline(10 ** random.uniform(6.5, 8), 1e9, 1e-5)) for n in names)
    ends = [*names, "client"]
    links = tuple(
        Link(
            source,
            receiver,
            latency_s=random.choice((0.0, 1e-5, 1e-4)),
            bytes_per_s=10 ** random.uniform(6, 8),
            send_s_per_byte=random.choice((0.0, 1e-8)),
            receive_s_per_byte=random.choice((0.0, 1e-8)),
            send_s_per_message=random.choice((0.0, 1e-5)),
            receive_s_per_message=random.choice((0.0, 1e-5)),
            media=random.choice(((), (), ("air",))),
        )
        for source in ends
        for receiver in ends
        if source != receiver
    )
    return Cluster(devices, links)


def random_chain(random: Random, net: Net, names: list[str], replicas: bool) -> Plan:
    """A chain over some of the devices, one stage of which may be replicated."""
    count = random.randint(1, min(3, len(names)))
    cuts = [0, *sorted(random.sample(net.graph.candidates, count - 1)), len(net.graph.units)]
    left = random.sample(names, len(names))
    stages = []
    for start, stop in zip(cuts, cuts[1:], strict=False):
        most = len(left) - (count - len(stages) - 1)
        used = random.randint(1, most) if replicas else 1
        stages.append(Stage(start, stop, tuple(left.pop() for _ in range(used))))
    return chain(net.graph, tuple(stages))


@pytest.mark.parametrize("seed", range(8))
def test_a_chain_takes_what_was_predicted_of_it(seed: int) -> None:
    random = Random(seed)
    net = random.choice((serial(), skipping()))
    names = ["a", "b", "c"]
    plan, trace = trace_of(random_chain(random, net, names, replicas=False), net, random_cluster(random, names))
    assert plan.predicted is not None
    assert trace.measured.latency_s == pytest.approx(plan.predicted.latency_s, rel=1e-9)
    assert trace.measured.period_s == pytest.approx(plan.predicted.period_s, rel=0.01)
    assert [term.name for term in trace.measured.terms] == [term.name for term in plan.predicted.terms]
    for got, expected in zip(trace.measured.terms, plan.predicted.terms, strict=True):
        assert got.seconds == pytest.approx(expected.seconds, rel=1e-9), got.name


@pytest.mark.parametrize("seed", range(5))
def test_the_worst_replicas_bound_the_slowest_turn(seed: int) -> None:
    random = Random(seed)
    net, names = serial(), ["a", "b", "c", "d"]
    plan, trace = trace_of(random_chain(random, net, names, replicas=True), net, random_cluster(random, names))
    assert plan.predicted is not None
    assert trace.measured.latency_s <= plan.predicted.latency_s * (1 + 1e-9)
    assert trace.measured.period_s >= plan.predicted.period_s * 0.95
    assert [term.name for term in trace.measured.terms] == [term.name for term in plan.predicted.terms]


@pytest.mark.parametrize("devices", ["b|c", "b|c|d"])
def test_equal_replicas_take_turns_as_predicted(devices: str) -> None:
    net = serial()
    cluster = simulated("a", "b", "c", "d", "e", macs_per_s=(4e8, 1e7, 1e7, 1e7, 4e8), links=(Link(ANY, ANY, 1e-5, 1e8),))
    plan, trace = trace_of(split(net.graph, (0, 1, "a"), (1, 4, devices), (4, 5, "e")), net, cluster)
    assert plan.predicted is not None
    assert trace.measured.latency_s == pytest.approx(plan.predicted.latency_s, rel=1e-9)
    assert trace.measured.period_s == pytest.approx(plan.predicted.period_s, rel=0.01)


def test_a_device_visited_twice_bears_both_stages_and_a_path_taken_twice_is_one_term() -> None:
    net = serial()
    cluster = simulated("a", "b", macs_per_s=(1e7, 1e7), links=(Link(ANY, ANY, 1e-5, 1e8),))
    plan, trace = trace_of(split(net.graph, (0, 1, "a"), (1, 2, "b"), (2, 3, "a"), (3, 5, "b")), net, cluster)
    assert plan.predicted is not None
    assert [(t.name, pytest.approx(t.seconds, rel=1e-9)) for t in plan.predicted.terms] == [
        (t.name, t.seconds) for t in trace.measured.terms
    ]
    assert trace.measured.latency_s == pytest.approx(plan.predicted.latency_s, rel=1e-9)
    assert trace.measured.period_s == pytest.approx(plan.predicted.period_s, rel=0.01)


def test_two_stages_on_one_device_hand_over_at_no_cost() -> None:
    net = serial()
    plan, trace = trace_of(split(net.graph, (0, 2, "a"), (2, 5, "a")), net, simulated("a"))
    assert plan.predicted is not None
    assert {term.name: term.seconds for term in trace.measured.terms}["transfer a→a"] == 0.0
    assert trace.measured.latency_s == pytest.approx(plan.predicted.latency_s, rel=1e-9)


def streamed(net: Net, plan: Plan, cluster: Cluster, frames, **options):
    with api.deploy(plan, net.graph, net.model, cluster) as pipeline, pipeline.client() as client:
        yield from client.stream(frames, **options)


@pytest.mark.parametrize("net", [skipping(), paired(), picking()], ids=["skip", "pair", "pick"])
def test_results_come_in_order_and_equal_the_unsplit_run(net: Net) -> None:
    plan = split(net.graph, (0, 1, "a"), (1, 2, "b"), (2, len(net.graph.units), "c"))
    frames = [net.inputs(seed) for seed in range(5)]
    for seed, result in enumerate(streamed(net, plan, simulated("a", "b", "c"), frames)):
        want = run_once(net.data, frames[seed])
        assert result.frame == seed
        assert set(result.value()) == set(net.graph.outputs)
        assert compare(result.value(), {name: want[name] for name in net.graph.outputs}).worst <= TOLERANCE


def test_tensors_may_go_directly_where_a_plan_says_so() -> None:
    net = skipping()
    stages = (Stage(0, 1, ("a",)), Stage(1, 2, ("b",)), Stage(2, 5, ("c",)))
    ends = [("x", CLIENT, 0), ("b", 0, 1), ("d", 1, 2), ("b", 0, 2), ("y", 2, CLIENT)]
    plan = Plan(net.graph.digest, stages, tuple(Transfer(*end) for end in ends))
    (result,) = streamed(net, plan, simulated("a", "b", "c"), [net.inputs()])
    assert compare(result.value(), run_once(net.data, net.inputs())).worst <= TOLERANCE


def test_a_frame_that_fails_names_its_stage_and_the_others_are_fine() -> None:
    net = picking()
    bad = net.inputs() | {"i": np.array([0, 1, 2, 99])}
    results = list(streamed(net, split(net.graph, (0, 1, "a"), (1, 3, "b")), simulated("a", "b"), [net.inputs(), bad, net.inputs()]))
    assert [result.error is None for result in results] == [True, False, True]
    with pytest.raises(StageError, match="frame 1 failed: stage 1@b") as raised:
        results[1].value()
    assert (raised.value.stage, raised.value.frame) == ("stage 1@b", 1)


def test_an_input_that_does_not_fit_ends_the_stream_after_the_results_before_it() -> None:
    net = serial()
    got = []
    with pytest.raises(FrameError, match=r"frame 2: input 'x' is expected as float32 \[1, 3, 8, 8\], got float32 \[2\]"):
        for result in streamed(
            net, split(net.graph, (0, 5, "a")), simulated("a"), [net.inputs(), net.inputs(), {"x": np.zeros(2, np.float32)}]
        ):
            got.append(result.frame)
    assert got == [0, 1]


def test_at_most_a_window_of_frames_is_under_way_and_frames_are_drawn_as_they_are_needed() -> None:
    net = serial()
    plan, cluster = split(net.graph, (0, 2, "a"), (2, 5, "b")), simulated("a", "b")
    results = list(islice(streamed(net, plan, cluster, repeat(net.inputs()), window=3), 30))
    for later, result in enumerate(results[3:]):
        assert result.sent_s >= results[later].done_s
    assert all(earlier.done_s <= later.done_s for earlier, later in zip(results, results[1:], strict=False))


def test_frames_that_arrive_too_fast_wait_and_their_latency_counts_from_when_they_were_meant_to_be_sent() -> None:
    net = serial()
    results = list(streamed(net, split(net.graph, (0, 5, "a")), simulated("a"), repeat(net.inputs(), 4), arrivals_s=[0.0, 0.0, 0.0, 10.0]))
    latencies = [result.done_s - result.intended_s for result in results]
    assert latencies[0] < latencies[1] < latencies[2]
    assert latencies[3] == pytest.approx(latencies[0])


def test_a_window_without_room_is_refused() -> None:
    net = serial()
    with pytest.raises(UsageError, match="at least 1 frame in flight, got a window of 0"):
        list(streamed(net, split(net.graph, (0, 5, "a")), simulated("a"), [net.inputs()], window=0))


def test_devices_without_a_link_are_refused() -> None:
    net = serial()
    cluster = simulated("a", "b", links=(Link("client", "a"), Link(ANY, "client")))
    plan = split(net.graph, (0, 2, "a"), (2, 5, "b"))
    with pytest.raises(PlanError, match="b is unreachable from a: cluster cluster has no link a → b; add one"):
        next(streamed(net, plan, cluster, []))


def test_a_virtual_client_is_what_a_pipeline_of_described_devices_hands_out() -> None:
    net = serial()
    with api.deploy(split(net.graph, (0, 5, "a")), net.graph, net.model, simulated("a")) as pipeline, pipeline.client() as client:
        assert isinstance(client, VirtualClient)
