"""What deploying refuses, what it finds out, and what it leaves behind."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import devices
from devices.local import LocalConnection, find
from devices.local import connect as connect_local
from devices.sim import SimConnection
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve.connections import connect_all
from edgekit.deploy.serve.golden_frames import FRAMES
from edgekit.device import Device, Roofline, Variant
from edgekit.errors import DeviceError, PlanError, PromiseError, UsageError
from edgekit.graph import Graph
from edgekit.onnxio import load, normalise, read
from edgekit.plan import CLIENT, Plan, Stage, Transfer
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.verbs import Loaded, StageSpec
from tests.deploy.bed import Bed, home, until
from tests.models import Net, local, serial, simulated, split

__all__ = ["home"]


def refused(plan: Plan, cluster: Cluster, net: Net | None = None, home: Path | None = None) -> str:
    net = net or serial()
    with pytest.raises((PlanError, UsageError)) as raised, api.deploy(plan, net.graph, net.model, cluster, home=home):
        pass
    return str(raised.value)


def whole(*names: str) -> Plan:
    return split(serial().graph, (0, 5, "|".join(names)))


def test_a_plan_for_another_graph_or_that_leaves_units_out_is_refused() -> None:
    graph = serial().graph
    assert "the plan is for graph other, this is" in refused(Plan("other", whole("a").stages), local("a"))
    assert "the stages cover units [0, 4), the graph has 5" in refused(Plan(graph.digest, (Stage(0, 4, ("a",)),)), local("a"))
    assert "expected it to start at 2" in refused(Plan(graph.digest, (Stage(0, 2, ("a",)), Stage(3, 5, ("b",)))), local("a", "b"))


def test_devices_that_do_not_exist_or_do_not_go_together_are_refused() -> None:
    mixed = Cluster((Device("a"), Device("b", "sim:", roofline=Roofline(1e9, 1e9))), (Link(ANY, ANY),))
    assert "no device 'z' in cluster cluster; it has a" in refused(whole("z"), local("a"))
    assert "mixes sim: devices with real ones" in refused(split(serial().graph, (0, 2, "a"), (2, 5, "b")), mixed)
    assert "b: no way to reach 'telnet:b'" in refused(whole("b"), Cluster((Device("b", "telnet:b"),), (Link(ANY, ANY),)))
    assert "without a roofline" in refused(whole("b"), Cluster((Device("b", "sim:"),), (Link(ANY, ANY),)))


def test_two_devices_that_have_to_talk_need_a_link() -> None:
    links = (Link("client", ANY), Link(ANY, "client"))
    plan = split(serial().graph, (0, 2, "a"), (2, 5, "b"))
    for cluster in (local("a", "b", links=links), simulated("a", "b", links=links)):
        assert "b is unreachable from a: cluster cluster has no link a → b; add one" in refused(plan, cluster)
    with api.deploy(whole("a"), serial().graph, serial().model, simulated("a", links=links)) as pipeline:
        assert pipeline.equality is not None


def test_replicas_that_never_meet_need_no_link() -> None:
    links = (Link("client", ANY), Link(ANY, "client"), Link("a", "c"), Link("b", "d"))
    net = serial()
    with api.deploy(
        split(net.graph, (0, 2, "a|b"), (2, 5, "c|d")), net.graph, net.model, simulated("a", "b", "c", "d", links=links)
    ) as pipeline:
        assert pipeline.equality is not None and pipeline.equality.frames == 2 * FRAMES  # each for each pair


def noisy(*nodes: onnx.NodeProto, inputs: tuple[str, ...] = ()) -> Net:
    """A graph that begins with random numbers, which nothing has to be sent for."""
    first = helper.make_node("RandomNormal", [], ["a"], shape=[1, 2, 2], name="a")
    ends = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 2]) for name in (*inputs, "y")}
    graph = helper.make_graph([first, *nodes], "noisy", [ends[name] for name in inputs], [ends["y"]])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model = load(normalise(proto.SerializeToString()))
    return Net(read(model), model)


def test_a_graph_without_inputs_is_refused() -> None:
    net = noisy(helper.make_node("Relu", ["a"], ["y"], name="y"))
    assert "noisy reads no input, so no frame can be sent" in refused(split(net.graph, (0, len(net.graph.units), "a")), local("a"), net)


def test_a_stage_that_no_frame_reaches_is_refused() -> None:
    pool = helper.make_node("MaxPool", ["x"], ["b"], kernel_shape=[1], name="b")
    net = noisy(pool, helper.make_node("Add", ["a", "b"], ["y"], name="y"), inputs=("x",))
    assert net.graph.segment(0, 1).inputs == ()
    stages = Stage(0, 1, ("a",)), Stage(1, len(net.graph.units), ("b",))
    direct = Transfer("a", 0, 1), Transfer("x", CLIENT, 1), Transfer("y", 1, CLIENT)
    message = refused(Plan(net.graph.digest, stages, direct), local("a", "b"), net)
    assert "nothing is sent to stage 0, so no frame reaches it" in message


def test_a_folder_that_no_socket_fits_into_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    assert "too long for a socket (107 bytes at most); set XDG_STATE_HOME to a shorter folder" in refused(whole("a"), local("a"), home=deep)
    assert "cannot have a folder of its name" in refused(whole("../a"), local("../a"), home=tmp_path)
    assert not deep.exists()


class Wrong:
    """A device whose stage gives something else; everything but ``load`` is that of the connection inside."""

    def __init__(self, inner: LocalConnection | SimConnection):
        self._inner = inner

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def load(self, spec: StageSpec, golden: bytes = b"") -> tuple[Loaded, bytes]:
        loaded, outputs = self._inner.load(spec, golden)
        arrays = Layout(spec.outputs).unpack(outputs)
        return loaded, Layout(spec.outputs).pack({name: array + np.float32(0.01) for name, array in arrays.items()})

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def wrong_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(devices.SCHEMES, "wrong", devices.Scheme(lambda device, home: Wrong(connect_local(device, home))))


def test_a_device_that_computes_something_else_is_named(wrong_scheme: None) -> None:
    cluster = Cluster((Device("a"), Device("b", "wrong:"), Device("c")), (Link(ANY, ANY),))
    net = serial()
    plan = split(net.graph, (0, 1, "a"), (1, 3, "b"), (3, 5, "c"))
    match = r"stage 1@b on the inputs of stage 1 for 1 frame: expected the output of the unsplit run, t3\[.*\] is .* it differs by"
    with pytest.raises(PromiseError, match=match), api.deploy(plan, net.graph, net.model, cluster):
        pass


def test_a_device_that_cannot_load_its_stage_is_named() -> None:
    cluster = Cluster((Device("a"), Device("b", cores=(9999,))), (Link(ANY, ANY),))
    net = serial()
    match = "b: .*cores .9999,?. are not all there"
    with pytest.raises(DeviceError, match=match), api.deploy(split(net.graph, (0, 2, "a"), (2, 5, "b")), net.graph, net.model, cluster):
        pass


def left_over() -> list[str]:
    return [path.name for path in Path(tempfile.gettempdir()).glob("edgekit-*")]


@pytest.fixture
def own_temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert left_over() == []


def test_when_one_device_does_not_start_the_others_are_closed(own_temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def connect(device: Device, home: Path | None = None) -> LocalConnection:
        if device.name == "b":
            raise DeviceError("b: its agent did not start")
        opened.append(connect_local(device, home))
        return opened[-1]

    monkeypatch.setitem(devices.SCHEMES, "local", devices.Scheme(connect, find))
    with pytest.raises(DeviceError, match="b: its agent did not start"), ExitStack() as stack:
        connect_all([Device("a"), Device("b"), Device("c")], stack)
    assert len(opened) == 2 and all(connection.process.returncode is not None for connection in opened)


def test_an_interruption_while_connecting_or_serving_leaves_nothing(own_temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "a"), (2, 5, "b"))
    for moment in ("connecting", "loading stages", "comparing with the unsplit run"):

        def tell(text: str, moment: str = moment) -> None:
            if text == moment:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), api.deploy(plan, net.graph, net.model, local("a", "b"), tell=tell):
            pass
        assert left_over() == []


def test_a_pipeline_measured_has_the_terms_of_its_prediction(home: Bed) -> None:
    net = serial()
    cluster = local("a", "b", "c")
    plan = split(net.graph, (0, 1, "a"), (1, 3, "b|c"), (3, 5, "a"))
    profiles = api.profile(net.graph, net.model, simulated("a", "b", "c"))  # what is compared are names
    plan = api.predict(plan, net.graph, cluster, profiles)
    with home.pipeline(plan, net, cluster) as pipeline:
        trace = api.verify(pipeline, seconds=0.2)
    assert plan.predicted is not None
    assert [term.name for term in trace.measured.terms] == [term.name for term in plan.predicted.terms]
    assert {load.resource for load in trace.measured.loads} == {"device a", "device b", "device c"}
    assert {memory.host for memory in trace.measured.memory} == {"a", "b", "c"}
    assert all(memory.nbytes > 2**20 for memory in trace.measured.memory)
    assert trace.equality.frames == 2 * FRAMES
    links = {"transfer client→a", "transfer a→b", "transfer a→c", "transfer b→a", "transfer c→a", "transfer a→client"}
    assert {span.stage for span in trace.spans} == {"stage 0@a", "stage 1@b", "stage 1@c", "stage 2@a", *links}
    assert [load.fraction for load in trace.loads] == [0.5, 0.8, 0.95]


def test_a_variant_other_than_the_profiled_one_is_refused_with_both_named() -> None:
    net = serial()
    cluster = Cluster((Device("a", "sim:", variant=Variant(threads=2), roofline=Roofline(1e9, 1e9)),), (Link(ANY, ANY),))
    profiles = api.profile(net.graph, net.model, cluster)
    with pytest.raises(PlanError, match="runs as fp32 CPU ×1, its profile was taken as fp32 CPU ×2; make them the same"):
        api.predict(split(net.graph, (0, 5, "a")), net.graph, cluster, profiles)
    (stage,) = split(net.graph, (0, 5, "a")).stages
    by_hand = Plan(net.graph.digest, (msgspec.structs.replace(stage, variant=Variant(threads=2)),))
    assert api.predict(by_hand, net.graph, cluster, profiles).predicted is not None


def test_a_deployment_is_found_again_and_ended(tmp_path: Path) -> None:
    net = serial()
    home = tmp_path / "h"
    with pytest.raises(UsageError, match="no pipeline is deployed under"), api.attach(home):
        pass
    plan, cluster = split(net.graph, (0, 2, "a"), (2, 5, "b")), local("a", "b")
    api.deploy_to_stay(plan, net.graph, net.model, cluster, home)
    tells: list[str] = []
    api.deploy_to_stay(plan, net.graph, net.model, cluster, home, tell=tells.append)
    assert tells == []  # it serves already
    assert api.deployed(home)
    with api.attach(home) as pipeline, pipeline.client() as client:
        assert [result.frame for result in client.stream([net.inputs(), net.inputs()])] == [0, 1]
        agents = [int(Path(f"/proc/{s.pid}/stat").read_text().split()[3]) for reply in pipeline.logs().values() for s in reply.stages]
    os.kill(agents[0], 9)
    assert until(lambda: not (find(Device("a"), home) and find(Device("b"), home)))
    with (
        pytest.raises(DeviceError, match="the agent of [ab] has gone; run: edgekit stop -n cluster, then edgekit deploy"),
        api.attach(home),
    ):
        pass
    assert len(api.end(home)) == 1
    assert api.end(home) == ()
    assert not api.deployed(home) and not list(home.rglob("agent.sock"))


def test_agents_that_a_killed_deployment_left_are_found_without_a_record(tmp_path: Path) -> None:
    connect_local(Device("a"), tmp_path).close()
    assert api.end(tmp_path) == ("a",)


def test_names_that_are_no_folders_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert api.home_of("here") == tmp_path / "edgekit" / "here"
    for name in ("", ".", "..", "../x", "/etc"):
        with pytest.raises(UsageError, match="cannot have a folder of its name"):
            api.home_of(name)


def test_graphs_are_never_changed_by_deploying() -> None:
    net = serial()
    before: Graph = msgspec.structs.replace(net.graph)
    with api.deploy(whole("a"), net.graph, net.model, simulated("a")):
        pass
    assert net.graph == before
