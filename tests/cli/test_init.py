"""A first cluster.toml is read as it stands, and is never overwritten."""

from pathlib import Path

import pytest

from devices import inventory
from edgekit import api
from edgekit.device import Device
from tests.cli.bed import edgekit_run


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "garden").mkdir()
    monkeypatch.chdir(tmp_path / "garden")


def test_without_devices_there_are_two_on_this_machine_and_links_between_them() -> None:
    outcome = edgekit_run("init")
    assert outcome.code == 0
    assert outcome.out == ("cluster.toml: near and far, two devices on this machine\nnext: edgekit auto net.onnx -c cluster.toml\n")
    cluster = api.read_cluster("cluster.toml")
    assert [(device.name, device.address) for device in cluster.devices] == [
        ("near", "local:"),
        ("far", "local:"),
    ]
    assert cluster.name == "garden" and cluster.client == "client"
    assert cluster.link("near", "far") is not None and cluster.link("client", "near") is not None


def test_devices_that_were_added_are_found_by_their_names() -> None:
    inventory.add(Device("pi", "ssh://pi@10.0.0.5"))
    inventory.add(Device("client", "ssh://nano"))
    outcome = edgekit_run("init", "-c", "lab.toml")
    assert outcome.out == "lab.toml: pi, client\nnext: edgekit auto net.onnx -c lab.toml\n"
    cluster = api.read_cluster("lab.toml")
    assert [device.address for device in cluster.devices] == ["ssh://pi@10.0.0.5", "ssh://nano"]
    assert cluster.client == "here" and cluster.links == ()
    text = Path("lab.toml").read_text()
    assert 'name = "pi"  # ssh://pi@10.0.0.5, as it was added' in text
    assert "lab.measured.json" in text


def test_what_is_commented_out_can_be_used() -> None:
    inventory.add(Device("pi", "ssh://pi@10.0.0.5"))
    text = api.first_cluster(api.all_devices(), Path("cluster.toml"))
    lines = [
        line.removeprefix("# ")
        if line.startswith(("# [[", "# memory", "# variant", "# source", "# rec", "# lat", "# byt", "# fix"))
        else line
        for line in text.splitlines()
    ]
    Path("cluster.toml").write_text("\n".join(lines))
    cluster = api.read_cluster("cluster.toml")
    assert cluster.device("pi").memory_bytes == 400_000_000 and cluster.device("pi").variant.threads == 4
    assert [(link.bytes_per_s, link.fixed) for link in cluster.links] == [(12.5e6, True)]


def test_a_file_that_is_there_is_left_as_it_is() -> None:
    Path("cluster.toml").write_text("mine")
    outcome = edgekit_run("init")
    assert (outcome.code, outcome.message) == (
        2,
        "error: cluster.toml is there already, and is not overwritten; edit it, or write another: edgekit init -c OTHER.toml",
    )
    assert Path("cluster.toml").read_text() == "mine"
    assert edgekit_run("init", "-c", "cluster.json").message == "error: expected a file that ends in .toml, got cluster.json; change -c"
