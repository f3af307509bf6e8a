"""Segments on a microcontroller: frames there and back, at its rate, through resets, cut lines and other ports."""

import os
from pathlib import Path

import numpy as np
import pytest

from edgekit.device import Variant
from edgekit.errors import DeviceError, FormatError, FrameError, GraphError
from edgekit.graph import Tensor
from edgekit.mcu_artifact import McuArtifact, McuEnd, McuOperator, encode
from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.engine import mcu_engine
from edgekit.runtime.engine.engine import BoardModel, EngineLost
from edgekit.runtime.engine.executor import Executor
from edgekit.runtime.engine.mcu_engine import ENGINE, McuModel
from edgekit.runtime.serial_line import smp_line
from tests.runtime.serial_line.board import at, table

MCU = Variant("int8", engine="mcu")
INPUT = McuEnd("image", (1, 3, 4, 5), "float32", (0, 2, 3, 1), scale=0.5, zero=-3)
OUTPUT = McuEnd("scores", (1, 60), "uint8", (0, 1))
INPUTS = (Tensor("image", (1, 3, 4, 5), "float32"),)
OUTPUTS = (Tensor("scores", (1, 60), "uint8"),)
OPERATORS = (McuOperator("/conv", "conv"), McuOperator("/gemm", "dense"))
RATE = 25e6


def stored(folder: Path, chunks: int = 0) -> Path:
    path = folder / "artifact"
    path.write_bytes(encode(McuArtifact(table((60,), (60,), 2, chunks), b"weights" * 9, (INPUT,), (OUTPUT,), OPERATORS)))
    return path


def frame(seed: int = 0) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(seed).normal(size=(1, 3, 4, 5)).astype(np.float32)}


def answer(image: np.ndarray) -> np.ndarray:
    """What the board of the tests makes of it: each number one more, in its own layout."""
    numbers = np.clip(np.rint(image / np.float32(0.5)) - 3, -128, 127).astype(np.int8).transpose(0, 2, 3, 1)
    return ((numbers + 1).astype(np.int16).reshape(1, 60) + 128).astype(np.uint8)


def at_board(port: Path, chunks: int = 0, rate: float | None = RATE) -> McuModel:
    return McuModel(stored(port.parent, chunks), MCU, INPUTS, OUTPUTS, board=BoardPort(port=str(port), insn_per_s=rate))


def run(model: McuModel, seed: int = 0) -> np.ndarray:
    outputs = {"scores": np.zeros((1, 60), np.uint8)}
    model.run(frame(seed), outputs)
    return outputs["scores"]


@pytest.fixture
def port(tmp_path: Path) -> Path:
    return tmp_path / "ttyACM0"


def test_frames_go_there_and_back_in_the_declared_layout(port: Path) -> None:
    with at(port, polls=2):
        model = at_board(port)
        for seed in range(3):
            np.testing.assert_array_equal(run(model, seed), answer(frame(seed)["image"]))
        assert isinstance(model, BoardModel)
        model.close()


def test_weights_that_the_board_lacks_are_put(port: Path) -> None:
    with at(port):
        model = at_board(port, chunks=2)
        np.testing.assert_array_equal(run(model), answer(frame()["image"]))
        model.close()


def test_time_is_what_the_board_counts_at_the_rate_that_is_declared(port: Path) -> None:
    with at(port):
        model = at_board(port, rate=30_000)
        run(model)
        assert model.board is not None
        assert model.board[1] - model.board[0] == pytest.approx(3000 / 30_000)
        assert {each.way: each.nbytes for each in model.line_times()} == {"in": 60, "run": 0, "out": 60}
        assert model.line_times()[1].seconds < 0.1 and model.memory().touched == 65
        model.close()


def test_a_board_that_counts_cycles_needs_no_rate(port: Path) -> None:
    with at(port, time="cycles"):
        model = at_board(port, rate=None)
        run(model)
        assert model.board is not None and model.board[1] - model.board[0] == pytest.approx(3000 / RATE)
        model.close()


def test_instructions_without_a_rate_are_no_time(port: Path) -> None:
    with at(port), pytest.raises(DeviceError, match="bench-board counts instructions.*insn_per_s = 25_000_000"):
        at_board(port, rate=None)


