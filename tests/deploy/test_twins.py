"""Stages in several precisions: profiled on a device, chosen, and deployed as one pipeline."""

from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from edgekit.cluster import ANY, Link
from edgekit.constraints import Constraints, Pin
from edgekit.device import Variant
from edgekit.errors import UsageError
from edgekit.files import read
from edgekit.front import Question, cost_of
from edgekit.plan import Stage, chain
from edgekit.profile import Profile
from tests.digits import digits, kept
from tests.models import local, simulated

SLOW = (Link(ANY, ANY, 1e-4, 2e4),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of digits, the same in int8, and frames."""
    folder = kept(tmp_path_factory.mktemp("digits"))
    api.quantize(folder / "net.onnx", folder / "net.int8.onnx", "int8", data=folder / "digits.npz")
    return folder


def test_stages_of_two_precisions_are_one_pipeline(folder: Path) -> None:
    graph, model = api.load(folder / "net.onnx", [folder / "net.int8.onnx"])
    stages = (Stage(0, graph.twins[0].cuts[0], ("a",), Variant("int8")), Stage(graph.twins[0].cuts[0], len(graph.units), ("b",)))
    plan = chain(graph, stages, codecs=("u8",))
    with api.deploy(plan, graph, model, local("a", "b")) as pipeline, pipeline.client() as client:
        assert pipeline.equality is not None and pipeline.equality.worst <= 0.02
        images, labels = digits()
        results = client.stream({"x": image[None]} for image in images[1200:1240])
        right = [result.value()["y"].argmax() == label for result, label in zip(results, labels[1200:1240], strict=True)]
    assert np.mean(right) > 0.85


def test_a_device_is_profiled_in_both(folder: Path, tmp_path: Path) -> None:
    graph, model = api.load(folder / "net.onnx", [folder / "net.int8.onnx"])
    run = api.Run(tmp_path / "run")
    found = api.profile(graph, model, local("here"), budget_s=0.1, keep=run.keep)
    own, other = found.of("here")
    assert (own.twin, other.twin, other.variant.precision) == ("", graph.twins[0].digest, "int8")
    assert (other.graph, other.unit_count, len(other.segments)) == (graph.digest, len(graph.units), 1)
    assert sum(other.unit_s) == pytest.approx(other.whole.p50_s) and other.coverage == 1
    assert sorted(path.name for path in run.folder.glob("*.json")) == ["here.int8.profile.json", "here.profile.json"]
    assert run.profiles() == found
    front, measured = api.partition(graph, model, local("here"), found, objectives=("latency", "memory"), measure=True, keep=run.keep)
    assert all(measured.of("here")) and front.plans
    (run.folder / "again.profile.json").write_bytes((run.folder / "here.int8.profile.json").read_bytes())
    with pytest.raises(UsageError, match="is a second profile of here"):
        run.profiles()


def test_a_profile_of_another_network_takes_the_place_of_both(folder: Path, tmp_path: Path) -> None:
    graph, model = api.load(folder / "net.onnx", [folder / "net.int8.onnx"])
    run = api.Run(tmp_path / "run")
    api.profile(graph, model, simulated("here"), budget_s=0.1, keep=run.keep)
    own, _ = api.load(folder / "net.int8.onnx")
    api.profile(own, api.load(folder / "net.int8.onnx")[1], simulated("here"), budget_s=0.1, keep=run.keep)
    assert [read(path, Profile).graph for path in run.folder.glob("*.json")] == [own.digest]


def test_precisions_are_chosen_stage_by_stage_and_judged(folder: Path) -> None:
    graph, model = api.load(folder / "net.onnx", [folder / "net.int8.onnx"])
    cluster = simulated("near", "far", links=SLOW)
    faster = api.profile(graph, model, cluster, budget_s=0.1, codecs=True)
    judge = api.Judge(graph, model, folder / "digits.npz", labels=folder / "labels.npy")
    losses = api.measure_losses(judge)
    assert [(each.start, each.precision) for each in losses.stages][0] == (0, "int8")
    pins = Constraints(pins=(Pin(0, 1, "near"), Pin(len(graph.units) - 1, len(graph.units), "far")))
    front, _ = api.partition(
        graph, model, cluster, faster, objectives=("latency", "memory", "loss"), question=Question(constraints=pins, losses=losses)
    )
    used = {stage.variant.precision for plan in front.plans for stage in plan.stages}
    assert "fp32" in used and all(cost_of(plan).accuracy_loss is not None for plan in front.plans)
    judged = api.evaluate(front, judge)
    assert all(loss is not None and abs(loss - (estimate or 0.0)) < 0.2 for _, estimate, loss in judged.losses)
