"""The whole way over SSH: machines of their own, each with its sshd, from a survey to the end of a pipeline."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices import NotSetUp, connect
from devices.login import login, offered, trust
from devices.setup.paths import AGENT, PYTHON, ROOT
from edgekit import api
from edgekit.cluster import ANY, Cluster, Link
from edgekit.deploy.serve import deployments
from edgekit.device import Device
from edgekit.errors import DeviceError, UsageError
from edgekit.files import write
from tests.cli.bed import edgekit_run
from tests.models import serial, split
from tests.runtime.bed import eventually
from tests.sshbed import Bed, Host, bed, install, run


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
        "survey net.onnx -c cluster.toml",
        "survey net.onnx -c cluster.toml --replay cluster.survey.json",
        "profile net.onnx -c cluster.toml -o run --seconds 0.1",
        "partition net.onnx -c cluster.toml -p run -o run/front.json --measure",
        "deploy run/front.json -g net.onnx -c cluster.toml",
        "run -n lab --input x.npz --output y.npz",
        "status -n lab",
        "logs -n lab",
        "stop -n lab",
    ):
        done = edgekit_run(*command.split())
        assert done.code == 0, f"{command}: {done.err}"
    assert edgekit_run("status", "-n", "lab").code == 2


@pytest.mark.nightly
def test_a_survey_finds_what_links_share(boards: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.onnx").write_bytes(serial().model.serialized)
    devices = "".join(f'[[devices]]\nname = "{board.name}"\naddress = "{board.address}"\n' for board in boards)
    Path("cluster.toml").write_text(f'{devices}[[links]]\nsource = "*"\nreceiver = "*"\n')
    assert edgekit_run("survey", "net.onnx", "-c", "cluster.toml").code == 0
    links = [link for link in api.read_cluster("cluster.toml").links if link.badge == "measured"]
    print(Path("cluster.survey.json").read_text())
    assert len(links) == 12
    for link in links:
        assert link.computing is not None and len(link.points) >= 6
        assert 5e6 < link.bytes_per_s < 13e6
        for name, way in ((link.source, "out"), (link.receiver, "in")):
            if name != "client":  # each machine's interface carries 100 Mbit/s; ours carries more than theirs together
                assert f"net:{name} {way}" in link.media
            else:
                assert f"net:{name} {way}" not in link.media


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


@pytest.mark.nightly
@pytest.mark.parametrize("deployed", [True, False])
@pytest.mark.parametrize("pulled", [0, 1, 2])
def test_a_pulled_cable_ends_a_run_in_time_and_keeps_its_results(
    boards: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pulled: int, deployed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    net = serial()
    Path("net.onnx").write_bytes(net.model.serialized)
    np.savez("x.npz", **{name: np.stack([array] * 20_000) for name, array in net.inputs().items()})  # type: ignore[arg-type]
    devices = "".join(f'[[devices]]\nname = "{board.name}"\naddress = "{board.address}"\n' for board in boards)
    Path("cluster.toml").write_text(f'name = "lab"\n{devices}[[links]]\nsource = "*"\nreceiver = "*"\n')
    write("plan.json", split(net.graph, (0, 2, "one"), (2, 4, "two"), (4, 5, "three")))
    plan = ("plan.json", "-g", "net.onnx", "-c", "cluster.toml")
    if deployed:
        assert edgekit_run("deploy", *plan).code == 0
    pulled_s: list[float] = []

    def pull() -> None:
        eventually(lambda: Path("y").is_dir() and len(list(Path("y").iterdir())) >= 50, 60)
        pulled_s.append(time.monotonic())
        boards[pulled].cut()

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        done = edgekit_run("run", *(("-n", "lab") if deployed else plan), "--input", "x.npz", "--output", "y")
        took_s = time.monotonic() - pulled_s[0]
    finally:
        thread.join()
        boards[pulled].mend()
        boards[pulled].stop()  # its agent would wait for the command to come back
        boards[pulled].start()
    assert (done.code, done.message.count(f"stage {pulled}@{boards[pulled].name} is lost")) == (3, 1), done.err
    assert f"results kept in y: {len(list(Path('y').iterdir()))}\n" in done.err
    assert took_s < 15
    if deployed:
        edgekit_run("stop", "-n", "lab")


def test_a_deployment_that_is_interrupted_leaves_no_stage(boards: list[Host], cluster: Cluster, tmp_path: Path) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "one"), (2, 5, "two"))
    tells: list[str] = []

    def interrupt(text: str) -> None:
        tells.append(text)
        if text == "comparing with the unsplit run":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path, tell=interrupt)
    assert tells[-1] == "comparing with the unsplit run"
    assert [line for board in boards for line in board.processes() if "stage.process" in line] == []
    assert not api.deployed(tmp_path)


def test_a_pipeline_ends_where_a_board_has_lost_its_set_up(lab: Bed, tmp_path: Path) -> None:
    net, board = serial(), lab.board("four")
    cluster = Cluster((board.device(),), (Link(ANY, ANY, 0.0005, 12.5e6),), name="lost")
    plan = split(net.graph, (0, 5, "four"))
    api.deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path)
    assert [line for line in board.processes() if "stage.process" in line]
    board.stop()
    (board.home / ROOT).rename(board.home / "gone")
    board.start()
    with pytest.raises(NotSetUp, match="four is not set up; run: edgekit devices setup four"):
        connect(board.device())
    assert api.end(tmp_path) == ("four",)


def test_stages_come_back_after_a_reboot_without_the_controller(boards: list[Host], cluster: Cluster, tmp_path: Path) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "one"), (2, 4, "two"), (4, 5, "three"))
    api.deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path)
    with api.attach(tmp_path) as pipeline, pipeline.client() as client:
        want = [result.value() for result in client.stream([net.inputs()])]
    boards[1].stop()
    with api.Observer(tmp_path) as observer:
        assert any(text.startswith("stage 1@two is out of reach") for text in observer.status().degraded)
    boards[1].start()
    with login(boards[1].device()) as shell:
        shell.run(f"cd && {PYTHON} {AGENT} serve --daemon")  # as cron or systemd does after a boot
    with api.Observer(tmp_path) as observer:
        eventually(lambda: not observer.status().degraded, 30)
    with api.attach(tmp_path) as pipeline, pipeline.client() as client:
        got = [result.value() for result in client.stream([net.inputs()])]
    assert [{k: v.tobytes() for k, v in arrays.items()} for arrays in got] == [
        {k: v.tobytes() for k, v in arrays.items()} for arrays in want
    ]
    api.end(tmp_path)
    assert [line for board in boards for line in board.processes() if "stage.process" in line] == []


def test_of_two_controllers_the_second_is_told_of_the_first_and_may_take_over(
    boards: list[Host], cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = serial()
    plan = split(net.graph, (0, 2, "one"), (2, 5, "two"))
    mine, other = tmp_path / "mine", tmp_path / "other"
    api.deploy_to_stay(plan, net.graph, net.model, cluster, mine)
    with monkeypatch.context() as patch:
        patch.setattr(deployments, "me", lambda: "ada@laptop")
        with pytest.raises(UsageError, match=r"^(one|two) serves a pipeline of .+@.+:.+/mine; .* edgekit deploy --take-over"):
            api.deploy_to_stay(plan, net.graph, net.model, cluster, other)
        with api.Observer(mine) as observer:
            assert not observer.status().degraded
        api.deploy_to_stay(plan, net.graph, net.model, cluster, other, take_over=True)
        with api.Observer(mine) as observer:
            assert observer.status().degraded == ("stage 0@one is missing", "stage 1@two is missing")
        with connect(cluster.devices[0], mine) as holder:
            holder.claim("a survey")
            with pytest.raises(DeviceError, match=r"^one: it is held by .+@.+ for a survey, since .*; wait until that is done"):
                api.deploy_to_stay(split(net.graph, (0, 3, "one"), (3, 5, "two")), net.graph, net.model, cluster, other)
        with api.Observer(other) as observer:
            assert not observer.status().degraded
        api.end(other)
    api.end(mine)


def test_a_release_that_a_device_cannot_take_leaves_the_old_one_and_rolls_back(
    boards: list[Host], cluster: Cluster, tmp_path: Path
) -> None:
    net = serial()
    plans = [split(net.graph, (0, cut, "one"), (cut, 5, "two")) for cut in (2, 3)]
    releases = [api.deploy_to_stay(plan, net.graph, net.model, cluster, tmp_path).release for plan in plans]
    boards[2].stop()
    try:
        with pytest.raises(DeviceError, match="three"):
            api.deploy_to_stay(split(net.graph, (0, 2, "one"), (2, 5, "three")), net.graph, net.model, cluster, tmp_path)
    finally:
        boards[2].start()
    with api.Observer(tmp_path) as observer:
        assert (observer.status().record.release, observer.status().degraded) == (releases[1], ())
    assert api.roll_back(tmp_path).release == releases[0]
    with api.attach(tmp_path) as pipeline, pipeline.client() as client:
        assert [result.frame for result in client.stream([net.inputs()] * 2)] == [0, 1]
    api.end(tmp_path)


def test_a_device_of_this_machine_can_be_dialled_by_others_that_send_to_it(lab: Bed, boards: list[Host]) -> None:
    net = serial()
    here = f"{boards[0].ip.rpartition('.')[0]}.1"
    mixed = Cluster((boards[0].device(), Device("here"), Device("beside")), (Link(ANY, ANY, 0.0005, 12.5e6),), name="mixed")
    assert [way.reason for way in api.take_survey(mixed, graph=net.graph).ways if way.reason] == []
    plan = split(net.graph, (0, 2, "one"), (2, 4, "here"), (4, 5, "beside"))
    with api.deploy(plan, net.graph, net.model, mixed) as pipeline, pipeline.client() as client:
        assert [host for host, _ in pipeline.addresses.values()] == [boards[0].ip, here, "127.0.0.1", "127.0.0.1"]
        assert [result.frame for result in client.stream([net.inputs()] * 3)] == [0, 1, 2]


@pytest.mark.nightly
def test_machines_that_do_not_reach_each_other_are_joined_by_a_relay_that_was_asked_for(lab: Bed, tmp_path: Path) -> None:
    net = serial()
    left, right = lab.board("left"), lab.board("right")
    for here, there in ((left, right), (right, left)):
        run("ip", "netns", "exec", here.space, "ip", "route", "add", "unreachable", there.ip)
    devices = (left.device(), right.device())
    apart = Cluster(devices, (Link(ANY, ANY, 0.0005, 12.5e6),), name="apart")
    survey = api.take_survey(apart, graph=net.graph)
    assert {(way.source, way.receiver) for way in survey.ways if way.reason} == {("left", "right"), ("right", "left")}
    assert api.with_links(apart, survey).link("left", "right") is None

    relayed = Cluster(devices, (Link("left", "right", 0.001, 1e6, relay=True), Link(ANY, ANY, 0.0005, 12.5e6)), name="apart")
    surveyed = api.survey(relayed, net.graph)
    found = surveyed.link("left", "right")
    assert found is not None and found.relay and found.badge == "measured"
    plan = split(net.graph, (0, 2, "left"), (2, 5, "right"))
    with api.deploy(plan, net.graph, net.model, surveyed) as pipeline:
        assert pipeline.addresses[0, 0, 1, 0][0] == "127.0.0.1"
        with pipeline.client() as client:
            assert [result.frame for result in client.stream([net.inputs()] * 20)] == list(range(20))
    with pytest.raises(UsageError, match="left → right would be relayed by this process, and so cannot stay"):
        api.deploy_to_stay(plan, net.graph, net.model, surveyed, tmp_path)


@pytest.mark.nightly
def test_a_machine_that_only_another_one_reaches_is_used_through_it(lab: Bed) -> None:
    net = serial()
    gate = lab.board("gate")
    hidden = lab.behind(gate, "hidden")
    install(hidden)
    (lab.client / ".ssh" / "config").write_text(f"Host {hidden.ip}\n  ProxyJump root@{gate.ip}\n")
    trust(hidden.device(), offered(hidden.device()))
    links = tuple(Link(a, b, 0.001, 1e6, relay=True) for a, b in (("client", "hidden"), ("hidden", "client")))
    cluster = Cluster((hidden.device(),), links, name="far")
    surveyed = api.survey(cluster, net.graph)
    profiles = api.profile(net.graph, net.model, surveyed, budget_s=0.1)
    assert profiles["hidden"].kernels
    with api.deploy(split(net.graph, (0, 5, "hidden")), net.graph, net.model, surveyed) as pipeline, pipeline.client() as client:
        assert [result.frame for result in client.stream([net.inputs()] * 3)] == [0, 1, 2]
