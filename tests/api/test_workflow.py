"""Reading what was written, and what each step does besides calling the room that knows how."""

import json
from pathlib import Path

import msgspec
import pytest

from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.device import Device, Roofline
from edgekit.errors import FormatError, PlanError, UsageError
from edgekit.files import write
from edgekit.front import Front
from edgekit.losses import Losses, TensorLoss
from edgekit.sweep import Knob
from tests.models import serial, simulated, skipping, split

UNEQUAL = simulated("a", "b", macs_per_s=(1e6, 2e6), links=(Link(ANY, ANY, 1e-3, 1e6),))


@pytest.fixture(scope="module")
def front() -> Front:
    net = serial(3)
    return api.partition(net.graph, net.model, UNEQUAL, api.profile(net.graph, net.model, UNEQUAL))[0]


def test_a_plan_is_read_from_its_file_and_picked_from_a_front_whatever_its_name(front: Front, tmp_path: Path) -> None:
    write(tmp_path / "best.json", front)
    write(tmp_path / "plan.json", front.plans[0])
    assert api.read_plan(tmp_path / "plan.json") == front.plans[0]
    assert api.read_plan(tmp_path / "best.json") == front.knee()
    assert api.read_plan(tmp_path / "best.json", "period") == front.best("period")
    assert api.read_plan(tmp_path / "best.json", "1") == front.plans[1]
    for pick in ("²", "-1", "99", "speed"):
        with pytest.raises(PlanError, match="expected knee, latency, period or a number below"):
            api.read_plan(tmp_path / "best.json", pick)


