"""Devices from the command line: added, looked at, set up, used, and left as they were."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bed import edgekit_run
from tests.sshbed import Bed, Host, bed, run


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch, bed(tmp_path_factory.mktemp("lab"), patch) as made:
        yield made


def key_of(host: Host) -> str:
    return run("ssh-keygen", "-lf", host.folder / "hostkey.pub").split()[1]


def files(host: Host) -> list[str]:
    return sorted(str(path.relative_to(host.home)) for path in host.home.rglob("*"))


def test_before_any_device_is_added_every_command_says_what_to_do(lab: Bed) -> None:
    listed = edgekit_run("devices", "list")
    assert (listed.code, listed.out) == (0, "no device was added; to add one: edgekit devices add NAME ssh://USER@HOST\n")
    assert json.loads(edgekit_run("devices", "list", "--json").out) == {"devices": []}
    for arguments in (("check",), ("setup",), ("facts", "pi"), ("remove", "pi")):
        done = edgekit_run("devices", *arguments)
        assert (done.code, done.message) == (2, "error: no device is known yet; run: edgekit devices add NAME ssh://USER@HOST")


def test_a_device_is_added_by_the_fingerprint_of_its_key(lab: Bed) -> None:
    host = lab.host("pi")
    before = files(host)
    unknown = edgekit_run("devices", "add", "pi", host.address)
    assert (unknown.code, unknown.message) == (
        2,
        f"error: pi is not known yet; if its own key is {key_of(host)}, add: --fingerprint {key_of(host)}",
    )
    wrong = edgekit_run("devices", "add", "pi", host.address, "--fingerprint", "SHA256:other")
    assert (wrong.code, wrong.message) == (
        2,
        f"error: pi offers the key {key_of(host)}, not SHA256:other; find out who answers there before you go on",
    )
    added = edgekit_run("devices", "add", "pi", host.address, "--fingerprint", key_of(host))
    assert (added.code, added.out) == (0, f"pi is {host.address}\nnext: edgekit devices setup pi\n")
    assert [device["name"] for device in json.loads(edgekit_run("devices", "list", "--json").out)["devices"]] == ["pi"]
    assert files(host) == before

    machine = json.loads(edgekit_run("devices", "facts", "pi", "--json").out)["pi"]
    assert (machine["machine"]["home"], machine["engines"]) == ("/mnt", [])
    checked = edgekit_run("devices", "check", "pi")
    assert (checked.code, checked.message) == (
        3,
        "error: not set up: pi; run: edgekit devices setup pi",
    )
    assert files(host) == before
    assert edgekit_run("devices", "remove", "pi", "--forget").out == "pi is forgotten here; what is installed on it stays\n"


def test_addresses_that_are_not_ssh_need_not_be_added(lab: Bed) -> None:
    done = edgekit_run("devices", "add", "here", "local:")
    assert (done.code, done.message) == (
        2,
        "error: expected an address such as ssh://pi@raspberrypi.local or serial:/dev/ttyACM0, got 'local:'; "
        "other devices need not be added",
    )


def test_stock_devices_are_listed_without_any_being_added() -> None:
    shown = edgekit_run("devices", "list", "--stock")
    assert shown.code == 0 and "sim:pi5" in shown.out and "spec" in shown.out
    boards = json.loads(edgekit_run("devices", "list", "--stock", "--json").out)["boards"]
    assert boards["zero2w"]["memory_bytes"] == 512 * 2**20
    assert all(source["url"] and source["arithmetic"] for board in boards.values() for source in board["sources"])


def test_a_calibration_is_written_to_a_json_file_only(tmp_path: Path) -> None:
    done = edgekit_run("devices", "calibrate", "local:", "-o", str(tmp_path / "here"))
    assert (done.code, "expected a file that ends in .json" in done.message) == (2, True)


@pytest.mark.nightly  # it fetches onnxruntime
def test_a_bare_machine_is_set_up_used_and_left_as_it_was(lab: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    host = lab.host("bare")
    before = files(host)
    assert edgekit_run("devices", "add", "bare", host.address, "--fingerprint", key_of(host)).code == 0
    first = json.loads(edgekit_run("devices", "setup", "bare", "--offline", "--json").out)["bare"]
    assert [step["step"] for step in first if step["state"] == "changed"] == ["venv", "packages", "agent", "service"]
    second = edgekit_run("devices", "setup", "bare", "--json")
    assert (second.code, {step["state"] for step in json.loads(second.out)["bare"]} - {"warning"}) == (0, {"ok"})
    assert json.loads(edgekit_run("devices", "facts", "bare", "--json").out)["bare"]["engines"]
    assert edgekit_run("devices", "remove", "bare").code == 0
    assert (files(host), host.processes()) == (before, [])
