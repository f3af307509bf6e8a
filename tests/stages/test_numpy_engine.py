"""An engine of one's own beside onnxruntime: profiled, partitioned with what it cannot run, deployed and certified.

In tree it stands in ``BUILDERS`` and ``ENGINES``, out of tree in a package with two entry points. It is one file.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices import connect
from edgekit.cluster import ANY, Cluster, Link
from edgekit.constraints import Constraints
from edgekit.deploy.observe.certify import certify
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Device, Roofline, Variant
from edgekit.errors import DeviceError, GraphError, PlanError
from edgekit.front import Question
from edgekit.onnxio import cut
from edgekit.plan import Stage, chain
from edgekit.profile import Profile
from edgekit.profiles import Profiles
from edgekit.runtime.engine.engines import ENGINES
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.artifact import build, runnable
from edgekit.stages.builders import BUILDERS
from edgekit.stages.installed import require_engine
from partitioner.cost import price
from partitioner.reasons import explain
from partitioner.solve.exact import solve
from profilers.measure import profiler
from profilers.measure.segments import ends, measure_segments
from tests.models import Net, skipping
from tests.stages import numpy_engine

NET = skipping()
COUNT = len(NET.graph.units)
POOL = COUNT - 1
NUMPY = Variant(engine="numpy")
LINKS = (Link(ANY, ANY, 1e-4, 1e8),)
SIMULATED = Cluster(
    (
        Device("board", "sim:", variant=NUMPY, roofline=Roofline(1e9, 1e9)),
        Device("pi", "sim:", roofline=Roofline(1e6, 1e9)),
    ),
    LINKS,
)
REASON = "unit 4, NumPy has no GlobalAveragePool"


@pytest.fixture
def in_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILDERS, "numpy", numpy_engine.BUILDER)
    monkeypatch.setitem(ENGINES, "numpy", numpy_engine.ENGINE)


@pytest.fixture
def out_of_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where pip would put it, for this process and those that it starts."""
    facts = tmp_path / "edgekit_numpy-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: edgekit-numpy\nVersion: 1.0\n")
    groups = (f"[edgekit.{group}]\nnumpy = edgekit_numpy:{name}\n" for group, name in (("builders", "BUILDER"), ("engines", "ENGINE")))
    (facts / "entry_points.txt").write_text("".join(groups))
    shutil.copy(numpy_engine.__file__, tmp_path / "edgekit_numpy.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    yield


def profiled(cluster: Cluster) -> Profiles:
    found = []
    for device in cluster.devices:
        with connect(device) as connection:
            found.append(profiler.profile_graph(NET.graph, NET.model, connection, budget_s=0.02))
    return Profiles(tuple(found))


def of_board(profiles: Profiles) -> Profile:
    return profiles.of("board", NUMPY)


def test_an_artifact_is_what_the_builder_makes(in_tree: None) -> None:
    made = build(NET.model, NET.graph, 0, 3, NUMPY)
    assert made.onnx == cut(NET.model, NET.graph, 0, 3)
    assert made.data == numpy_engine.compiled(made.onnx, NUMPY, made.inputs, made.outputs) != made.onnx
    with pytest.raises(GraphError, match=rf"units \[3, 5\) cannot run in numpy: {REASON}; cut elsewhere"):
        build(NET.model, NET.graph, 3, COUNT, NUMPY)


def test_what_a_builder_raises_refuses_the_segment(in_tree: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> bytes:
        raise ValueError("too wide")

    monkeypatch.setitem(BUILDERS, "numpy", numpy_engine.BUILDER._replace(make=broken))
    with pytest.raises(GraphError, match=r"the builder of engine numpy refuses units \[0, 3\): ValueError: too wide"):
        build(NET.model, NET.graph, 0, 3, NUMPY)


def test_the_longest_segments_that_an_engine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*units: int) -> None:
        builder = numpy_engine.BUILDER._replace(cannot_run=lambda graph, unit, variant, model: "no" if unit in units else "")
        monkeypatch.setitem(BUILDERS, "numpy", builder)

    without()
    assert runnable(NET.model, NET.graph, NUMPY) == (((0, 5),), ())
    without(2)
    assert runnable(NET.model, NET.graph, NUMPY) == (((0, 2), (3, 5)), ((2, "no"),))
    without(0, 1, 2, 3, 4)
    assert runnable(NET.model, NET.graph, NUMPY)[0] == ()
    with connect(SIMULATED.device("board")) as connection, pytest.raises(DeviceError, match="engine numpy can run no unit of net: unit 0"):
        monkeypatch.setitem(ENGINES, "numpy", numpy_engine.ENGINE)
        profiler.profile_graph(NET.graph, NET.model, connection)


def test_a_profile_says_what_its_engine_cannot_run(in_tree: None) -> None:
    board = of_board(profiled(SIMULATED))
    assert board.cannot_run == ((POOL, "NumPy has no GlobalAveragePool"),)
    assert [(each.start, each.stop) for each in board.segments] == [(0, POOL)]
    assert board.memory_model == numpy_engine.MEMORY
    assert (board.extent, board.runs_on, board.unit_s[POOL]) == ("units [0, 4)", "cpu", 0.0)
    assert sum(board.unit_s) == pytest.approx(board.longest.p50_s)
    order = (0, 1, 3, 2, 4)
    assert board.in_order(order).unit_s == pytest.approx([board.unit_s[unit] for unit in order])
    with connect(SIMULATED.device("board")) as connection:
        more = measure_segments(NET.graph, NET.model, connection, board, ends(NET.graph))
    assert all(each.stop <= POOL for each in more.segments) and len(more.segments) > 1


@pytest.mark.parametrize("split_branches", [False, True])
def test_no_plan_gives_an_engine_what_it_cannot_run(in_tree: None, split_branches: bool) -> None:
    profiles = profiled(SIMULATED)
    front = solve(NET.graph, SIMULATED, profiles, objectives=("latency", "period"), question=Question(split_branches=split_branches))
    assert any("board" in plan.devices for plan in front.plans)  # it is a thousand times as fast
    for plan in (*front.plans, *front.compared):
        assert not any("board" in stage.devices and stage.stop == COUNT for stage in plan.stages)
    whole = chain(NET.graph, (Stage(0, COUNT, ("board",), NUMPY),))
    with pytest.raises(PlanError, match=rf"units \[0, 5\) cannot run on board as fp32 numpy ×1: {REASON}"):
        price(whole, NET.graph, SIMULATED, profiles)
    with pytest.raises(GraphError, match=REASON), deploy(whole, NET.graph, NET.model, SIMULATED):
        pass


def test_why_no_plan_exists_names_what_cannot_be_run(in_tree: None) -> None:
    profiles = profiled(SIMULATED)
    expected = rf"no plan: a unit can run on no device \(board as fp32 numpy ×1: {REASON}\); add a device"
    with pytest.raises(PlanError, match=expected):
        solve(NET.graph, SIMULATED, profiles, objectives=("latency",), question=Question(constraints=Constraints(forbidden=("pi",))))
    with pytest.raises(PlanError, match="; unit 4 cannot run on board as fp32 numpy ×1: NumPy has no GlobalAveragePool"):
        solve(NET.graph, SIMULATED, profiles, objectives=("latency",), question=Question(("pi", "board"), Constraints(required=("board",))))


def test_an_explanation_says_what_an_engine_cannot_run(in_tree: None) -> None:
    profiles = profiled(SIMULATED)
    front = solve(NET.graph, SIMULATED, profiles, objectives=("latency",), question=Question())
    found = explain(front.plans[0], front, NET.graph, SIMULATED, profiles)
    assert found.barred == ("unit 4 cannot run on board as fp32 numpy ×1: NumPy has no GlobalAveragePool",)


def test_a_device_without_the_engine_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILDERS, "numpy", numpy_engine.BUILDER)
    expected = "a has no engine numpy, only: onnxruntime; install edgekit-numpy beside edgekit there"
    with connect(Device("a", variant=NUMPY)) as connection, pytest.raises(DeviceError, match=expected):
        require_engine(NUMPY, connection)


