"""A pipeline is named after the folder of its cluster file, and found again from there, or where it is the only one."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgekit import api
from edgekit.errors import UsageError
from tests.cli.bed import edgekit_run, toml
from tests.cli.test_bad_input import LINKED, LOCAL, plan_file
from tests.models import serial, skipping


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is called garden."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    (tmp_path / "garden").mkdir()
    return tmp_path / "garden"


def planted(*names: str) -> None:
    """Pipelines that are written down, as far as their names go."""
    for name in names:
        api.home_of(name).mkdir(parents=True)
        (api.home_of(name) / "deployment.json").write_text("{}")


def test_a_cluster_is_called_as_its_file_says_or_as_its_folder(folder: Path) -> None:
    assert api.cluster_name(toml(folder, LOCAL)) == api.read_cluster(folder / "cluster.toml").name == "garden"
    assert api.cluster_name(toml(folder, 'name = "lawn"' + LOCAL)) == api.read_cluster(folder / "cluster.toml").name == "lawn"


def test_the_pipeline_that_is_meant_is_found_in_this_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="no pipeline is deployed; run: edgekit deploy"):
        api.pipeline_name()
    planted("roof")
    assert api.pipeline_name() == "roof"
    planted("well")
    with pytest.raises(UsageError, match="several pipelines are deployed: roof, well; name one, with -n NAME"):
        api.pipeline_name()
    toml(folder, LOCAL)
    assert api.pipeline_name() == "garden"
    assert api.pipeline_name(None, toml(folder, 'name = "lab"' + LOCAL, "lab.toml")) == "lab"
    assert api.pipeline_name("well") == "well"


def test_a_name_that_is_not_deployed_is_answered_with_those_that_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    planted("cluster", "roof")
    for command in ("status", "logs", "verify", "rollback"):
        outcome = edgekit_run(command, "-n", "clustr")
        assert (outcome.code, outcome.message) == (
            2,
            "error: no pipeline called clustr is deployed; did you mean cluster? deployed: cluster, roof",
        )
    toml(folder, LOCAL)
    assert edgekit_run("status").message == "error: no pipeline called garden is deployed; deployed: cluster, roof"
    assert edgekit_run("stop", "-n", "clustr").out == "nothing was running for clustr\n"


def test_of_several_pipelines_none_is_stopped_unless_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    planted("roof", "well")
    outcome = edgekit_run("stop")
    assert outcome.code == 2 and "several pipelines are deployed: roof, well; name one, with -n NAME" in outcome.message


@pytest.fixture
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A network that serves from this folder."""
    monkeypatch.chdir(folder)
    toml(folder, LOCAL + LINKED)
    for name, net, stages in (("one", serial(3), 3), ("two", skipping(), 5)):
        (folder / f"{name}.onnx").write_bytes(net.data)
        plan_file(folder / f"{name}.json", net.graph.digest, (0, stages, "near"))
    plan_file(folder / "other.json", serial(3).graph.digest, (0, 3, "far"))
    assert edgekit_run("deploy", "one.json", "-g", "one.onnx", "-c", "cluster.toml").code == 0
    yield folder
    assert edgekit_run("stop", "-n", "garden").code == 0


def test_another_network_takes_the_place_of_one_that_serves_only_when_told(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = edgekit_run("deploy", "one.json", "-g", "one.onnx", "-c", "cluster.toml")
    assert again.out.startswith("nothing is changed: this plan serves already as garden\n")
    assert edgekit_run("deploy", "other.json", "-g", "one.onnx", "-c", "cluster.toml").code == 0
    outcome = edgekit_run("deploy", "two.json", "-g", "two.onnx", "-c", "cluster.toml")
    assert outcome.code == 2
    assert "garden serves another network (" in outcome.message and "far[0:3]), which this ends; to do so, add --replace" in outcome.message
    assert json.loads(edgekit_run("status", "--json").out)["stages"][0]["name"] == "stage 0@far"
    monkeypatch.setattr("edgekit.cli.pipeline.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    outcome = edgekit_run("deploy", "two.json", "-g", "two.onnx", "-c", "cluster.toml", given=b"n\n")
    assert outcome.code == 2 and "which this ends. Go on? [y/N]" in outcome.err
    assert edgekit_run("deploy", "two.json", "-g", "two.onnx", "-c", "cluster.toml", "--replace").code == 0
    assert json.loads(edgekit_run("status", "--json").out)["stages"][0]["name"] == "stage 0@near"


def test_several_pipelines_are_listed_where_none_is_named(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = served.parent / "roof"
    second.mkdir()
    toml(second, LOCAL + LINKED)
    assert edgekit_run("deploy", "two.json", "-g", "two.onnx", "-c", second / "cluster.toml").code == 0
    monkeypatch.chdir(os.sep)
    try:
        outcome = edgekit_run("status")
        assert outcome.code == 0 and "to see one: edgekit status -n garden" in outcome.out
        assert [line.split()[0] for line in outcome.out.splitlines()[1:3]] == ["garden", "roof"]
        assert json.loads(edgekit_run("status", "--json").out) == {
            "version": 1,
            "deployed": ["garden", "roof"],
        }
    finally:
        assert edgekit_run("stop", "-n", "roof").out == "stopped near\n"
    assert "stage 0@near" in edgekit_run("status").out
    with api.connect() as client:
        assert client.inputs
