"""From given data to a network in another precision that is profiled, partitioned and deployed like any other."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgekit import api
from edgekit.accuracy.output_error import Accuracy
from edgekit.device import Variant
from edgekit.errors import FrameError, GraphError, PlanError, UsageError
from edgekit.files import decode, encode
from edgekit.plan import validate
from tests.digits import digits, network
from tests.models import local, simulated, skipping, split


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of digits, sixty of them, and the network in int8."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "net.onnx").write_bytes(network().data)
    np.savez(folder / "digits.npz", x=digits()[0][:60])
    api.quantize(folder / "net.onnx", folder / "net.int8.onnx", "int8", data=folder / "digits.npz")
    return folder


def test_every_fifth_frame_is_kept_out_of_the_calibration_to_compare_outputs_on(folder: Path) -> None:
    graph, accuracy, scheme, _ = api.quantize(folder / "net.onnx", folder / "again.onnx", "int8", data=folder / "digits.npz")
    assert (folder / "again.onnx").read_bytes() == (folder / "net.int8.onnx").read_bytes()
    assert accuracy is not None and "activations" in scheme
    assert (accuracy.graph, accuracy.source, accuracy.precision) == (graph.digest, network().graph.digest, "int8")
    assert (accuracy.calibrated, accuracy.samples, accuracy.badge) == (48, 12, "measured")
    (output,) = accuracy.outputs
    assert output.name == "y" and 0 < output.rms < 0.05 and output.agreement is not None and output.agreement > 0.8
    assert decode(encode(accuracy), Accuracy) == accuracy


def test_with_too_few_frames_they_are_compared_on_what_was_calibrated_with_and_badged_so(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", x=digits()[0][:4, None])  # as frames, not as samples
    _, accuracy, *_ = api.quantize(folder / "net.onnx", tmp_path / "q.onnx", "int8", data=tmp_path / "few.npz")
    assert accuracy is not None and (accuracy.calibrated, accuracy.samples, accuracy.badge) == (4, 4, "estimated")


def test_fp16_needs_no_data_and_is_compared_on_all_that_is_there(folder: Path, tmp_path: Path) -> None:
    assert api.quantize(folder / "net.onnx", tmp_path / "h.onnx", "fp16").accuracy is None
    graph, accuracy, *_ = api.quantize(folder / "net.onnx", tmp_path / "h.onnx", "fp16", data=folder / "digits.npz")
    assert graph.precision == "fp16" and accuracy is not None
    assert (accuracy.calibrated, accuracy.samples) == (0, 60)
    assert accuracy.badge == ("estimated" if accuracy.widened else "measured")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"image": (9, 1, 8, 8)}, "expected an input 'x', got image; name the arrays like the inputs"),
        ({"x": (9, 1, 9, 9)}, r"input 'x' is expected as float32 \[1, 1, 8, 8\], got float32 \[9, 1, 9, 9\]"),
        ({"x": (0, 1, 8, 8)}, r"got float32 \[0, 1, 8, 8\]"),
    ],
)
def test_data_that_does_not_fit_is_refused(folder: Path, tmp_path: Path, arrays: dict[str, tuple[int, ...]], words: str) -> None:
    np.savez(tmp_path / "data.npz", **{name: np.zeros(shape, np.float32) for name, shape in arrays.items()})
    with pytest.raises(FrameError, match=words):
        api.quantize(folder / "net.onnx", tmp_path / "q.onnx", "int8", data=tmp_path / "data.npz")
    np.savez(tmp_path / "data.npz", x=np.zeros((9, 1, 8, 8)))
    with pytest.raises(FrameError, match="expected as float32 .* got float64"):
        api.quantize(folder / "net.onnx", tmp_path / "q.onnx", "int8", data=tmp_path / "data.npz")
    assert not (tmp_path / "q.onnx").exists()


def test_what_cannot_be_done_is_said_before_it_is_begun(folder: Path, tmp_path: Path) -> None:
    net, made = folder / "net.onnx", tmp_path / "q.onnx"
    with pytest.raises(UsageError, match="expected int8 or fp16, got 'int4'; change --precision"):
        api.quantize(net, made, "int4")
    with pytest.raises(UsageError, match="int8 needs inputs as the network will see them, .*; add: --data"):
        api.quantize(net, made, "int8")
    with pytest.raises(FrameError, match=r"none.npz: expected a file, a folder or -, found nothing there"):
        api.quantize(net, made, "int8", data=tmp_path / "none.npz")
    with pytest.raises(GraphError, match="expected a network in fp32, got .* in int8"):
        api.quantize(folder / "net.int8.onnx", made, "fp16")


def test_the_precision_of_a_profile_and_of_its_plans_is_that_of_the_network(folder: Path) -> None:
    graph, model = api.load(folder / "net.int8.onnx")
    cluster = simulated("a", "b")
    profiles = api.profile(graph, model, cluster)
    assert {profile.variant for profile in profiles} == {Variant("int8")}
    front, _ = api.partition(graph, model, cluster, profiles, measure=True)
    assert {stage.variant for plan in front.plans for stage in plan.stages} == {Variant("int8")}
    by_hand = split(graph, (0, 2, "a"), (2, len(graph.units), "b"))
    assert api.predict(by_hand, graph, cluster, profiles).predicted is not None
    assert validate(validate(by_hand, graph), graph) == validate(by_hand, graph)


def test_a_stage_in_another_precision_than_its_network_is_refused() -> None:
    graph = skipping().graph
    plan = split(graph, (0, 2, "a"), (2, 5, "b"))
    stages = (plan.stages[0], msgspec.structs.replace(plan.stages[1], variant=Variant("int8")))
    with pytest.raises(PlanError, match="stage 1 is to run in int8, but net computes in fp32; make a network of that precision first"):
        validate(msgspec.structs.replace(plan, stages=stages), graph)


def test_an_int8_network_is_profiled_on_a_device_and_deployed_in_two_stages(folder: Path) -> None:
    graph, model = api.load(folder / "net.int8.onnx")
    cluster = local("a", "b")
    profile = api.profile(graph, model, cluster, devices=["a"], budget_s=0.05)["a"]
    assert (profile.variant.precision, profile.coverage, profile.widened) == ("int8", 1.0, 0)
    with api.deploy(split(graph, (0, 2, "a"), (2, len(graph.units), "b")), graph, model, cluster) as pipeline:
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance


def test_a_device_without_kernels_for_fp16_is_found_out(folder: Path, tmp_path: Path) -> None:
    api.quantize(folder / "net.onnx", tmp_path / "h.onnx", "fp16")
    graph, model = api.load(tmp_path / "h.onnx")
    profile = api.profile(graph, model, local("a"), budget_s=0.05)["a"]
    (machine,) = {profile.conditions.machine}
    assert profile.coverage == 1.0 and profile.variant.precision == "fp16"
    if machine == "x86_64":  # onnxruntime has fp16 kernels for ARM and for accelerators
        assert profile.widened == len(profile.kernels)