def test_a_file_that_is_neither_says_so(tmp_path: Path) -> None:
    (tmp_path / "front.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(FormatError, match="expected edgekit.front as JSON"):
        api.read_plan(tmp_path / "front.json")
    with pytest.raises(FormatError, match="expected format 'edgekit.plan', got None"):
        api.read_plan(tmp_path / "list.json")
    with pytest.raises(FormatError, match=r"gone.json: cannot be read"):
        api.read_plan(tmp_path / "gone.json")


def test_profiles_are_kept_and_found_by_device_also_where_a_name_is_no_file_name(tmp_path: Path) -> None:
    net, cluster = serial(3), simulated("rack/3", "b")
    profiles = api.profile(net.graph, net.model, cluster)
    run = api.Run(tmp_path)
    for profile in profiles:
        run.keep(profile)
    assert sorted(run.profiles(), key=str) == sorted(profiles, key=str)
    (tmp_path / "copy.profile.json").write_bytes((tmp_path / "b.profile.json").read_bytes())
    with pytest.raises(UsageError, match=r"copy.profile.json is a second profile of b; keep one of them"):
        run.profiles()


def test_only_devices_that_are_asked_for_are_profiled() -> None:
    net = serial(3)
    assert api.profile(net.graph, net.model, UNEQUAL, devices=["b"]).devices == ("b",)
    with pytest.raises(PlanError, match="no device 'c'"):
        api.profile(net.graph, net.model, UNEQUAL, devices=["c"])


def test_described_links_stay_as_described_and_mixed_clusters_are_refused() -> None:
    graph = serial(3).graph
    assert api.survey(UNEQUAL, graph) == UNEQUAL
    mixed = Cluster((Device("a"), Device("b", "sim:", roofline=Roofline(1e9, 1e9))), (Link(ANY, ANY),))
    with pytest.raises(UsageError, match="b are sim: devices among real ones"):
        api.survey(mixed, graph)


def test_what_ends_on_a_front_is_measured_until_nothing_on_it_is_estimated() -> None:
    net = skipping()
    profiles = api.profile(net.graph, net.model, UNEQUAL)
    stray = msgspec.structs.replace(profiles["a"], device="gone")
    told: list[str] = []
    front, used = api.partition(net.graph, net.model, UNEQUAL, profiles.add(stray), measure=True, tell=told.append)
    assert any(len(plan.stages) > 1 for plan in front.plans) and told
    for plan in front.plans:
        assert plan.predicted is not None
        assert all(term.badge != "estimated" for term in plan.predicted.terms if term.name.startswith("compute"))
        assert all(used[name].segment(stage.start, stage.stop) for stage in plan.stages for name in stage.devices)
    assert used["gone"] == stray
    assert profiles["a"].segments != used["a"].segments  # what was handed in is left alone


def test_optimism_finds_what_an_estimate_that_is_too_high_hides() -> None:
    # b has twice the speed of a; kernels say that a takes longer for the first unit than b for all three
    net = serial(3)
    profiles = api.profile(net.graph, net.model, UNEQUAL)
    first, *rest = profiles["a"].kernels
    slow = msgspec.structs.replace(first, seconds=0.55 / 0.45 * sum(kernel.seconds for kernel in rest))
    wrong = profiles.add(msgspec.structs.replace(profiles["a"], kernels=(slow, *rest)))
    pessimistic, _ = api.partition(net.graph, net.model, UNEQUAL, wrong, objectives=("period",), measure=True)
    hopeful, used = api.partition(net.graph, net.model, UNEQUAL, wrong, objectives=("period",), measure=True, doubt_s=60)
    right, _ = api.partition(net.graph, net.model, UNEQUAL, profiles, objectives=("period",), measure=True)
    assert used["a"].segment(0, 1) is not None
    assert [plan.describe() for plan in hopeful.plans] == [plan.describe() for plan in right.plans]
    assert [plan.describe() for plan in pessimistic.plans] != [plan.describe() for plan in right.plans]


def test_a_plan_by_hand_is_predicted_with_its_transfers_filled_in() -> None:
    net = serial(3)
    plan = msgspec.structs.replace(split(net.graph, (0, 1, "a"), (1, 3, "b")), transfers=())
    predicted = api.predict(plan, net.graph, UNEQUAL, api.profile(net.graph, net.model, UNEQUAL))
    assert predicted.predicted is not None and len(predicted.transfers) == 3


def test_the_whole_api_is_documented() -> None:
    for name in api.__all__:
        assert getattr(api, name).__doc__, name


def test_a_run_without_a_front_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no front.json in .*; run: edgekit partition"):
        api.report(tmp_path)
    (tmp_path / "front.json").write_text(json.dumps({"format": "edgekit.trace"}))
    with pytest.raises(FormatError, match="expected format 'edgekit.front', got 'edgekit.trace'"):
        api.report(tmp_path)


def test_what_codecs_lose_is_minimised_without_being_asked_for() -> None:
    net = serial(3)
    profiles = api.profile(net.graph, net.model, UNEQUAL, codecs=True)
    losses = Losses(net.graph.digest, "rms", 9, (TensorLoss("t1", "fp16", 0.02),))
    asked = api.Question(losses=losses)
    front, _ = api.partition(net.graph, net.model, UNEQUAL, profiles, question=asked)
    assert front.objectives == ("latency", "period", "loss")
    swept = api.sweep(net.graph, UNEQUAL, profiles, (Knob("bandwidth", (1e4, 1e6)),), question=asked)
    assert swept.objectives == ("latency", "period", "loss")


def test_the_memory_of_a_machine_caps_what_is_planned_there(tmp_path: Path) -> None:
    net = serial(3)
    profiles = api.profile(net.graph, net.model, UNEQUAL)
    tight = [msgspec.structs.replace(each.conditions, memory_bytes=10) for each in profiles]
    small = profiles.add(*(msgspec.structs.replace(each, conditions=less) for each, less in zip(profiles, tight, strict=True)))
    with pytest.raises(PlanError, match="no plan fits in memory"):
        api.partition(net.graph, net.model, UNEQUAL, small)
    room = msgspec.structs.replace(UNEQUAL, devices=tuple(msgspec.structs.replace(d, memory_bytes=10**9) for d in UNEQUAL.devices))
    assert api.partition(net.graph, net.model, room, small)[0].plans


def test_a_report_names_the_plan_that_a_trace_is_of(front: Front, tmp_path: Path) -> None:
    net, run = serial(3), api.Run(tmp_path)
    for each in api.profile(net.graph, net.model, UNEQUAL):
        run.keep(each)
    write(run.front, front)
    with api.deploy(front.plans[-1], net.graph, net.model, UNEQUAL) as pipeline:
        trace = api.verify(pipeline, seconds=0.1)
    write(run.trace, trace)
    assert trace.measured.device_count == len(front.plans[-1].devices)
    assert any(span.stage.startswith("transfer ") for span in trace.spans)
    api.report(tmp_path)
    drawn = (tmp_path / "pareto.svg").read_text()
    assert trace.plan not in drawn and f"plan {len(front.plans) - 1}: " in drawn


def test_a_plan_by_hand_is_explained(front: Front, tmp_path: Path) -> None:
    net = serial(3)
    profiles = api.profile(net.graph, net.model, UNEQUAL)
    plan = api.predict(split(net.graph, (0, 1, "b"), (1, 3, "a")), net.graph, UNEQUAL, profiles)
    assert api.explain(plan, front, net.graph, UNEQUAL, profiles).loads
