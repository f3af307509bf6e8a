"""What is exported is what torch computes, and every way of asking wrongly is answered with what to do."""

import sys

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs tool torch")

from edgekit.errors import GraphError, UsageError  # noqa: E402
from edgekit.export import export, network  # noqa: E402
from edgekit.input import Input  # noqa: E402
from edgekit.networks.mobilenetv2 import mobilenetv2  # noqa: E402
from edgekit.networks.vit import vit_tiny  # noqa: E402
from edgekit.onnxio import legal, load, read, try_out  # noqa: E402

NETWORKS = """
import torch
from torch import nn

NUMBER = 7

class Sum(nn.Module):
    def forward(self, left, right):
        return left + 2 * right

class Odd(nn.Module):
    input_shape = (1, 3)
    def forward(self, x):
        return x if x.sum() > 0 else -x

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(50, 8), nn.Linear(8, 4)
    def forward(self, ids):
        return self.last(self.table(ids))

def tokens():
    network = Tokens()
    network.input_shape, network.input_dtype = (1, 6), "int64"
    return network

def scaled():
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.9))
    network.input_shape = (1, 3)
    return network

def picky(width):
    return Sum()

def nothing():
    return 7
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A folder with the module ``bench``, as the current one."""
    (tmp_path / "bench.py").write_text(NETWORKS)
    (tmp_path / "broken.py").write_text("import no_such_thing")
    monkeypatch.chdir(tmp_path)
    yield "bench"
    sys.modules.pop("bench", None)


def run(model, *inputs):
    stream = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return stream.run(None, {given.name: value.numpy() for given, value in zip(stream.get_inputs(), inputs, strict=True)})[0]


@pytest.mark.parametrize(
    ("build", "shape"),
    [(mobilenetv2, (1, 3, 96, 96)), (lambda: vit_tiny(image=64), (1, 3, 64, 64))],
    ids=["mobilenetv2", "vit_tiny"],
)
def test_the_exported_network_computes_what_torch_computes(build, shape, capfd, caplog):
    built = build()
    model = export(built, [(None, shape)])
    x = torch.rand(2, *shape[1:])[:1]
    with torch.no_grad():
        expected = built(x).numpy()
    np.testing.assert_allclose(run(model, x), expected, rtol=1e-4, atol=1e-4)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]  # torch traces into a file of its own


def test_no_path_of_this_machine_enters_the_file(bench):
    model = export(f"{bench}:scaled")
    assert b"bench.py" not in model
    assert b"site-packages" not in model


def test_a_factory_in_the_current_folder_is_exported_in_eval_mode_with_the_shape_it_carries(bench):
    model = export(f"{bench}:scaled")
    built = sys.modules[bench].scaled().eval()
    stream = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [given.shape for given in stream.get_inputs()] == [[1, 3]]
    assert run(model, torch.ones(1, 3)).shape == built(torch.ones(1, 3)).shape


def test_the_same_factory_gives_the_same_file_each_time():
    first, second = (export(vit_tiny(image=32, depth=1)) for _ in range(2))
    assert first == second


def test_exporting_leaves_the_modes_of_the_network_as_they_were(bench):
    built = network(f"{bench}:scaled")
    built.train()
    built[1].eval()
    export(built)
    assert [part.training for part in built.modules()] == [True, True, False]


