"""A network on one device, without a cluster file."""

import json
from pathlib import Path

import pytest

from tests.cli.bed import edgekit_run
from tests.models import serial


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(serial(3).data)
    return path


def test_a_network_is_measured_on_this_machine_with_each_number_of_threads(network: Path) -> None:
    outcome = edgekit_run("bench", network, "--seconds", "0.1")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("small on this machine (measured), one frame at a time\n")
    for word in (
        "fp32, CPU, 1 thread ",
        "frames/s",
        "best",
        "kernels by type",
        "memory: loading",
        "profiled on",
    ):
        assert word in outcome.out
    assert [path.name for path in network.parent.iterdir()] == ["small.onnx"]


def test_a_described_device_has_one_setting(network: Path) -> None:
    outcome = edgekit_run("bench", network, "-d", "sim:pi5", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert (found["format"], found["version"], found["tuning"]) == ("edgekit.bench", 1, None)
    assert found["profile"]["device"] == "sim:pi5" and found["profile"]["badge"] == "spec" and found["profile"]["emulated"]


def test_a_device_has_an_address_or_was_added(network: Path) -> None:
    outcome = edgekit_run("bench", network, "-d", "nobody")
    assert outcome.code == 2 and "edgekit devices add" in outcome.message


def test_shapes_are_taken_as_export_takes_them(network: Path) -> None:
    outcome = edgekit_run("bench", network, "-d", "sim:pi5", "--input", "x:what")
    assert outcome.code == 2 and "what" in outcome.message
