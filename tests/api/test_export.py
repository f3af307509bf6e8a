"""A network in Python becomes a file: the module or a function, its inputs written in any way."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs tool torch")

from edgekit import api  # noqa: E402
from edgekit.errors import UsageError  # noqa: E402
from tests.models import serial  # noqa: E402


def small():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())


def tokens():
    return torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("inputs", [(1, 3, 8, 8), "1x3x8x8", {"input": "1x3x8x8"}])
def test_a_module_is_exported_with_a_shape_in_any_form(inputs: object, tmp_path: Path) -> None:
    graph = api.export(small(), tmp_path / "small.onnx", inputs=inputs)
    assert [tensor.shape for tensor in graph.cuts[0].tensors] == [(1, 3, 8, 8)]
    assert api.load(tmp_path / "small.onnx")[0] == graph


def test_whole_numbers_are_exported_from_an_example(tmp_path: Path) -> None:
    graph = api.export(tokens, tmp_path / "net.onnx", inputs=np.zeros((1, 16), np.int64))
    assert [(each.shape, each.dtype) for each in graph.cuts[0].tensors] == [((1, 16), "int64")]


def test_the_network_itself_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.onnx").write_bytes(serial(3).data)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="net.onnx is the network to export, which would be lost"):
        api.export("net.onnx", tmp_path / "net.onnx")


def test_inputs_that_are_none_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a shape or an example of an input, got 224"):
        api.export(small, tmp_path / "small.onnx", inputs=224)
    assert not list(tmp_path.iterdir())
