"""What codecs lose on real digits: one tensor at a time, summed, and of whole plans."""

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edgekit import api
from edgekit.accuracy.channel_ranges import FOLDS
from edgekit.cluster import ANY, Link
from edgekit.codec import CODECS
from edgekit.constraints import Constraints, Limit, Pin
from edgekit.errors import FrameError, PlanError, UsageError
from edgekit.files import decode, encode
from edgekit.front import Question, cost_of
from edgekit.losses import Losses, TensorLoss
from edgekit.plan import Plan
from tests.digits import digits, kept, network
from tests.models import Net, local, serial, simulated

SLOW = (Link(ANY, ANY, 1e-4, 2e4),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept(tmp_path_factory.mktemp("digits"))


def judge(folder: Path, labelled: bool = False) -> api.Judge:
    net = network()
    return api.Judge(net.graph, net.model, folder / "digits.npz", labels=folder / "labels.npy" if labelled else None)


def test_losses_are_told_by_answers_and_with_labels_by_right_ones(folder: Path) -> None:
    for labelled, measure in ((False, "disagreement"), (True, "error")):
        found = api.measure_losses(judge(folder, labelled))
        assert (found.measure, found.samples, found.codecs) == (measure, 100, CODECS[1:])
        crossing = {tensor.name for position in network().graph.candidates for tensor in network().graph.cuts[position].tensors}
        assert {each.tensor for each in found.tensors} == crossing
        assert all(each.loss <= 0.05 for each in found.tensors)
        assert decode(encode(found), Losses) == found


def test_outputs_that_are_no_scores_are_told_apart_by_size(tmp_path: Path) -> None:
    net = serial()
    np.savez(tmp_path / "x.npz", x=np.stack([net.inputs(seed)["x"] for seed in range(8)]))
    images = api.Judge(net.graph, net.model, tmp_path / "x.npz")
    assert images.measure == "rms"
    found = api.measure_losses(images)
    fp16, u8 = ([each.loss for each in found.tensors if each.codec == codec] for codec in ("fp16", "u8"))
    assert 0 < max(fp16) < min(u8) < 0.05
    assert images.loss(lambda frame: {"y": np.full_like(net.inputs()["x"], np.nan, shape=(1, 3, 8, 8))}) is None
    np.save(tmp_path / "labels.npy", np.arange(8))
    with pytest.raises(UsageError, match="labels need one output of class scores"):
        api.Judge(net.graph, net.model, tmp_path / "x.npz", labels=tmp_path / "labels.npy")


def test_what_no_longer_fits_into_fp16_cannot_be_sent_so(folder: Path) -> None:
    huge = {name: array * 1e6 for name, array in np.load(folder / "digits.npz").items()}
    np.savez(folder / "huge.npz", **huge)
    net = network()
    found = api.measure_losses(api.Judge(net.graph, net.model, folder / "huge.npz"))
    assert found.codecs == ("u8", "u8c")


def test_losses_of_some_cuts_are_those_of_all(folder: Path) -> None:
    every = api.measure_losses(judge(folder))
    position = network().graph.candidates[0]
    (tensor,) = network().graph.cuts[position].tensors
    some = api.measure_losses(judge(folder), codecs=("u8",), cuts=(position,))
    assert some.tensors == tuple(each for each in every.tensors if (each.tensor, each.codec) == (tensor.name, "u8"))


def test_labels_have_to_fit(folder: Path) -> None:
    np.save(folder / "few.npy", digits()[1][:7])
    net = network()
    with pytest.raises(FrameError, match="expected 100 class numbers"):
        api.Judge(net.graph, net.model, folder / "digits.npz", labels=folder / "few.npy")
    with pytest.raises(FrameError, match=r"expected an \.npy file"):
        api.Judge(net.graph, net.model, folder / "digits.npz", labels=folder / "net.onnx")


def test_plans_of_the_front_are_run_end_to_end_and_filtered_again(folder: Path) -> None:
    net, cluster = network(), simulated("near", "far", links=SLOW)
    profiles = api.profile(net.graph, net.model, cluster, budget_s=0.1, codecs=True)
    losses = api.measure_losses(judge(folder))
    # estimates that are too high by far: measured, the plans that lose nothing beat all that are slower
    feared = replace(losses, tensors=tuple(replace(each, loss=each.loss + 0.25) for each in losses.tensors))
    last = len(net.graph.units)
    both = Constraints(pins=(Pin(0, 1, "near"), Pin(last - 1, last, "far")))
    front, _ = api.partition(
        net.graph, net.model, cluster, profiles, objectives=("latency", "loss"), question=Question(constraints=both, losses=feared)
    )
    assert any(plan.coded for plan in front.plans)
    found = api.evaluate(front, judge(folder))
    assert {cost_of(plan).loss_badge for plan in found.front.plans} == {"measured"}
    assert len(found.losses) == sum(plan.coded for plan in front.plans) and len(found.front.plans) < len(front.plans)
    assert all(measured is not None and measured < estimate for plan, estimate, measured in found.losses if plan.coded)
    assert len(found.front.compared) > len(front.compared)


def test_what_loses_more_than_was_allowed_is_left_out(folder: Path) -> None:
    net, cluster = network(), simulated("near", "far", links=SLOW)
    profiles = api.profile(net.graph, net.model, cluster, budget_s=0.1, codecs=True)
    hoped = api.measure_losses(judge(folder))
    hoped = replace(hoped, tensors=tuple(replace(each, loss=0.0) for each in hoped.tensors))
    last = len(net.graph.units)
    pins = (Pin(0, 1, "near"), Pin(last - 1, last, "far"))
    noisy = Coarse(net, folder / "digits.npz")
    rules = Constraints((Limit("loss", 0.5),), pins)
    front, _ = api.partition(
        net.graph, net.model, cluster, profiles, objectives=("latency",), question=Question(constraints=rules, losses=hoped)
    )
    assert front.plans[0].coded
    with pytest.raises(PlanError, match=r"every plan of the front loses more than 0\.5 when it is run"):
        api.evaluate(front, noisy)


class Coarse(api.Judge):
    """To whom everything that is changed is wrong."""

    def __init__(self, net: Net, data: Path):
        super().__init__(net.graph, net.model, data)

    def loss(self, run: object) -> float:
        return 1.0


def test_a_coded_front_needs_the_times_of_codecs(folder: Path) -> None:
    net, cluster = network(), simulated("near", "far", links=SLOW)
    profiles = api.profile(net.graph, net.model, cluster, budget_s=0.1)
    losses = Losses(net.graph.digest, "rms", 1, (TensorLoss("b", "u8", 0.0),))
    with pytest.raises(PlanError, match="what u8 takes on the devices is not known; run edgekit profile --codecs"):
        api.partition(net.graph, net.model, cluster, profiles, question=Question(losses=losses))
    assert "codecs" not in api.partition(net.graph, net.model, cluster, profiles)[0].certificate.model


def test_codecs_are_timed_on_a_device() -> None:
    net = network()
    profile = api.profile(net.graph, net.model, local("here"), budget_s=0.1, codecs=True)["here"]
    assert tuple(each.codec for each in profile.codecs) == CODECS[1:]
    assert all(0 <= each.encode_s + 1e6 * each.encode_s_per_byte < 0.1 for each in profile.codecs)


def test_what_is_clipped_of_frames_not_seen_is_part_of_the_loss(tmp_path: Path) -> None:
    """Frames that grow: the last fold reaches further than all others, and is judged with their ranges."""
    net = serial()
    frames = np.stack([net.inputs(seed)["x"] * (5.0 if seed % FOLDS == 4 else 1.0) for seed in range(20)])
    for name, several in (("grown", frames), ("alike", frames[[i for i in range(20) if i % FOLDS < 4]][:4])):
        np.savez(tmp_path / f"{name}.npz", x=several)
    grown, alike = (api.measure_losses(api.Judge(net.graph, net.model, tmp_path / f"{name}.npz")) for name in ("grown", "alike"))
    for tensor in {each.tensor for each in grown.tensors}:
        assert (grown.of(tensor, "u8c") or 0.0) > 5 * (alike.of(tensor, "u8c") or 1.0)
        assert (grown.of(tensor, "u8c") or 0.0) > 5 * (grown.of(tensor, "u8") or 1.0)
    assert [found.tensor for found in grown.ranges] == list(dict.fromkeys(each.tensor for each in grown.tensors))


def test_a_plan_carries_the_ranges_of_what_it_sends_in_them(folder: Path) -> None:
    net, cluster = network(), simulated("near", "far", links=SLOW)
    profiles = api.profile(net.graph, net.model, cluster, budget_s=0.1, codecs=True)
    losses = api.measure_losses(judge(folder), codecs=("u8c",))
    last = len(net.graph.units)
    pins = Constraints(pins=(Pin(0, 1, "near"), Pin(last - 1, last, "far")))
    front, _ = api.partition(
        net.graph, net.model, cluster, profiles, objectives=("latency",), question=Question(constraints=pins, losses=losses)
    )
    (plan,) = front.plans
    assert plan.coded and {each.tensor for each in plan.ranges} == {each.tensor for each in plan.transfers if each.codec == "u8c"}
    again = decode(encode(plan), Plan)
    for each in (plan, again):
        assert api.predict(each, net.graph, cluster, profiles, losses=losses).predicted == plan.predicted
    with api.deploy(again, net.graph, net.model, local("near", "far")) as pipeline:
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance
