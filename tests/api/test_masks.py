"""Masks of huge values set no scale for eight bits; what is lost beyond what is usual is refused, and told by tensor."""

from pathlib import Path

import numpy as np
import pytest

from edgekit import api, onnxio
from edgekit.errors import PromiseError
from edgekit.onnxio import load, masking
from edgekit.quantize import Scheme, to_int8
from tests.written import imported

ATTENTION = """net (float[1,2,6,8] x{inputs}) => (float[1,2,6,8] y) <float[8,8] wq, float[8,8] wk, float[8,8] wv, float[8,8] wo> {{
    q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv) kt = Transpose<perm = [0, 1, 3, 2]>(k)
    c = Constant<value = float {{0.1}}>() r = MatMul(q, kt) s = Mul(r, c)
    {masked}
    p = Softmax(m) o = MatMul(p, v) y = MatMul(o, wo) }}"""

CAUSAL = "ones = Constant<value = float[1] {{{least}}}>() shape = Constant<value = int64[2] {{6, 6}}>() full = Expand(ones, shape) "

ADDED = CAUSAL + "mask = Trilu<upper = 1>(full, one) one = Constant<value = int64 {{1}}>() m = Add(s, mask)"
CHOSEN = (
    "row = Constant<value = int64[6] {{0, 1, 2, 3, 4, 5}}>() line = Constant<value = int64[6,1] {{0, 1, 2, 3, 4, 5}}>() "
    "after = Greater(row, line) least = Constant<value = float {{{least}}}>() m = Where(after, least, s)"
)
TIMES = (
    "one = Constant<value = float {{1}}>() least = Constant<value = float {{{least}}}>() "
    "hidden = Sub(one, kept) mask = Mul(hidden, least) m = Add(s, mask)"
)

MASKS = [
    ("added", ADDED, "-1e9"),
    ("chosen, infinite", CHOSEN, "-inf"),
    ("chosen, the least float", CHOSEN, "-3.4e38"),
    ("times a constant", TIMES, "-1e9"),
]


def network(masked: str, least: str) -> bytes:
    inputs = ", float[1,1,1,6] kept" if "kept" in masked else ""
    return imported(ATTENTION.format(inputs=inputs, masked=masked.format(least=least)))


def written(folder: Path, data: bytes) -> tuple[Path, Path]:
    """The network, and twenty frames of it."""
    random = np.random.default_rng(0)
    arrays = {"x": random.standard_normal((20, 1, 2, 6, 8)).astype(np.float32)}
    if "kept" in onnxio.read(data).inputs:
        arrays["kept"] = (random.random((20, 1, 1, 1, 6)) < 0.7).astype(np.float32)
        arrays["kept"][..., 0] = 1
    (folder / "net.onnx").write_bytes(data)
    np.savez(folder / "frames.npz", **arrays)  # type: ignore[arg-type]
    return folder / "net.onnx", folder / "frames.npz"


@pytest.mark.parametrize(("masked", "least"), [each[1:] for each in MASKS], ids=[each[0] for each in MASKS])
def test_a_mask_sets_no_scale(masked: str, least: str, tmp_path: Path) -> None:
    net, data = written(tmp_path, network(masked, least))
    made = api.quantize(net, tmp_path / "q.onnx", "int8", data=data)
    assert made.accuracy is not None and made.accuracy.outputs[0].rms < 0.1
    ops = [node.op for node in made.graph.nodes]
    assert made.graph.precision == "int8" and "Softmax" in ops


def test_without_a_mask_nothing_stays_in_fp32() -> None:
    assert masking(network("m = Identity(s)", "")) == []
    assert masking(network(CHOSEN, "-inf"))[-1].startswith("Softmax")
    assert masking(network("m = Identity(s)", ""), ["x"]) == []  # products take what is large as a whole


@pytest.fixture
def spoiled(tmp_path: Path) -> tuple[Path, Path]:
    """A network whose input is a hundred times larger in the frames that ranges are set by than what it usually holds."""
    text = "net (float[1,8] x) => (float[1,4] y) <float[8,8] w0, float[8,4] w1> { a = MatMul(x, w0) b = Relu(a) y = MatMul(b, w1) }"
    frames = np.random.default_rng(0).standard_normal((10, 1, 8)).astype(np.float32)
    frames[0] *= 90
    (tmp_path / "net.onnx").write_bytes(imported(text))
    np.savez(tmp_path / "frames.npz", x=frames)
    return tmp_path / "net.onnx", tmp_path / "frames.npz"


def test_a_loss_above_a_tenth_of_the_deviation_is_refused(spoiled: tuple[Path, Path], tmp_path: Path) -> None:
    words = (
        r"net in int8: output y differs by \d+.\d% of its standard deviation on 2 frames kept out of the calibration, "
        r"expected at most 10%; most is lost at .*b \(Relu, 0.0% → \d+.\d%\).*--accept"
    )
    with pytest.raises(PromiseError, match=words):
        api.quantize(spoiled[0], tmp_path / "q.onnx", "int8", data=spoiled[1])
    assert not (tmp_path / "q.onnx").exists()


def test_a_loss_that_is_accepted_is_written_and_told(spoiled: tuple[Path, Path], tmp_path: Path) -> None:
    made = api.quantize(spoiled[0], tmp_path / "q.onnx", "int8", data=spoiled[1], accept=True)
    assert (tmp_path / "q.onnx").exists() and made.loss.startswith("net in int8: output y differs by")


def test_the_tensor_at_which_most_is_lost_is_found(tmp_path: Path) -> None:
    from edgekit.accuracy.culprits import culprits

    model = load(network("m = Identity(s)", ""))
    frames = [{"x": frame} for frame in np.random.default_rng(0).standard_normal((4, 1, 2, 6, 8)).astype(np.float32)]
    made = load(to_int8(model, frames, Scheme(False, True, "")))
    found = culprits(model, made, frames)
    assert 0 < len(found) <= 3 and all(each.after > each.before for each in found)
