"""Described devices: real outputs, described times."""

import pytest

from devices import connect
from devices.descriptions import work_s
from edgekit.device import Device, Roofline
from edgekit.errors import UsageError
from edgekit.runtime.engine.executor import sample_inputs
from edgekit.runtime.links.frames import Layout
from edgekit.runtime.verbs import Emulation, Measure, Probe, Work
from tests.devices.contract import INPUTS, MODEL, OUTPUTS, stage

SLOW = Roofline(macs_per_s=1e6, memory_bytes_per_s=1e6, overhead_s=0.5)
DEVICE = Device("bench", "sim:", memory_bytes=64_000_000, roofline=SLOW)

#                  bound by arithmetic, by memory, by neither
WORKS = (Work(macs=3_000_000, nbytes=1_000_000), Work(macs=1_000_000, nbytes=2_000_000), Work(macs=0, nbytes=0))
SECONDS = (3.5, 2.5, 0.5)


def test_a_unit_takes_what_its_description_says() -> None:
    assert tuple(work_s(work, SLOW) for work in WORKS) == SECONDS


def test_a_segment_takes_the_sum_of_its_units_every_time() -> None:
    with connect(DEVICE) as sim:
        measured, _ = sim.measure(
            Measure(model=sim.put(MODEL), inputs=INPUTS, outputs=OUTPUTS, mode="segment", least=3, emulation=Emulation(WORKS))
        )
    assert measured.samples_s == measured.cpu_s == (6.5, 6.5, 6.5)


def test_each_unit_is_a_kernel() -> None:
    with connect(DEVICE) as sim:
        measured, optimised = sim.measure(
            Measure(model=sim.put(MODEL), inputs=INPUTS, outputs=OUTPUTS, mode="kernels", emulation=Emulation(WORKS))
        )
    assert tuple(kernel.seconds for kernel in measured.kernels) == SECONDS
    assert optimised == b""


def test_golden_inputs_are_no_frame() -> None:
    with connect(DEVICE) as sim:
        sim.load(stage(sim.put(MODEL)), Layout(INPUTS).pack(sample_inputs(INPUTS)))
        assert sim.logs().stages[0].frames == 0
        sim.stages["plan", 0, 0].compute(sample_inputs(INPUTS))  # type: ignore[attr-defined]
        assert sim.logs().stages[0].frames == 1


def test_a_described_device_has_the_memory_of_its_description() -> None:
    with connect(DEVICE) as sim:
        assert sim.facts().machine.memory_bytes == 64_000_000


def test_a_device_without_a_description_is_refused() -> None:
    with pytest.raises(UsageError, match="bench is a sim: device without a roofline; give it macs_per_s"):
        connect(Device("bench", "sim:"))


def test_links_of_a_described_device_are_not_measured() -> None:
    with connect(DEVICE) as sim, pytest.raises(UsageError, match="its links are described in the cluster, not measured"):
        sim.probe(Probe())