@pytest.mark.parametrize("when", range(8, 15))
def test_a_reset_in_the_middle_of_a_frame_repeats_the_frame(port: Path, monkeypatch: pytest.MonkeyPatch, when: int) -> None:
    monkeypatch.setattr(smp_line, "SILENCE_S", (0.05, 0.1))
    with at(port, reset_at=when):
        model = at_board(port, chunks=1)
        for seed in range(3):
            np.testing.assert_array_equal(run(model, seed), answer(frame(seed)["image"]))
        model.close()


def test_a_board_that_comes_back_at_another_port_goes_on(port: Path) -> None:
    with at(port) as board:
        model = at_board(port)
        run(model)
        board.kill()
        board.wait()
        port.unlink()
        with at(port.with_name("ttyACM1"), uid="bb"), at(port.with_name("ttyACM2")):
            np.testing.assert_array_equal(run(model, 1), answer(frame(1)["image"]))
            assert model.facts.port.endswith("ttyACM2")
            model.close()


def test_a_board_that_stays_away_is_a_lost_stage(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(mcu_engine, "say_seldom", lambda text, **_: told.append(text))
    monkeypatch.setattr(mcu_engine, "RECOVER_S", 0.3)
    with at(port) as board:
        model = at_board(port)
        board.kill()
        board.wait()
        port.unlink()
        with pytest.raises(EngineLost, match="there is none; is it plugged in"):
            run(model)
    assert len([text for text in told if text.endswith("; looking for the board")]) == 1  # however often it is looked for


def test_another_process_does_not_take_the_last_run_for_its_own(port: Path) -> None:
    with at(port):
        for seed in range(2):
            model = at_board(port)
            np.testing.assert_array_equal(run(model, seed), answer(frame(seed)["image"]))
            model.close()


def test_weights_that_do_not_fit_name_the_commands(port: Path) -> None:
    held = McuArtifact(table((60,), (60,), 2, 1), os.urandom(70_000), (INPUT,), (OUTPUT,), OPERATORS)
    path = port.parent / "large"
    path.write_bytes(encode(held))
    with (
        at(port),
        pytest.raises(DeviceError, match=r"68.4 KiB\) are not in its flash.*room for 63.9 KiB.*firmware build .*firmware\s+flash"),
    ):
        McuModel(path, MCU, INPUTS, OUTPUTS, board=BoardPort(port=str(port), insn_per_s=RATE))


def test_other_tensors_than_those_of_the_artifact_are_refused(port: Path) -> None:
    with pytest.raises(GraphError, match="the artifact has the inputs .*deploy again"):
        McuModel(stored(port.parent), MCU, OUTPUTS, OUTPUTS, board=BoardPort(port=str(port)))


def test_an_input_of_another_shape_or_type_is_refused(port: Path) -> None:
    with at(port):
        model = at_board(port)
        for wrong in (np.zeros((1, 3, 5, 4), np.float32), np.zeros((1, 3, 4, 5), np.uint8)):
            with pytest.raises(FrameError, match="input image: expected float32 of shape"):
                model.run({"image": wrong}, {})
        model.close()


def test_a_device_without_a_board_says_so(port: Path) -> None:
    with pytest.raises(DeviceError, match="runs on a microcontroller, and the device has none"):
        Executor(stored(port.parent), INPUTS, OUTPUTS, MCU, 1.0)


def test_missing_packages_are_named(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcu_engine, "missing_packages", lambda: ("smp", "pyserial"))
    with pytest.raises(DeviceError, match=r"smp and pyserial are not installed; run: pip install edgekit\[mcu\]"):
        at_board(port)


def test_a_damaged_artifact_is_refused(port: Path) -> None:
    path = port.parent / "damaged"
    path.write_bytes(b"nothing of ours")
    with pytest.raises(FormatError, match="expected the artifact of a microcontroller"):
        McuModel(path, MCU, INPUTS, OUTPUTS, board=BoardPort(port=str(port)))


def test_operators_are_kernels_with_what_the_board_counted(port: Path) -> None:
    with at(port):
        board = BoardPort(port=str(port), insn_per_s=RATE)
        assert ENGINE.profile is not None
        found = ENGINE.profile(stored(port.parent), MCU, frame(), 3, 0.0, lambda: None, board=board)
    assert [(each.name, each.op, str(each.ticks)) for each in found.kernels] == [
        ("/conv", "conv", "1 k insn"),
        ("/gemm", "dense", "2 k insn"),
    ]
    assert found.kernels[0].seconds == 1000 / RATE and len(found.samples_s) == 3
    assert found.memory is not None and found.line


def test_the_engine_runs_on_a_microcontroller() -> None:
    assert ENGINE.runs_on(MCU) == "mcu"
