"""Whole pipelines over each transport, and who is told where one is not to be had."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from devices.local import LocalConnection
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.attachment import attach
from edgekit.deploy.serve.deployment_record import find_record
from edgekit.deploy.serve.deployments import deploy_to_stay, end
from edgekit.deploy.serve.pipeline import Pipeline, deploy
from edgekit.deploy.serve.transport_check import require_transport
from edgekit.errors import DeviceError, UsageError
from edgekit.plan import Plan
from edgekit.runtime.engine.executor import run_once
from edgekit.runtime.verbs import FactsReply
from edgekit.stages.equality import TOLERANCE, compare
from tests.deploy.bed import Bed, home, kill, through_chaos
from tests.deploy.test_faults import MIXED, Storm
from tests.models import Net, local, serial, simulated, split

__all__ = ["home"]

STAGES = ((0, 1, "a"), (1, 3, "b"), (3, 5, "c"))


@pytest.mark.parametrize("secure", [True, False], ids=["gRPC over TLS", "gRPC in clear"])
@pytest.mark.parametrize("killed", [0, 2])
def test_no_frame_is_lost_though_a_stage_is_killed(home: Bed, monkeypatch: pytest.MonkeyPatch, secure: bool, killed: int) -> None:
    monkeypatch.setattr("edgekit.deploy.client.client.RECOVERY_S", 20.0)  # a start of Python, on a machine that may be busy
    net, count = serial(), 400
    inputs = [net.inputs(seed) for seed in range(5)]
    answers = [run_once(net.data, frame) for frame in inputs]
    plan = split(net.graph, *STAGES)
    with deploy(plan, net.graph, net.model, local("a", "b", "c"), home=home.home, secure=secure, transport="grpc") as pipeline:
        assert pipeline.equality is not None
        killing = threading.Timer(0.1, kill, args=(pipeline, killed))
        with pipeline.client() as client:
            killing.start()
            for number, result in enumerate(client.stream((inputs[i % 5] for i in range(count)), window=6)):
                assert result.frame == number
                whole = answers[number % 5]
                assert compare(result.value(), {name: whole[name] for name in net.graph.outputs}).worst <= TOLERANCE
            assert number == count - 1
        killing.join()
        assert any("its process ended" in reply.text for reply in pipeline.logs().values())
        pipeline.stop()


class RpcBed(Bed):
    """Agents whose pipelines are linked by gRPC."""

    @contextmanager
    def pipeline(self, plan: Plan, net: Net, cluster: Cluster | None = None) -> Iterator[Pipeline]:
        with deploy(plan, net.graph, net.model, cluster or local(*plan.devices), home=self.home, transport="grpc") as pipeline:
            try:
                yield pipeline
            finally:
                pipeline.stop()


def test_no_frame_is_lost_over_grpc_on_links_that_are_faulty(home: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    with through_chaos(monkeypatch, 0) as ways:
        storm = Storm(RpcBed(home.home), ways, 0)
        storm.run(300, MIXED)
    assert sum(storm.counts[kind] for kind in ("reset", "half", "flip", "stall", "slice")) > 10


def test_shaped_links_carry_grpc_as_anything_else(home: Bed) -> None:
    net = serial()
    cluster = local("a", "b", links=(Link(ANY, ANY, 0.002, 1e7, shaped=True),))
    plan = split(net.graph, (0, 2, "a"), (2, 5, "b"))
    with deploy(plan, net.graph, net.model, cluster, home=home.home, transport="grpc") as pipeline, pipeline.client() as client:
        for result in client.stream([net.inputs()] * 5):
            assert result.done_s - result.sent_s > 3 * 0.002
            assert compare(result.value(), run_once(net.data, net.inputs())).worst <= TOLERANCE
        pipeline.stop()


def test_a_pipeline_that_stays_is_found_again_by_its_transport(tmp_path: Path) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "a"), (2, 5, "b"))
    cluster = local("a", "b")
    try:
        first = deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path, transport="grpc")
        again = deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path, transport="grpc")
        assert first.release == again.release and find_record(tmp_path).transport == "grpc"
        for _ in range(3):  # clients come and go
            with attach(tmp_path) as pipeline, pipeline.client() as client:
                (result,) = client.stream([net.inputs()])
                assert compare(result.value(), run_once(net.data, net.inputs())).worst <= TOLERANCE
        other = deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path)
        assert other.release != first.release and find_record(tmp_path).transport == "socket"
    finally:
        end(tmp_path)


def test_a_device_without_what_a_transport_needs_is_named_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, put = LocalConnection.facts, list[str]()

    def without(connection: LocalConnection) -> FactsReply:
        reply = facts(connection)
        return msgspec.structs.replace(reply, transports=("socket",)) if connection.device.name == "b" else reply

    monkeypatch.setattr(LocalConnection, "facts", without)
    monkeypatch.setattr(LocalConnection, "put", lambda connection, data: put.append(connection.device.name))
    net = serial()
    plan = split(net.graph, *STAGES)
    wanted = "^b: grpcio and grpcio-health-checking are not installed there; run: edgekit devices setup b --transport grpc"
    with (
        pytest.raises(DeviceError, match=wanted),
        deploy(plan, net.graph, net.model, local("a", "b", "c"), transport="grpc"),
    ):
        pass
    assert not put


def test_this_machine_is_told_if_it_lacks_grpc_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.deploy.serve.transport_check.available", lambda: ("socket",))
    require_transport("socket", {})
    with pytest.raises(UsageError, match=r"this machine, as the client, needs grpcio .* pip install 'edgekit\[grpc\]'"):
        require_transport("grpc", {})


def test_what_is_simulated_has_no_links_to_be_carried() -> None:
    net = serial()
    cluster = simulated("a", "b")
    with (
        pytest.raises(UsageError, match="a, b: simulated, and so without links that grpc could carry"),
        api.deploy(split(net.graph, (0, 2, "a"), (2, 5, "b")), net.graph, net.model, cluster, transport="grpc"),
    ):
        pass


def test_links_are_surveyed_over_grpc_in_clear() -> None:
    survey = api.take_survey(local("a", "b"), graph=serial().graph, transport="grpc", secure=False)
    assert (survey.transport, survey.secure) == ("grpc", False) and all(way.reason is None for way in survey.ways)
    assert {(sample.source, sample.receiver) for sample in survey.samples} >= {("client", "a"), ("a", "b"), ("b", "client")}
