"""GPUs as NVIDIA's management library tells of them; each call may be refused with the documented codes."""

from pathlib import Path
from typing import Any

import pytest

from edgekit.runtime.machine.nvml import gpus, taken_bytes
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power import gpu_meter
from edgekit.runtime.power.energy_sum import add_up
from edgekit.runtime.power.meter import Meter
from edgekit.runtime.power.meters import choose
from edgekit.runtime.power.power_samples import Record, Sample
from tests.runtime.nvmlfake import FakeGpu, library

ME = 4711
NOT_AVAILABLE = 2**64 - 1


def machine(*there: FakeGpu, **more: Any) -> Here:
    return Here("/nowhere", {}, {"libnvidia-ml.so.1": library(*there, **more)})


def only(meters: list[Meter]) -> Meter:
    (meter,) = meters
    return meter


def test_a_gpu_says_what_it_is() -> None:
    (gpu,) = gpus(machine(FakeGpu("Orin (nvgpu)", capability=(8, 7)), driver="540.4.0"))
    assert (gpu.name(), gpu.capability(), gpu.driver()) == ("Orin (nvgpu)", "8.7", "540.4.0")


def test_its_energy_counter_is_preferred_to_its_power() -> None:
    meter = only(gpu_meter.meters(machine(FakeGpu(millijoules=5_000_000_123, milliwatts=61_500))))
    assert (meter.kind, meter.path, meter.unit) == ("nvml", "libnvidia-ml.so.1", "joules")
    assert meter.rails == meter.counted == ("gpu0 NVIDIA GeForce RTX 4060",)
    assert meter.values() == (5_000_000.123,)  # 5 000 000 123 mJ: more than 32 bits hold


def test_a_gpu_without_a_counter_is_read_in_watts() -> None:
    meter = only(gpu_meter.meters(machine(FakeGpu(milliwatts=61_500))))
    assert (meter.unit, meter.values()) == ("watts", (61.5,))


def test_all_gpus_of_a_machine_are_one_sum() -> None:
    first, second = FakeGpu("A", millijoules=1_000), FakeGpu("B", millijoules=500_000)
    meter = only(gpu_meter.meters(machine(first, second)))
    before = Sample(0.0, meter.values() or ())
    first.millijoules, second.millijoules = 31_000, 512_000
    after = Sample(2.0, meter.values() or ())
    joules, covered_s = add_up(meter, Record(0.0, 2.0, (before, after)), 0.5)
    assert (meter.counted, joules, covered_s) == (("gpu0 A", "gpu1 B"), 42.0, 2.0)  # 30 J + 12 J


def test_gpus_that_answer_in_different_units_are_not_added() -> None:
    there = (FakeGpu("old", milliwatts=9_000), FakeGpu("new", milliwatts=30_000, millijoules=7_000))
    meter = only(gpu_meter.meters(machine(*there)))
    assert (meter.unit, meter.values()) == ("watts", (9.0, 30.0))
    meter = only(gpu_meter.meters(machine(*there, FakeGpu("newer", millijoules=8_000))))
    assert (meter.unit, meter.values()) == ("joules", (7.0, 8.0))  # two of three in either unit: the counter misses nothing


def test_a_gpu_that_falls_off_the_bus_is_no_sum_of_the_rest() -> None:
    first, second = FakeGpu("A", milliwatts=20_000), FakeGpu("B", milliwatts=30_000)
    meter = only(gpu_meter.meters(machine(first, second)))
    second.lost = True
    assert (meter.read(), meter.values()) == ({"gpu0 A": 20.0}, None)


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (machine(FakeGpu("Orin (nvgpu)", processes=None)), "nvmlDeviceGetPowerUsage: not supported"),  # a Jetson, where nvmlInit succeeds
        (machine(FakeGpu(), init=9), "nvmlInit_v2: the driver is not loaded"),
        (machine(FakeGpu(), init=18), "nvmlInit_v2: library and driver are of different versions"),
        (machine(), "NVML knows of no GPU"),
        (machine(FakeGpu(millijoules=1), without=("nvmlDeviceGetCount_v2",)), "nvmlDeviceGetCount_v2: the driver has no such function"),
        (Here("/nowhere", {}), "libnvidia-ml.so.1: not found"),
    ],
)
def test_without_an_answer_there_is_a_reason(there: Here, reason: str) -> None:
    assert gpu_meter.meters(there) == []
    assert there.missing["power.nvml"] == reason


def test_a_library_that_is_not_installed_is_none(tmp_path: Path) -> None:
    here = Here(str(tmp_path))
    assert here.library("libedgekit-absent.so.1", "gpu") is None
    assert here.missing["gpu"] == "libedgekit-absent.so.1: cannot be loaded"


def test_work_of_a_gpu_is_metered_where_the_gpu_is_seen(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "5000000"), ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(text)
    here = Here(str(tmp_path), {}, {"libnvidia-ml.so.1": library(FakeGpu(millijoules=3_000))})
    assert [meter.kind if (meter := choose(here, gpu=gpu)[0]) else None for gpu in (False, True)] == ["rapl", "nvml"]
    meter, reason = choose(Here(str(tmp_path), {}), gpu=True)
    assert meter is None and reason is not None and reason.endswith("; nvml: libnvidia-ml.so.1: not found")


@pytest.mark.parametrize(
    ("processes", "taken"),
    [
        ({1: 900, ME: 300 << 20}, 300 << 20),
        ({pid: pid for pid in range(1, 30)} | {ME: 1 << 34}, 1 << 34),  # more of them than there was room for at first
        ({ME: NOT_AVAILABLE}, 512 << 20),  # the drop of what is free: 6 GiB before, 5.5 GiB now
        ({1: 900}, 512 << 20),  # another number inside of a container
        (None, 512 << 20),
    ],
)
def test_what_a_process_took_of_a_gpu_is_its_own_count_or_the_drop_of_what_is_free(processes: dict[int, int] | None, taken: int) -> None:
    there = FakeGpu(free=6 << 30, processes=processes)
    (gpu,) = gpus(machine(there))
    before = gpu.free_bytes()
    there.free = (6 << 30) - (512 << 20)
    assert taken_bytes(gpu, before, ME) == taken


def test_a_gpu_that_shares_the_machines_memory_tells_of_none() -> None:
    (gpu,) = gpus(machine(FakeGpu(free=None, processes=None)))
    assert taken_bytes(gpu, gpu.free_bytes(), ME) is None
