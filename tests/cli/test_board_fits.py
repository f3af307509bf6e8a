"""``edgekit firmware boards`` and ``edgekit firmware check``, typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from devices.mcu.boards import boards
from tests.cli.bed import ROOT, edgekit_run
from tests.devices.mcu.onnx_networks import Nodes

DATA = Path(__file__).parents[3] / "shared" / "data" / "mcu"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs data mcu")


def test_boards_are_listed_with_their_memories() -> None:
    outcome = edgekit_run("firmware", "boards")
    assert outcome.code == 0 and all(name in outcome.out for name in boards())
    assert "128 KiB" in outcome.out and "edgekit firmware check" in outcome.out


@needs_data
@pytest.mark.parametrize("name", ["resnet8_quant.onnx", "resnet8_quant.tflite", "person_detect.tflite"])
def test_a_network_is_checked_against_every_board(name: str) -> None:
    outcome = edgekit_run("firmware", "check", str(DATA / name))
    assert outcome.code == 0, outcome.err
    assert all(f"{board} " in outcome.out for board in boards())
    assert "most memory is taken while" in outcome.out and "alive" in outcome.out
    onnx = (DATA / name).with_suffix(".onnx")
    assert f"edgekit firmware build {onnx} --board" in outcome.out
    assert (f"edgekit export {DATA / name} -o {onnx}, then" in outcome.out) == name.endswith(".tflite")


@needs_data
def test_a_network_that_is_too_large_is_told_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from msgspec.structs import replace

    from edgekit.api import firmware_fits

    small = {"tiny": replace(boards()["netduinoplus2"], name="tiny", ram_bytes=36_000, flash_bytes=90_000)}
    monkeypatch.setattr(firmware_fits, "boards", lambda: small)
    outcome = edgekit_run("firmware", "check", str(DATA / "resnet8_quant.onnx"))
    assert outcome.code == 1
    assert "bytes of RAM are missing and" in outcome.out and "bytes of flash are missing" in outcome.out
    assert "cut before unit" in outcome.out


def test_an_unknown_board_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    outcome = edgekit_run("firmware", "check", str(tmp_path / "net.onnx"), "--board", "arduino")
    assert outcome.code == 2 and "there are mps2-an385" in outcome.err


@needs_data
@pytest.mark.parametrize("name", ["person_detect.onnx", "person_detect.tflite"])
def test_a_check_imports_no_runtime_and_no_connection(name: str, tmp_path: Path) -> None:
    script = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); from edgekit.cli import main; main()"
    command = [sys.executable, "-c", script, "firmware", "check", str(DATA / name)]
    env = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    loaded = set(done.stderr.split())
    assert done.returncode == 0 and {"onnx", "numpy"} <= loaded
    assert not loaded & {"onnxruntime", "torch", "scipy", "paramiko", "matplotlib", "devices.connection", "edgekit.runtime.verbs"}


def test_a_float_network_is_told_once_how_to_be_quantized(tmp_path: Path) -> None:
    net = Nodes()
    y = net.node("Relu", "x")
    (tmp_path / "net.onnx").write_bytes(net.model({"x": ("float32", (1, 4))}, [(y, "float32")]))
    outcome = edgekit_run("firmware", "check", str(tmp_path / "net.onnx"))
    assert outcome.code == 1 and outcome.out.count("quantize the network first: edgekit quantize") == 1
    assert "smaller network" not in outcome.out