def test_several_inputs_are_given_in_order_or_by_name(bench):
    left, right = torch.ones(1, 2), torch.full((1, 2), 3.0)
    for inputs in ([(None, (1, 2)), (None, (1, 2))], [("right", (1, 2)), ("left", (1, 2))]):
        model = export(f"{bench}:Sum", inputs)
        np.testing.assert_array_equal(run(model, left, right), [[7.0, 7.0]])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bench", "expected PACKAGE.MODULE:FACTORY"),
        ("bench.py:scaled:", "expected PACKAGE.MODULE:FACTORY"),
        ("absent:scaled", "no module 'absent'"),
        ("bench.absent:scaled", "no module 'bench.absent'"),
        ("broken:scaled", "importing broken raised ModuleNotFoundError: No module named 'no_such_thing'"),
        ("bench:absent", "expected a callable 'absent', got none; it has Odd, Sum, Tokens, nothing, picky, scaled, tokens"),
        ("bench:NUMBER", "expected a callable 'NUMBER', got int"),
        ("bench:picky", "raised TypeError: picky.. missing 1 required positional argument: 'width'"),
        ("bench:nothing", "expected it to return a torch.nn.Module, got int"),
    ],
)
def test_a_target_that_gives_no_network_is_named_with_the_reason(bench, target, message):
    with pytest.raises(UsageError, match=message):
        network(target)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "Sum has no input_shape; pass one --input per argument"),
        ([(None, (1, 2))], r"Sum takes \(left, right\), got 1 inputs: missing a required argument: 'right'"),
        ([(None, (1, 2))] * 3, "got 3 inputs: too many positional arguments"),
        ([(None, (1, 2)), ("rihgt", (1, 2))], "got 2 inputs: missing a required argument: 'right'"),
    ],
)
def test_inputs_that_are_not_those_of_forward_are_refused(bench, inputs, message):
    with pytest.raises(UsageError, match=message):
        export(f"{bench}:Sum", inputs)


@pytest.mark.parametrize(("target", "inputs"), [("bench:Odd", []), ("bench:scaled", [(None, (1, 4))])])
def test_what_torch_cannot_export_is_one_line_and_prints_nothing(bench, target, inputs, capfd, caplog):
    with pytest.raises(GraphError, match="torch.onnx.export of .* failed: ") as raised:
        export(target, inputs)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]  # torch traces into a file of its own


def test_without_torch_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"pip install 'edgekit\[torch\]'"):
        network("edgekit.networks.resnet:resnet18")


def test_whole_numbers_are_given_by_their_type_or_carried_by_the_factory(bench):
    for target, inputs in ((f"{bench}:Tokens", [("ids", (1, 6), "int64")]), (f"{bench}:tokens", ())):
        model = load(export(target, inputs))
        assert [(each.name, each.shape, each.dtype) for each in read(model).cuts[0].tensors] == [("ids", (1, 6), "int64")]
        assert legal(model) == {"ids": (0, 50)}
        try_out(model)


def test_floats_in_the_place_of_whole_numbers_are_told_how_to_give_them(bench):
    with pytest.raises(GraphError, match="NAME:int64:1x16 for whole numbers"):
        export(f"{bench}:Tokens", [(None, (1, 6))])


def test_a_file_is_taken_as_the_module_that_it_is(bench):
    assert network("bench.py:scaled").input_shape == (1, 3)


def test_a_function_that_makes_a_network_is_called():
    assert isinstance(network(lambda: torch.nn.Linear(3, 2)), torch.nn.Linear)


def test_what_makes_no_network_is_named():
    with pytest.raises(UsageError, match="expected a torch.nn.Module or a function that returns one, got int"):
        network(7)


def test_whole_numbers_are_given_as_examples():
    torch.manual_seed(0)
    built = torch.nn.Sequential(torch.nn.Embedding(50, 8), torch.nn.Linear(8, 2))
    model = export(built, [Input(None, (1, 16), value=np.full((1, 16), 7, np.int64))])
    ids = torch.arange(16).reshape(1, 16)
    np.testing.assert_allclose(run(model, ids), built(ids).detach().numpy(), rtol=1e-5, atol=1e-5)


def test_the_stages_of_an_export_are_counted():
    told = []
    built = torch.nn.Linear(3, 2)
    export(built, [(None, (1, 3))], lambda text, done=None, total=None: told.append((text, done)))
    assert [text for text, _ in told] == [
        "loading torch",
        "stage 1 of 5: tracing",
        "stage 2 of 5: decomposing operators",
        "stage 3 of 5: translating to ONNX",
        "stage 4 of 5: optimising",
        "stage 5 of 5: checking",
    ]
    assert [done for _, done in told[1:]] == sorted(done for _, done in told[1:])
