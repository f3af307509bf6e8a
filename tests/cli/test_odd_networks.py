"""Networks that are right and odd: what export, deploy and run say of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from edgekit.files import write
from tests.cli.bed import Outcome, edgekit_run, toml
from tests.models import split
from tests.written import model

CLUSTER = 'name = "odd"\n[[devices]]\nname = "near"\naddress = "local:"\n[[links]]\nsource = "*"\nreceiver = "*"\n'
UNUSED = """net (float[1,8] x, bool training) => (float[1,4] z) <float[8,4] w, float[4,4] v> {
    m = Gemm(x, w)  y = Relu(m)  z = Gemm(y, v)
}"""
RANDOM = """net (float[1,8] x) => (float[1,8] y) <float[8,4] w, float[4,8] v> {
    m = Gemm(x, w)  e = RandomNormalLike(m)  z = Add(m, e)  d = Gemm(z, v)  y = Sigmoid(d)
}"""
DEAD = """net (float[1,1,8,n] x, int64 rate) => (float[] y) <
    float[1,16,8] w, float[1,16,4] r, int64 slow = {8000}, int64[1] last = {3}, int64 three = {3}, int64 one = {1},
    int64[4,2] none = {0,0,0,0,0,0,0,0}, int64[1] eight = {8}
> {
    c = Equal(rate, slow)
    b = If (c) <
        then_branch = then () => (float[] p) {
            t = Transpose(none)  pads = Reshape(t, eight)  xx = Pad(x, pads)  s = Shape(xx)  n3 = Gather(s, three)  is1 = Equal(n3, one)
            f = If (is1) <
                then_branch = squeeze () => (float[] q) { q = Squeeze(xx, last) },
                else_branch = keep () => (float[] k) { k = Identity(xx) }
            >
            , p = LSTM <hidden_size = 4> (f, w, r)
        },
        else_branch = other () => (float[] o) {
            e = ReduceMean <axes = [3], keepdims = 0> (x)
            , o = LSTM <hidden_size = 4> (e, w, r)
        }
    >
    y = Relu(b)
}"""
TORCH = """import torch
from torch import nn
class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 4)
    def forward(self, x, mask=None):
        return self.b(self.a(x).relu())
def unused():
    torch.manual_seed(0)
    return Unused()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    toml(tmp_path, CLUSTER)
    yield tmp_path
    edgekit_run("stop", "-n", "odd")


def exported(text: str, *arguments: str) -> Outcome:
    """What the export of a network in ONNX's text form says."""
    Path("odd.onnx").write_bytes(model(text).SerializeToString())
    return edgekit_run("export", "odd.onnx", *arguments, "-o", "net.onnx")


def deployed() -> Outcome:
    """What its deployment to one device says."""
    graph, _ = api.load(Path("net.onnx"))
    write(Path("plan.json"), split(graph, (0, len(graph.units), "near")))
    return edgekit_run("deploy", "plan.json", "-g", "net.onnx", "-c", "cluster.toml")


def ran() -> Outcome:
    """What a run says that is given all that the network may take."""
    x = np.ones((1, 8), np.float32)
    np.savez("x.npz", x=x, mask=x, training=np.array(False))
    return edgekit_run("run", "-n", "odd", "--input", "x.npz", "--output", "y.npz")


@pytest.mark.xfail(
    strict=True,
    reason="a network with an input that nothing reads is exported without a word and cannot be deployed",
)
def test_an_input_that_nothing_reads_is_named_and_the_network_serves() -> None:
    done = exported(UNUSED)
    assert done.code == 0 and "training" in done.out + done.err
    assert deployed().code == 0
    assert ran().code == 0


@pytest.mark.parametrize(
    "inputs",
    [
        ("--input", "x:1x8"),
        pytest.param(
            ("--input", "x:1x8", "--input", "mask:1x8"),
            marks=pytest.mark.xfail(strict=True, reason="an input of a torch network that nothing reads is not named"),
        ),
    ],
    ids=["left out", "given"],
)
def test_an_input_that_a_torch_network_does_not_read_is_no_hindrance(
    inputs: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("oddnets.py").write_text(TORCH)
    monkeypatch.syspath_prepend(folder)
    done = edgekit_run("export", "oddnets:unused", *inputs, "-o", "net.onnx")
    assert done.code == 0, done.err
    assert "mask:1x8" not in inputs or "mask" in done.out + done.err
    assert deployed().code == 0
    assert ran().code == 0


@pytest.mark.xfail(
    strict=True,
    reason="export does not say that outputs cannot be repeated, and then a device is blamed for that",
)
def test_a_network_whose_outputs_cannot_be_repeated_is_said_to_be_so() -> None:
    done = exported(RANDOM)
    assert done.code == 0 and "RandomNormalLike" in done.out + done.err
    assert "computes something else" not in deployed().err


@pytest.mark.xfail(
    strict=True,
    reason="export does not try whether onnxruntime takes the network with its sizes fixed",
)
def test_a_network_that_onnxruntime_refuses_once_its_sizes_are_fixed_is_refused() -> None:
    done = exported(DEAD, "--input", "x:1x1x8x4")
    assert done.code == 2 and "onnxruntime" in done.message
