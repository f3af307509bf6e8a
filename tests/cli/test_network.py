"""What inspect says of a network: the file of inputs that run reads, and the torch modules that pins name."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgekit.cli.amounts import constraints
from edgekit.cli.network import frames_line
from edgekit.errors import UsageError
from edgekit.frame_files import read_frames
from edgekit.graph import Graph, Tensor
from edgekit.onnxio import normalise, read
from tests.cli.bed import edgekit_run
from tests.models import serial


def scoped() -> bytes:
    """Five nodes, of which torch noted their modules: two in ``blocks.0``, one in ``head``, two in ``blocks.1.down``."""
    proto = onnx.load_from_string(serial(5).data)
    scopes = ["blocks.0", "blocks.0.norm", "head", "blocks.1.down", "blocks.1.down"]
    for node, scope in zip(proto.graph.node, scopes, strict=True):
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=f"['', '{scope}', 'relu']")
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="File /home/me/net.py")
    return normalise(proto.SerializeToString())


def pinned(graph: Graph, where: str) -> tuple[int, int]:
    (pin,) = constraints(graph, [], [f"{where}=pi"], None, None, None, None, None, None).pins
    return pin.start, pin.stop


def test_the_line_that_inspect_prints_makes_a_frame_that_run_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for tensors in (
        (Tensor("image", (1, 3, 4, 4), "float32"),),
        (Tensor("a", (2,), "int64"), Tensor("b", (), "bool")),
        (Tensor("x.1", (1, 2), "uint8"), Tensor("lambda", (1,), "float16")),
    ):
        exec(frames_line(tensors), {"np": np})
        ((_, frame),) = read_frames("x.npz", tensors)
        assert {name: (array.shape, array.dtype.name) for name, array in frame.items()} == {t.name: (t.shape, t.dtype) for t in tensors}


def test_inspect_shows_inputs_outputs_and_modules(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(scoped())
    shown = edgekit_run("inspect", tmp_path / "net.onnx").out
    assert 'np.savez("x.npz", x=np.zeros((1, 1, 3, 8, 8), "float32"))' in shown
    assert "of module" in shown and "blocks.1.down" in shown and "inputs and outputs" in shown
    (tmp_path / "plain.onnx").write_bytes(serial(5).data)
    assert "of module" not in edgekit_run("inspect", tmp_path / "plain.onnx").out


def test_the_modules_of_torch_stay_in_the_file_and_paths_do_not() -> None:
    data = scoped()
    assert [node.module for node in read(data).nodes] == ["blocks.0", "blocks.0.norm", "head", "blocks.1.down", "blocks.1.down"]
    assert b"/home/me" not in data and normalise(data) == data


def test_a_module_is_pinned_with_all_that_is_in_it() -> None:
    graph = read(scoped())
    assert [pinned(graph, where) for where in ("blocks.0", "blocks.0.norm", "blocks.1", "head", "2:4")] == [
        (0, 2),
        (1, 2),
        (3, 5),
        (2, 3),
        (2, 4),
    ]
    with pytest.raises(UsageError, match=r"the units of blocks \(0, 1, 3, 4\) do not stand one after the other"):
        pinned(graph, "blocks")
    with pytest.raises(UsageError, match="nor a node or module of"):
        pinned(graph, "block")