def certified(cluster: Cluster, profiles: Profiles, net: Net) -> None:
    front = solve(net.graph, cluster, profiles, objectives=("latency",), question=Question(constraints=Constraints(required=("board",))))
    (plan, *_) = (plan for plan in front.plans if "board" in plan.devices)
    with deploy(plan, net.graph, net.model, cluster) as pipeline, pipeline.client() as client:
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance
        frame = net.inputs()
        (result,) = client.stream([frame])
        np.testing.assert_allclose(result.value()["y"], run_once(net.data, frame)["y"], rtol=1e-4, atol=1e-5)
    with deploy(plan, net.graph, net.model, cluster) as pipeline:
        trace = certify(pipeline, seconds=0.1, fractions=(0.5,))
    assert trace.equality.worst <= trace.equality.tolerance and trace.predicted is not None
    assert {term.name for term in trace.measured.terms if term.name.startswith("compute")} == {
        term.name for term in trace.predicted.terms if term.name.startswith("compute")
    }


def test_an_engine_in_tree_is_certified_beside_onnxruntime(in_tree: None) -> None:
    certified(SIMULATED, profiled(SIMULATED), NET)


def test_an_engine_out_of_tree_is_certified_beside_onnxruntime(out_of_tree: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiler, "MOST_BURSTS", profiler.LEAST_BURSTS)
    cluster = Cluster((Device("board", variant=NUMPY), Device("pi")), LINKS)
    with connect(cluster.device("board")) as connection:
        assert "numpy" in [engine.name for engine in connection.facts().engines]
    profiles = profiled(cluster)
    assert of_board(profiles).compute_units == "compute units: numpy 1"
    assert of_board(profiles).cannot_run and of_board(profiles).runs_on == "cpu"
    certified(cluster, profiles, NET)
