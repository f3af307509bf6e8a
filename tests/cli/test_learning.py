"""Samples of a device taken once, and networks predicted from them while the device is away."""

from pathlib import Path

import pytest

from edgekit.files import read
from edgekit.front import Front
from edgekit.profile import Profile
from edgekit.samples import Samples
from tests.cli.bed import edgekit_run
from tests.models import serial

CLUSTER = """
[[devices]]
name = "near"
address = "sim:"
roofline = { macs_per_s = 1e9, memory_bytes_per_s = 1e9, overhead_s = 1e-5 }

[[devices]]
name = "far"
address = "sim:"
roofline = { macs_per_s = 4e9, memory_bytes_per_s = 1e9, overhead_s = 1e-5 }

[[links]]
source = "*"
receiver = "*"
latency_s = 0.0001
bytes_per_s = 1e7
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a network, a cluster, and samples of its far device."""
    made = tmp_path_factory.mktemp("learning")
    (made / "net.onnx").write_bytes(serial(5).data)
    (made / "cluster.toml").write_text(CLUSTER)
    told = edgekit_run("profile", "--learn", 0.3, "-c", made / "cluster.toml", "-d", "far", "-o", made / "far.samples.json")
    assert told.code == 0
    assert "far: " in told.out
    assert f"--predict {made}/far.samples.json" in told.out.replace("\n", "")
    return made


def test_a_network_is_predicted_without_the_device(folder: Path) -> None:
    told = edgekit_run("profile", folder / "net.onnx", "--predict", folder / "far.samples.json", "-o", folder / "alone")
    assert told.code == 0
    assert "estimated" in told.out
    assert read(folder / "alone" / "far.profile.json", Profile).badge == "estimated"


def test_a_device_is_predicted_like_another_one(folder: Path) -> None:
    told = edgekit_run("profile", "--learn", 2, "-c", folder / "cluster.toml", "-d", "near", "-o", folder / "near.samples.json")
    assert told.code == 0
    files = "--predict", folder / "far.samples.json", "--like", folder / "near.samples.json"
    told = edgekit_run("profile", folder / "net.onnx", *files, "-o", folder / "like")
    assert told.code == 0
    assert read(folder / "like" / "far.profile.json", Profile).badge == "estimated"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--like", "{}/far.samples.json", "--predict", "{}/far.samples.json"), "both hold samples of far"),
        (("-c", "{}/cluster.toml", "--like", "{}/far.samples.json"), "expected --predict"),
    ],
)
def test_likeness_goes_with_another_device(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    told = edgekit_run("profile", folder / "net.onnx", "-o", folder / "none", *(word.format(folder) for word in arguments))
    assert told.code == 2
    assert message in " ".join(told.err.split())


def test_devices_at_hand_are_measured_beside_and_all_are_partitioned(folder: Path) -> None:
    run = folder / "run"
    told = edgekit_run(
        "profile", folder / "net.onnx", "-c", folder / "cluster.toml", "--predict", folder / "far.samples.json", "-o", run, "--seconds", 0.1
    )
    assert told.code == 0
    assert {name: read(run / f"{name}.profile.json", Profile).badge for name in ("near", "far")}["far"] == "estimated"
    told = edgekit_run("partition", folder / "net.onnx", "-c", folder / "cluster.toml", "-p", run, "-o", run / "front.json")
    assert told.code == 0
    plans = read(run / "front.json", Front).plans
    assert plans and all(plan.predicted is not None and plan.predicted.badge in ("spec", "estimated") for plan in plans)


def test_taking_samples_again_goes_on_with_those_that_are_there(folder: Path) -> None:
    before = read(folder / "far.samples.json", Samples)
    told = edgekit_run("profile", "--learn", 0.3, "-c", folder / "cluster.toml", "-d", "far", "-o", folder / "far.samples.json")
    assert told.code == 0
    assert read(folder / "far.samples.json", Samples) == before  # the budget was spent already


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-c", "{}/cluster.toml", "-o", "{}/x.json"), "--device is missing"),
        (("-c", "{}/cluster.toml", "-d", "near", "-o", "{}/far.samples.json"), "holds samples of far"),
    ],
)
def test_what_does_not_fit_together_is_refused(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    told = edgekit_run("profile", "--learn", 0.3, *(word.format(folder) for word in arguments))
    assert told.code == 2
    assert message in " ".join(told.err.split())
