"""Pipelines in int8: between their stages go whole numbers, a quarter of the bytes, and not a bit is lost."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import ModelProto

from devices.shaper import Route
from edgekit import api
from edgekit.cluster import ANY, Link
from edgekit.constraints import Constraints, Pin
from edgekit.deploy.serve.pipeline import deploy
from edgekit.device import Variant
from edgekit.errors import PlanError
from edgekit.front import Question, cost_of
from edgekit.onnxio import load, paired, read
from edgekit.plan import CLIENT, Plan, Stage, Transfer, chain, validate
from edgekit.profiles import Profiles
from edgekit.quantize import Scheme, to_int8
from edgekit.runtime.engine.executor import run_once
from edgekit.stages.composed_run import Composed
from edgekit.stages.parts import part
from tests.deploy.tap import Tap, padded
from tests.models import Net, local, simulated, skipping, split

Arrays = Mapping[str, NDArray[np.generic]]
SCHEMES = {"uint8": Scheme(False, True, ""), "int8": Scheme(True, True, "")}
FRAMES = 3


def in_int8(net: Net, dtype: str = "uint8") -> bytes:
    return to_int8(net.model, [net.inputs(seed) for seed in range(8)], SCHEMES[dtype])


def with_twin(dtype: str) -> Net:
    net = skipping()
    return Net(*paired(net.graph, load(net.data), [load(in_int8(net, dtype))]))


def carried_out(net: Net, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], list[Arrays]]:
    """The payloads that go from stage 0 to stage 1, nothing being encrypted, and the answers."""
    taps: list[Tap] = []

    @contextmanager
    def tapped(routes: Sequence[Route], lifeline: object) -> Iterator[list[tuple[str, int]]]:
        with ExitStack() as stack:
            taps.extend(stack.enter_context(Tap(route.host, route.port)) for route in routes)
            yield [tap.address for tap in taps]

    monkeypatch.setattr("edgekit.deploy.serve.pipeline.open_routes", tapped)
    cluster = local(*plan.devices, links=(Link(*plan.devices[:2], shaped=True), Link(ANY, ANY)))
    with deploy(plan, net.graph, net.model, cluster, secure=False) as pipeline, pipeline.client() as client:
        answers = [result.value() for result in client.stream([net.inputs(seed) for seed in range(FRAMES)])]
        (tap,) = taps
        return tap.payloads()[-FRAMES:], answers


def test_a_network_in_int8_sends_whole_numbers_and_answers_bit_by_bit_as_it_does_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = skipping()
    model = load(in_int8(plain))
    net = Net(read(model), model)
    position = next(p for p in net.graph.candidates if [t.name for t in net.graph.cuts[p].tensors] == ["b_QuantizeLinear_Output"])
    plan = split(net.graph, (0, position, "a"), (position, len(net.graph.units), "b"))
    payloads, answers = carried_out(net, plan, monkeypatch)
    (tensor,) = net.graph.cuts[position].tensors
    assert tensor.dtype == "uint8" and 4 * tensor.nbytes == plain.graph.tensor("b").nbytes
    first = part(plan, net.graph, net.model, local("a", "b"), "p")[0].artifact.onnx
    for seed, (payload, answer) in enumerate(zip(payloads, answers, strict=True)):
        frame = net.inputs(seed)
        assert payload == run_once(first, frame)[tensor.name].tobytes()
        assert answer["y"].tobytes() == run_once(net.data, frame)["y"].tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_stages_of_a_twin_send_a_quarter_and_answer_bit_by_bit_as_with_all_of_it(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = with_twin(dtype)
    (twin,) = net.graph.twins
    stages = (Stage(0, twin.cuts[0], ("a",), Variant("int8")), Stage(twin.cuts[0], 5, ("b",), Variant("int8")))
    straight = validate(chain(net.graph, stages, codecs=(dtype,)), net.graph)  # type: ignore[arg-type]  # both are codecs
    assert straight.describe() == f"a[0:1] int8 →{dtype}→ b[1:5] int8"
    raw = Composed(part(chain(net.graph, stages), net.graph, net.model, local("a", "b"), "p"))
    payloads, answers = carried_out(net, straight, monkeypatch)
    held = net.graph.held("int8", twin.cuts[0])["b"]
    for seed, (payload, answer) in enumerate(zip(payloads, answers, strict=True)):
        plain = raw.run(net.inputs(seed))
        assert 4 * len(payload) == padded(plain["b"].nbytes)
        whole = np.frombuffer(payload, held.dtype).reshape(plain["b"].shape)
        assert ((whole.astype(np.float32) - held.zero) * np.float32(held.scale)).tobytes() == plain["b"].tobytes()
        assert answer["y"].tobytes() == plain["y"].tobytes()


def test_what_skips_a_stage_goes_on_as_it_came() -> None:
    net = with_twin("uint8")
    stages = tuple(Stage(start, stop, (f"d{start}",), Variant("int8")) for start, stop in ((0, 1), (1, 2), (2, 5)))
    plan = validate(chain(net.graph, stages, codecs=("uint8", "uint8")), net.graph)
    assert [(each.tensor, each.codec) for each in plan.transfers if each.receiver == 2] == [("b", "raw"), ("d", "uint8")]
    devices = local(*(stage.devices[0] for stage in stages))
    found, raw = (Composed(part(each, net.graph, net.model, devices, "p")) for each in (plan, chain(net.graph, stages)))
    for seed in range(4):
        assert found.run(net.inputs(seed))["y"].tobytes() == raw.run(net.inputs(seed))["y"].tobytes()


def test_the_front_sends_straight_what_it_can() -> None:
    net, cluster = with_twin("uint8"), simulated("near", "far", links=(Link(ANY, ANY, 1e-4, 2e4),))
    found = api.profile(net.graph, net.model, cluster, budget_s=0.1)
    pins = Constraints(pins=(Pin(0, 1, "near"), Pin(4, 5, "far")))
    whole = Profiles(tuple(found.of(name)[1] for name in found.devices))  # of the twin alone
    front, _ = api.partition(net.graph, net.model, cluster, whole, objectives=("latency",), question=Question(constraints=pins))
    (plan,) = front.plans
    assert "int8 →uint8→ far" in plan.describe()
    by_hand = api.predict(chain(net.graph, plan.stages), net.graph, cluster, whole)
    spared_s = cost_of(by_hand).latency_s - cost_of(plan).latency_s
    measured = []
    for each in (by_hand, plan):
        with api.deploy(each, net.graph, net.model, cluster) as pipeline:
            measured.append(api.verify(pipeline, seconds=0.1).measured.latency_s)
    assert spared_s > 0 and measured[0] - measured[1] == pytest.approx(spared_s, rel=1e-6)


@pytest.mark.parametrize(
    ("precisions", "transfer"),
    [
        (("int8", "fp32"), Transfer("b", 0, 1, "uint8")),
        (("fp32", "int8"), Transfer("b", 0, 1, "uint8")),
        (("int8", "int8"), Transfer("b", 0, 1, "int8")),
    ],
)
def test_only_what_both_stages_hold_goes_straight(precisions: tuple[str, str], transfer: Transfer) -> None:
    net = with_twin("uint8")
    stages = (Stage(0, 1, ("a",), Variant(precisions[0])), Stage(1, 5, ("b",), Variant(precisions[1])))
    plan = chain(net.graph, stages, codecs=(transfer.codec,))
    assert plan == chain(net.graph, stages)
    others = tuple(each for each in plan.transfers if each.source == CLIENT or each.receiver == CLIENT)
    with pytest.raises(PlanError, match="but not both stages hold it so; run both in the precision of one twin, or send it raw"):
        validate(replace(plan, transfers=(*others, transfer)), net.graph)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_nothing_is_restored_or_quantized_on_the_way(dtype: str) -> None:
    net = with_twin(dtype)
    stages = (Stage(0, 1, ("a",), Variant("int8")), Stage(1, 5, ("b",), Variant("int8")))
    made = part(chain(net.graph, stages, codecs=(dtype,)), net.graph, net.model, local("a", "b"), "p")  # type: ignore[arg-type]
    first, second = (ModelProto.FromString(each.artifact.onnx).graph.node for each in made)
    assert first[-1].op_type == "QuantizeLinear" and list(first[-1].output) == [f"b::{dtype}"]
    assert {node.op_type for node in second if f"b::{dtype}" in node.input} == {"DequantizeLinear"}
    assert all("b" not in (*node.input, *node.output) for node in (*first, *second))
