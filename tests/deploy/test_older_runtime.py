"""A cluster whose machines have different Pythons and onnxruntimes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.setup.paths import ROOT
from edgekit import api, onnxio
from edgekit.cluster import ANY, Cluster, Link
from edgekit.runtime.engine.executor import sample_inputs
from tests.models import split
from tests.sshbed import Bed, bed
from tests.written import model as written

TEXT = """net (float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[4,4,1,1] v>
{ a = Conv(x, w) b = Relu(a) c = Conv(b, v) y = Identity(c) }"""

pytestmark = pytest.mark.nightly


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path, patch) as made:
        yield made


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as set-up makes it on a machine with Python 3.10, whose newest onnxruntime is 1.23."""
    found = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python3"))
    if not found:
        pytest.skip("needs data Python 3.10 under ~/.pyenv")
    venv = tmp_path_factory.mktemp("old") / "venv"
    subprocess.run([str(found[0]), "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "-q"]
    subprocess.run([*pip, "onnxruntime", "numpy", "msgspec"], check=True)
    return venv


def test_an_older_onnxruntime_serves_a_stage_beside_a_newer_one(lab: Bed, old: Path, tmp_path: Path) -> None:
    boards = [lab.board("new"), lab.board("older")]
    venv = boards[1].home / ROOT / "venv"
    venv.unlink()
    venv.symlink_to(old)
    cluster = Cluster(tuple(board.device() for board in boards), (Link(ANY, ANY),), name="mixed")
    (tmp_path / "net.onnx").write_bytes(onnxio.normalise(written(TEXT, opset=26, ir=13).SerializeToString()))
    graph, network = api.load(tmp_path / "net.onnx")
    profiles = api.profile(graph, network, cluster, budget_s=0.1)
    assert profiles["older"].conditions.engines[0].startswith("onnxruntime 1.23") and profiles["older"].coverage == 1
    with api.deploy(split(graph, (0, 1, "new"), (1, 2, "older")), graph, network, cluster) as pipeline:
        assert pipeline.equality is not None and pipeline.equality.worst < 1e-5
        with pipeline.client() as client:
            assert len([result.value() for result in client.stream([sample_inputs(graph.cuts[0].tensors)] * 3)]) == 3
