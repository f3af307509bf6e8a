"""The whole way over SSH: machines of their own, each with its sshd, from a survey to the end of a pipeline."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.errors import DeviceError
from tests.cli.bed import edgekit_run
from tests.models import serial, split
from tests.runtime.bed import eventually
from tests.sshbed import Bed, Host, bed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


@pytest.fixture(scope="module")
def boards(lab: Bed) -> list[Host]:
    return [lab.board(name, rate="100mbit") for name in ("one", "two", "three")]


@pytest.fixture
def cluster(boards: list[Host]) -> Cluster:
    return Cluster(tuple(board.device() for board in boards), (Link(ANY, ANY, 0.0005, 12.5e6),), name="lab")


def test_the_whole_way_over_ssh(boards: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = serial()
    Path("net.onnx").write_bytes(net.model.serialized)
    np.savez("x.npz", **net.inputs())  # type: ignore[arg-type]
    devices = "".join(f'[[devices]]\nname = "{board.name}"\naddress = "{board.address}"\n' for board in boards)
    Path("cluster.toml").write_text(f'name = "lab"\n{devices}[[links]]\nsource = "*"\nreceiver = "*"\nbytes_per_s = 12.5e6\n')
    for command in (
        "survey net.onnx -c cluster.toml -o run/cluster.json",
        "profile net.onnx -c run/cluster.json -o run --seconds 0.1",
        "partition net.onnx -c run/cluster.json -p run -o run/front.json --measure",
        "deploy run/front.json -g net.onnx -c run/cluster.json",
        "run -n lab --input x.npz --output y.npz",
        "status -n lab",
        "logs -n lab",
        "stop -n lab",
    ):
        done = edgekit_run(*command.split())
        assert done.code == 0, f"{command}: {done.err}"
    assert edgekit_run("status", "-n", "lab").code == 2
    assert [line for board in boards for line in board.processes() if "stageprocess" in line] == []


def test_stages_on_three_machines_talk_to_each_other(boards: list[Host], cluster: Cluster) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "one"), (2, 4, "two"), (4, 5, "three"))
    with api.deploy(plan, net.graph, net.model, cluster) as pipeline:
        assert [host for host, _ in pipeline.addresses.values()] == [boards[n].ip for n in (0, 1, 2, 2)]
        with pipeline.client() as client:
            assert [result.frame for result in client.stream([net.inputs()] * 5)] == [0, 1, 2, 3, 4]
    for board in boards:
        eventually(lambda board=board: not [line for line in board.processes() if "visit" in line])


def test_a_machine_that_loses_its_power_ends_the_frames_with_an_error(boards: list[Host], cluster: Cluster) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "one"), (2, 4, "two"), (4, 5, "three"))
    with (
        pytest.raises(DeviceError, match="stage 1@two"),
        api.deploy(plan, net.graph, net.model, cluster) as pipeline,
        pipeline.client() as client,
    ):
        for result in client.stream(net.inputs() for _ in range(100_000)):
            result.value()
            if result.frame == 50:
                boards[1].stop()
    boards[1].start()


def test_a_deployment_that_is_interrupted_leaves_no_stage(boards: list[Host], cluster: Cluster, tmp_path: Path) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "one"), (2, 5, "two"))
    tells: list[str] = []

    def interrupt(text: str) -> None:
        tells.append(text)
        if text == "comparing with the unsplit run":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path, interrupt)
    assert tells[-1] == "comparing with the unsplit run"
    assert [line for board in boards for line in board.processes() if "stageprocess" in line] == []
    assert not api.deployed(tmp_path)
