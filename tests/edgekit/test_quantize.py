"""Networks in other precisions: what they compute, that they are files like any other, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekit.accuracy.output_error import difference
from edgekit.device import Variant
from edgekit.errors import GraphError
from edgekit.machine import Machine
from edgekit.onnxio import cut, load, normalise, read
from edgekit.quantize import Scheme, int8_scheme, to_fp16, to_int8
from edgekit.runtime.engine.executor import open_session, run_once
from tests.digits import digits, network
from tests.models import CONV, Net, draw, paired, skipping

ROOT = Path(__file__).parents[2]

SEVEN_BITS = Scheme(False, True, "")


def quantized(net: Net, precision: str, count: int = 16) -> Net:
    """The network in that precision, calibrated with seeded frames."""
    frames = (net.inputs(seed) for seed in range(count))
    model = load(to_int8(net.model, frames, SEVEN_BITS) if precision == "int8" else to_fp16(net.model))
    return Net(read(model), model)


def right(data: bytes) -> float:
    """Share of the digits that the network was not fitted to which it knows."""
    images, labels = (each[1500:] for each in digits())
    session = open_session(data, Variant())
    return float(
        np.mean([session.run(["y"], {"x": image[None]})[0].argmax() == label for image, label in zip(images, labels, strict=True)])
    )


@pytest.mark.parametrize("scheme", [SEVEN_BITS, Scheme(True, True, "")], ids=["unsigned", "signed"])
def test_digits_are_read_as_well_in_int8_as_in_fp32(scheme: Scheme) -> None:
    net = network()
    data = to_int8(net.model, ({"x": image[None]} for image in digits()[0][:100]), scheme)
    assert right(net.data) > 0.85
    assert abs(right(data) - right(net.data)) < 0.02
    assert len(data) < len(net.data)


def test_digits_are_read_as_well_in_fp16_as_in_fp32_from_a_file_of_half_the_size() -> None:
    net = network()
    data = to_fp16(net.model)
    assert abs(right(data) - right(net.data)) < 0.01
    assert len(data) < 0.6 * len(net.data)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("net", [skipping, paired], ids=lambda net: net.__name__)
def test_a_quantized_network_is_one_like_any_other(net, precision: str) -> None:
    original = net()
    made = quantized(original, precision)
    assert (original.graph.precision, made.graph.precision) == ("fp32", precision)
    assert made.graph.cuts[0].tensors == original.graph.cuts[0].tensors and made.graph.cuts[-1].tensors == original.graph.cuts[-1].tensors
    assert normalise(made.data) == made.data
    frame = original.inputs(99)
    for name, want in run_once(original.data, frame).items():
        assert difference(name, [run_once(made.data, frame)[name]], [want]).rms < 0.1


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_cut_between_any_units_a_quantized_network_gives_what_it_gives_whole(precision: str) -> None:
    made = quantized(skipping(), precision)
    frame = made.inputs(7)
    whole = run_once(made.data, frame)["y"]
    assert made.graph.candidates
    for position in made.graph.candidates:
        held = dict(frame)
        for start, stop in ((0, position), (position, len(made.graph.units))):
            held |= run_once(cut(made.model, made.graph, start, stop), held)
        assert np.allclose(held["y"], whole, rtol=1e-3, atol=1e-3), position


def test_between_its_units_an_int8_network_sends_bytes() -> None:
    made = quantized(skipping(), "int8")
    assert {tensor.dtype for position in made.graph.candidates for tensor in made.graph.cuts[position].tensors} == {"uint8"}


@pytest.mark.parametrize(
    ("architectures", "features", "scheme"),
    [
        (["x86_64"], ["avx2"], (False, True)),
        (["x86_64"], ["avx2", "avx512_vnni"], (False, False)),
        (["x86_64", "x86_64"], ["avx_vnni"], (False, False)),
        (["aarch64", "armv7l"], ["asimddp"], (True, False)),
        (["aarch64", "x86_64"], ["avx2"], (False, True)),
    ],
)
def test_eight_bits_are_used_as_all_of_the_machines_take_them(
    architectures: list[str], features: list[str], scheme: tuple[bool, bool]
) -> None:
    machines = [Machine(architecture, 4, features=tuple(features)) for architecture in architectures]
    assert int8_scheme(machines)[:2] == scheme


def test_only_a_network_in_fp32_is_quantized() -> None:
    half = load(to_fp16(skipping().model))
    with pytest.raises(GraphError, match="expected a network in fp32, got net in fp16; pass the one that it was made of"):
        to_int8(half, [], SEVEN_BITS)
    with pytest.raises(GraphError, match="in fp16"):
        to_fp16(half)


@pytest.mark.parametrize("convert", [to_fp16, lambda model: to_int8(model, [{"x": np.ones((1, 4), np.float32)}], SEVEN_BITS)])
def test_a_network_without_anything_to_quantize_is_refused(convert) -> None:
    model = load(normalise(draw("Relu x > a\nExp a > y", {"x": [1, 4]}, {"y": [1, 4]}, {})))
    with pytest.raises(GraphError, match="net has nothing to compute in .* got Exp, Relu"):
        convert(model)


def test_without_frames_there_are_no_ranges() -> None:
    with pytest.raises(GraphError, match="net cannot be quantized"):
        to_int8(skipping().model, [], SEVEN_BITS)


def test_a_network_of_an_older_opset_is_quantized_too() -> None:
    import onnx

    proto = onnx.load_from_string(draw("Conv x,w > y", {"x": [1, 3, 8, 8]}, {"y": [1, 4, 8, 8]}, {"w": [4, 3, 3, 3]}, **CONV))
    proto.opset_import[0].version = 11
    model = load(normalise(proto.SerializeToString()))
    assert read(to_int8(model, [{"x": np.ones((1, 3, 8, 8), np.float32)}], SEVEN_BITS)).precision == "int8"


def test_quantizing_leaves_the_search_path_alone() -> None:
    before = list(sys.path)
    to_fp16(skipping().model)
    assert sys.path == before


def test_outputs_differ_by_what_they_differ() -> None:
    scores = np.array([[0.0, 4.0, 2.0]], np.float32)
    found = difference("y", [scores + 1, scores[:, ::-1]], [scores, scores])
    assert (found.largest, found.relative, found.agreement) == (2.0, 0.5, 1.0)
    assert difference("y", [scores * -1], [scores]).agreement == 0.0
    assert difference("y", [scores[..., None, None]], [scores[..., None, None]]).agreement == 1.0
    assert difference("y", [np.ones((1, 2, 3))], [np.ones((1, 2, 3))]).agreement is None  # an image, say
    assert difference("y", [np.float32(1)], [np.float32(1)]).agreement is None
    with pytest.raises(GraphError, match="output y is no longer finite"):
        difference("y", [np.full_like(scores, np.inf)], [scores])


def test_an_offset_of_an_output_hides_no_difference() -> None:
    want = [np.array([[1000.0, 1001.0, 999.0]])]
    found = difference("y", [want[0] + np.array([[0.4, -0.4, 0.4]])], want)
    assert found.relative < 1e-3 and found.rms == pytest.approx(0.4 / np.std(want))
    assert difference("y", [np.array([[5.5]])], [np.array([[5.0]])]).rms == pytest.approx(0.1)  # it never varies


def test_int8_may_come_after_fp16_in_a_process_of_its_own() -> None:
    script = (
        "from edgekit.quantize import Scheme, to_fp16, to_int8; from tests.models import skipping; made = skipping(); "
        "to_fp16(made.model); to_int8(made.model, [made.inputs()], Scheme(False, True, ''))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
