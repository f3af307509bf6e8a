"""Tensors that travel in fp16 and in eight bits: what stages then read and make, and what the pipeline answers."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from edgekit import api
from edgekit.codec import CODECS, Codec
from edgekit.device import Variant
from edgekit.errors import PlanError
from edgekit.plan import CLIENT, Plan, Transfer, chain, ranged, validate
from edgekit.range import Range
from edgekit.runtime.engine.executor import open_session, run_once, session_options
from edgekit.stages.composed_run import Composed
from edgekit.stages.parts import part
from tests.models import Net, local, serial, simulated, skipping, split

THREE = [(0, 1, "near"), (1, 2, "middle"), (2, 5, "far")]
"""``b``, made in the first stage, skips over the second."""


RANGES = tuple(Range(name, 1, ((0.01, 0), (0.02, 3), (0.005, 9), (0.004, 128))) for name in "bd")
"""Of four channels, in some of which values are clipped at either end."""


def coded(net: Net, codecs: tuple[Codec, ...]) -> Plan:
    plan = split(net.graph, *THREE)
    return ranged(replace(chain(net.graph, plan.stages, codecs=codecs), name=""), RANGES)


def in_ranges(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """An array as its ranges hold it (onnx.ai/onnx/operators/onnx__QuantizeLinear)."""
    scales, zeros = (np.array(each, np.float32).reshape(1, 4, 1, 1) for each in zip(*RANGES[0].channels, strict=True))
    return ((np.clip(np.round(array / scales + zeros), 0, 255) - zeros) * scales).astype(np.float32)


def quantized(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """An array as eight bits hold it: 255 steps over its range, zero among them (onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear)."""
    low, high = min(0.0, float(array.min())), max(0.0, float(array.max()))
    scale = np.float32((high - low) / 255)
    zero = np.clip(np.round(-low / scale), 0, 255)
    return ((np.clip(np.round(array / scale) + zero, 0, 255) - zero) * scale).astype(np.float32)


@pytest.mark.parametrize("codecs", list(product(CODECS, repeat=2)))
def test_stages_with_codecs_give_what_rounded_tensors_give(codecs: tuple[Codec, ...]) -> None:
    net = skipping()
    plan = validate(coded(net, codecs), net.graph)
    parts = part(plan, net.graph, net.model, local("near", "middle", "far"), "p")
    frame = net.inputs()
    found = Composed(parts).run(frame)["y"]

    def rounded(array: NDArray[np.generic], codec: Codec) -> NDArray[np.float32]:
        plain = array.astype(np.float32)
        half = plain.astype(np.float16).astype(np.float32)
        return {"raw": plain, "fp16": half, "u8": quantized(plain), "u8c": in_ranges(plain)}[codec]

    raw = {
        spec.stage: artifact.onnx
        for spec, artifact in part(split(net.graph, *THREE), net.graph, net.model, local("near", "middle", "far"), "p")
    }
    b = rounded(run_once(raw[0], frame)["b"], codecs[0])
    d = run_once(raw[1], {"b": b})["d"]
    after = {"b": rounded(b, codecs[1]), "d": rounded(d, codecs[1])}
    np.testing.assert_allclose(found, run_once(raw[2], after)["y"], rtol=1e-5, atol=1e-6)


def test_what_only_passes_is_neither_read_nor_written_again() -> None:
    net = skipping()
    parts = part(coded(net, ("u8", "u8")), net.graph, net.model, local("near", "middle", "far"), "p")
    middle = parts[1].spec
    assert [tensor.name for tensor in middle.outputs] == ["d::u8", "d::scale", "d::zero"]
    assert {tensor.name for port in middle.receivers for tensor in port.tensors} == {
        "b::u8",
        "b::scale",
        "b::zero",
        "d::u8",
        "d::scale",
        "d::zero",
    }


@pytest.mark.parametrize("codecs", [("fp16", "u8"), ("u8", "raw"), ("u8", "u8"), ("u8c", "u8"), ("u8c", "u8c")])
def test_a_pipeline_with_codecs_answers_what_its_stages_do(codecs: tuple[Codec, ...]) -> None:
    net = skipping()
    plan = coded(net, codecs)
    with api.deploy(plan, net.graph, net.model, local("near", "middle", "far")) as pipeline, pipeline.client() as client:
        assert pipeline.equality is not None and pipeline.equality.worst <= pipeline.equality.tolerance
        composed = Composed(part(plan, net.graph, net.model, pipeline.cluster, "p"))
        frames = [net.inputs(seed) for seed in range(3)]
        for frame, result in zip(frames, client.stream(frames), strict=True):
            np.testing.assert_allclose(result.value()["y"], composed.run(frame)["y"], rtol=1e-5, atol=1e-6)


def test_described_devices_take_time_for_codecs_and_send_less() -> None:
    net, cluster = skipping(), simulated("near", "middle", "far")
    profiles = api.profile(net.graph, net.model, cluster, budget_s=0.1, codecs=True)
    fp16, u8, u8c = profiles["near"].codecs
    assert (fp16.codec, u8.codec, u8c.codec) == CODECS[1:] and fp16.encode_s_per_byte > u8.encode_s_per_byte > 0
    for codecs in (("fp16", "u8"), ("u8c", "u8"), ("raw", "raw")):
        plan = api.predict(coded(net, codecs), net.graph, cluster, profiles)
        assert plan.predicted is not None and plan.predicted.accuracy_loss == (0.0 if "raw" in codecs else None)
        with api.deploy(plan, net.graph, net.model, cluster) as pipeline:
            measured = api.verify(pipeline, seconds=0.1).measured
        assert measured.latency_s == pytest.approx(plan.predicted.latency_s, rel=1e-6)
        assert measured.period_s == pytest.approx(plan.predicted.period_s, rel=1e-6)


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        (Transfer("x", CLIENT, 0, "u8"), "the client sends and gets tensors as they are"),
        (Transfer("b", 0, 1, "u8"), "which needs opset 11, but net has 9"),
        (Transfer("b", 0, 1, "u8c"), "ranges of its channels are not known; measure them with edgekit quantize --losses"),
    ],
)
def test_codecs_that_cannot_be_are_refused(transfer: Transfer, words: str) -> None:
    net = skipping()
    graph = replace(net.graph, opset=9) if "opset" in words else net.graph
    plan = split(graph, *THREE)
    others = tuple(each for each in plan.transfers if (each.tensor, each.receiver) != (transfer.tensor, transfer.receiver))
    with pytest.raises(PlanError, match=words):
        validate(replace(plan, transfers=(*others, transfer)), graph)


@pytest.mark.parametrize("found", [Range("b", 1, ((0.1, 0),) * 3), Range("b", 4, ((0.1, 0),) * 4)])
def test_ranges_of_another_tensor_are_refused(found: Range) -> None:
    net = skipping()
    with pytest.raises(PlanError, match=r"with . ranges along axis . of \[1, 4, 8, 8\]; measure them again"):
        validate(replace(coded(net, ("u8c", "u8c")), ranges=(found, *RANGES)), net.graph)


@pytest.mark.parametrize("codecs", list(product(("u8", "u8c"), repeat=2)))
@pytest.mark.parametrize("make", [skipping, serial])
def test_a_convolution_between_codecs_keeps_its_weights(make, codecs: tuple[Codec, ...], tmp_path: Path) -> None:
    """onnxruntime takes what stands between DequantizeLinear and QuantizeLinear for a part of a network in int8."""
    net = make()
    names = {tensor.name for position in (1, 2) for tensor in net.graph.cuts[position].tensors}
    stages = split(net.graph, *THREE).stages
    channels = {name: (net.graph.tensor(name).shape or ())[1] for name in names}
    ranges = [Range(name, 1, ((0.01, 100),) * count) for name, count in channels.items()]
    plan = validate(ranged(chain(net.graph, stages, codecs=codecs), ranges), net.graph)
    options = session_options(Variant())
    options.optimized_model_filepath = str(tmp_path / "middle.onnx")
    open_session(part(plan, net.graph, net.model, local("near", "middle", "far"), "p")[1].artifact.onnx, Variant(), options)
    ops = {node.op_type for node in onnx.load(tmp_path / "middle.onnx").graph.node}
    assert ops & {"Conv", "FusedConv"} and "QLinearConv" not in ops
