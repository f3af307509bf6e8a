"""From a network and a cluster file to a deploy command, and the same again without measuring."""

from pathlib import Path

import pytest

from tests.cli.bed import edgekit_run, toml
from tests.models import serial

CLUSTER = """
[[devices]]
name = "near"
address = "local:"

[[devices]]
name = "far"
address = "local:"

[[links]]
source = "*"
receiver = "*"
latency_s = 0.001
bytes_per_s = 1e7
shaped = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.onnx").write_bytes(serial(3).data)
    toml(tmp_path, CLUSTER)
    return tmp_path


def test_one_command_leads_to_a_deploy_command_and_measures_nothing_twice(folder: Path) -> None:
    command = ("auto", folder / "small.onnx", "-c", folder / "cluster.toml", "-o", folder / "run")
    first = edgekit_run(*command)
    assert first.code == 0, first.err
    run = folder / "run"
    assert first.out.splitlines()[-1] == f"next: edgekit deploy {run}/front.json -g {run}/net.onnx -c {folder}/cluster.toml"
    kept = (
        "net.onnx",
        "cluster.json",
        "near.profile.json",
        "far.profile.json",
        "front.json",
        "plan.json",
        "pareto.png",
    )
    assert all((run / name).is_file() for name in kept), sorted(path.name for path in run.iterdir())
    before = (run / "near.profile.json").read_text(), (folder / "cluster.measured.json").read_text()
    again = edgekit_run(*command)
    assert again.code == 0 and "near: as before" in again.err and "far: as before" in again.err
    linking = "measuring the links (2 of 6): connecting"
    assert linking in first.err and linking not in again.err
    assert before == (
        (run / "near.profile.json").read_text(),
        (folder / "cluster.measured.json").read_text(),
    )


def test_another_network_is_profiled_anew(folder: Path) -> None:
    described = 'address = "sim:"\nroofline = { macs_per_s = 1e8, memory_bytes_per_s = 1e9 }'
    toml(folder, CLUSTER.replace("shaped = true", "").replace('address = "local:"', described))
    for count in (3, 4):
        (folder / "small.onnx").write_bytes(serial(count).data)
        outcome = edgekit_run("auto", folder / "small.onnx", "-c", folder / "cluster.toml", "-o", folder / "run")
        assert outcome.code == 0 and "as before" not in outcome.err, outcome.err
        assert outcome.out.splitlines()[-1].startswith("next: edgekit verify ")


def test_a_mistake_in_the_cluster_file_shows_before_the_network_is_read(folder: Path) -> None:
    toml(folder, CLUSTER.replace("1e7", '"10MB"'))
    ended = edgekit_run("auto", folder / "small.onnx", "-c", folder / "cluster.toml", "-o", folder / "run")
    assert ended.code == 2
    assert 'expected a number, got "10MB"' in ended.err
    assert not (folder / "run").exists()
