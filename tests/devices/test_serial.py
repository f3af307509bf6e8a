"""Boards at a port of this machine: the contract of a Connection, and what is told of the board."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices import connect
from devices.connection import Connection
from edgekit.device import Device, Variant
from edgekit.errors import DeviceError, UsageError
from edgekit.runtime.agent import facts as agent_facts
from edgekit.runtime.agent.facts import ask_board
from edgekit.runtime.board_facts import BoardPort
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.verbs import Measure, StageSpec
from tests.devices.contract import *  # noqa: F403
from tests.runtime.bed import spec
from tests.runtime.engine.test_mcu_engine import INPUTS, MCU, OUTPUTS, answer, frame, stored
from tests.runtime.serial_line.board import at


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Path]:
    with at(tmp_path / "ttyACM0"):
        yield tmp_path / "ttyACM0"


@pytest.fixture
def connection(port: Path) -> Iterator[Connection]:
    with connect(Device("bench", f"serial:{port}", insn_per_s=25e6)) as opened:
        yield opened


def stage(digest: str) -> StageSpec:
    made = spec(digest, INPUTS, OUTPUTS)
    return StageSpec(**{name: getattr(made, name) for name in made.__struct_fields__} | {"variant": MCU})


def test_its_default_variant_is_the_engine_of_microcontrollers() -> None:
    assert Device("mcu", "serial:/dev/ttyACM0").variant == MCU == Device("mcu", "ssh://pi@gate", port="/dev/ttyACM0").variant
    assert Device("pi", "ssh://pi@gate").variant == Variant()


def test_the_board_is_told_with_the_machine_that_it_is_plugged_into(connection: Connection) -> None:
    facts = connection.facts()
    assert facts.board is not None and (facts.board.board, facts.board.uid) == ("bench-board", "00112233")
    assert [engine.name for engine in facts.engines] == ["onnxruntime", "mcu"]
    assert not facts.held and not facts.boardless


def test_a_stage_runs_on_the_board_and_holds_its_line(connection: Connection, port: Path) -> None:
    digest = connection.put(stored(port.parent).read_bytes())
    loaded, outputs = connection.load(stage(digest), Layout(INPUTS).pack(frame()))
    np.testing.assert_array_equal(Layout(OUTPUTS).unpack(outputs)["scores"], answer(frame()["image"]))
    facts = connection.facts()
    assert facts.held == "stage 0@bench" and facts.board is not None and facts.board.board == "bench-board"
    with pytest.raises(DeviceError, match="is in use by process .*edgekit.runtime.stage.process"):
        connection.measure(Measure(model=digest, inputs=INPUTS, outputs=OUTPUTS, mode="segment", variant=MCU, budget_s=0.0))
    connection.stop("plan")
    assert not connection.facts().held


@pytest.mark.parametrize("mode", ["segment", "kernels"])
def test_what_a_board_counts_is_measured(connection: Connection, port: Path, mode: str) -> None:
    digest = connection.put(stored(port.parent).read_bytes())
    request = Measure(model=digest, inputs=INPUTS, outputs=OUTPUTS, mode=mode, variant=MCU, budget_s=0.0, least=3)  # type: ignore[arg-type]
    measured, _ = connection.measure(request)
    assert measured.runs_on == "mcu" and measured.samples_s == pytest.approx((3000 / 25e6,) * 3)
    assert {each.way for each in measured.line} == {"in", "run", "out"} and measured.memory is not None
    assert [kernel.name for kernel in measured.kernels] == ([] if mode == "segment" else ["/conv", "/gemm"])


def test_a_board_that_is_away_is_told_with_the_machine(tmp_path: Path) -> None:
    with connect(Device("bench", f"serial:{tmp_path / 'ttyACM0'}")) as opened:
        facts = opened.facts()
    assert facts.board is None and "there is none; is it plugged in?" in facts.boardless
    assert facts.machine.cores >= 1


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(UsageError, match="expected the port of a board, such as serial:/dev/ttyACM0, got 'serial:'"):
        connect(Device("bench", "serial:"))


def test_a_name_without_its_folder_is_no_port() -> None:
    with pytest.raises(UsageError, match="expected the path of a port or the number of a board .*; write serial:/dev/ttyACM0"):
        connect(Device("bench", "serial:ttyACM0"))


def test_a_second_port_is_refused() -> None:
    with pytest.raises(UsageError, match="has no port besides, got '/dev/ttyACM1'; leave it out, or .*ssh://USER@HOST"):
        connect(Device("bench", "serial:/dev/ttyACM0", port="/dev/ttyACM1"))


def test_packages_that_are_missing_beside_the_cable_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_facts, "missing_packages", lambda: ("smp",))
    with pytest.raises(DeviceError, match=r"/dev/ttyACM0: smp not installed where the board is plugged in; run: edgekit devices setup"):
        ask_board(BoardPort(port="/dev/ttyACM0"))
