"""Measuring a model: energy while it runs and is counted, and how fast the machine was in the meantime."""

from functools import partial
from pathlib import Path

import pytest

from edgekit.device import Variant
from edgekit.runtime.engine.engine import Engine, KernelTimes
from edgekit.runtime.engine.engines import ENGINES
from edgekit.runtime.power import energy_use
from edgekit.runtime.power.meter import Meter
from edgekit.runtime.stage import measurement
from edgekit.runtime.stage.measurement import measure_energy, measure_kernels, measure_segment
from edgekit.runtime.verbs import Emulation, KernelTime, Measure
from edgekit.serial_line import LineTime
from edgekit.ticks import Ticks
from tests.runtime.bed import DOUBLE, X, Y, written


def test_inferences_made_while_the_meter_is_read_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(written(DOUBLE))
    meter = Meter("pmic", "vcgencmd", "watts", ("VDD_CORE",), ("VDD_CORE",), lambda: {"VDD_CORE": 3.0})
    monkeypatch.setattr(energy_use, "choose", lambda here, wanted, gpu: (meter, None))
    monkeypatch.setattr(energy_use, "LEAST_S", 0.0)
    monkeypatch.setattr(energy_use, "LEAST_READINGS", 1)
    monkeypatch.setattr(energy_use, "measure", partial(energy_use.measure, seconds=0.2, interval_s=0.01))
    measured = measure_energy(Measure(model="-", inputs=(X,), outputs=(Y,), mode="energy"), model, 0)
    energy = measured.energy
    assert energy is not None and energy.reason is None and energy.inferences is not None and energy.inferences > 10
    assert energy.idle_w == pytest.approx(3.0) and energy.net_j == pytest.approx(0.0, abs=1e-6)
    assert energy.window_s is not None and energy.gross_j == pytest.approx(3.0 * energy.window_s * energy.coverage, rel=1e-3)


@pytest.mark.parametrize("mode", ["segment", "kernels"])
def test_how_fast_the_machine_was_is_told_where_it_is_asked_for(mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(written(DOUBLE))
    monkeypatch.setattr(measurement, "slowness", lambda: 1.25)

    def told(compared: bool) -> float:
        request = Measure(model="-", inputs=(X,), outputs=(Y,), mode=mode, budget_s=0.0, least=2, emulation=Emulation(compared=compared))  # type: ignore[arg-type]
        return (measure_segment(request, model, 0) if mode == "segment" else measure_kernels(request, model, 0)[0]).slowness

    assert (told(True), told(False)) == (1.25, 1.0)


class Counting:
    """A segment on a microcontroller that counts a quarter of a second, whatever the line takes."""

    board = (0.0, 0.0)

    def run(self, inputs: object, outputs: object) -> None:
        self.board = (100.0, 100.25)


KERNELS = (KernelTime(name="conv", op="Conv", seconds=0.25, ticks=Ticks(25_000_000, "insn")),)
LINE = (LineTime(way="in", nbytes=64, seconds=0.5), LineTime(way="out", nbytes=2, seconds=0.25))


@pytest.fixture
def mcu(monkeypatch: pytest.MonkeyPatch) -> Variant:
    times = KernelTimes(KERNELS, (0.25,), 0.0, line=LINE)
    monkeypatch.setitem(ENGINES, "mcu", Engine(lambda *_: Counting(), lambda _: "mcu", profile=lambda *_: times))
    return Variant("int8", engine="mcu")


def test_a_board_is_measured_by_what_it_counts_without_its_line(mcu: Variant, tmp_path: Path) -> None:
    request = Measure(model="-", inputs=(X,), outputs=(Y,), mode="segment", variant=mcu, budget_s=0.0, least=2, rests=1)
    measured = measure_segment(request, tmp_path / "model", 0)
    assert (measured.samples_s, measured.rested_s, measured.runs_on) == ((0.25, 0.25), (0.25,), "mcu")


def test_kernels_of_a_board_come_with_ticks_and_the_line(mcu: Variant, tmp_path: Path) -> None:
    request = Measure(model="-", inputs=(X,), outputs=(Y,), mode="kernels", variant=mcu, budget_s=0.0, least=2)
    measured, optimized = measure_kernels(request, tmp_path / "model", 0)
    assert (measured.kernels, measured.line, optimized) == (KERNELS, LINE, b"")
