"""Every kind of meter on files and answers in its documented format; sums are worked out by hand beside them."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from edgekit.energy import Energy
from edgekit.machine import Sensor
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power import ina2xx, ina3221, pmic, rapl
from edgekit.runtime.power.meter import Meter
from edgekit.runtime.power.meters import KINDS, choose, find
from tests.runtime.nvmlfake import FakeGpu, library

# Documentation/hwmon/ina3221.rst; the labels are those of the Orin Nano's device tree
ORIN_NANO = {
    "sys/class/hwmon/hwmon0/name": "tmp451\n",
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon1/in1_input": "5040\n",
    "sys/class/hwmon/hwmon1/curr1_input": "1200\n",
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/class/hwmon/hwmon1/in2_input": "5032\n",
    "sys/class/hwmon/hwmon1/curr2_input": "250\n",
    "sys/class/hwmon/hwmon1/in3_label": "VDD_SOC\n",
    "sys/class/hwmon/hwmon1/in3_input": "5032\n",
    "sys/class/hwmon/hwmon1/curr3_input": "300\n",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages\n",
    "sys/class/hwmon/hwmon1/in7_input": "3500\n",
    "sys/class/hwmon/hwmon1/curr4_input": "1750\n",
}
# two chips, and no rail that feeds the whole module
AGX_ORIN = {
    "sys/class/hwmon/hwmon3/name": "ina3221\n",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_GPU_SOC\n",
    "sys/class/hwmon/hwmon3/in1_input": "18792\n",
    "sys/class/hwmon/hwmon3/curr1_input": "140\n",
    "sys/class/hwmon/hwmon3/in2_label": "VDD_CPU_CV\n",
    "sys/class/hwmon/hwmon3/in2_input": "18784\n",
    "sys/class/hwmon/hwmon3/curr2_input": "20\n",
    "sys/class/hwmon/hwmon3/in3_label": "VIN_SYS_5V0\n",
    "sys/class/hwmon/hwmon3/in3_input": "4968\n",
    "sys/class/hwmon/hwmon3/curr3_input": "950\n",
    "sys/class/hwmon/hwmon4/name": "ina3221\n",
    "sys/class/hwmon/hwmon4/in1_label": "NC\n",
    "sys/class/hwmon/hwmon4/in2_label": "VDDQ_VDD2_1V8AO\n",
    "sys/class/hwmon/hwmon4/in2_input": "4968\n",
    "sys/class/hwmon/hwmon4/curr2_input": "220\n",
    "sys/class/hwmon/hwmon4/in3_label": "SPARE\n",
    "sys/class/hwmon/hwmon4/in3_enable": "0\n",
}
# an idle AGX Thor: the whole is VIN, and what the INA3221 measures are parts of it
AGX_THOR = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit",
    "sys/class/hwmon/hwmon3/name": "ina3221\n",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_GPU",
    "sys/class/hwmon/hwmon3/in1_input": "20000",
    "sys/class/hwmon/hwmon3/curr1_input": "0",
    "sys/class/hwmon/hwmon3/in1_enable": "1",
    "sys/class/hwmon/hwmon3/in2_label": "VDD_CPU_SOC_MSS",
    "sys/class/hwmon/hwmon3/in2_input": "20000",
    "sys/class/hwmon/hwmon3/curr2_input": "326",
    "sys/class/hwmon/hwmon3/in2_enable": "1",
    "sys/class/hwmon/hwmon3/in3_label": "VIN_SYS_5V0",
    "sys/class/hwmon/hwmon3/in3_input": "5000",
    "sys/class/hwmon/hwmon3/curr3_input": "1304",
    "sys/class/hwmon/hwmon3/in3_enable": "1",
    "sys/class/hwmon/hwmon4/name": "ina238\n",
    "sys/class/hwmon/hwmon4/in1_label": "VIN\n",
    "sys/class/hwmon/hwmon4/in1_input": "20000\n",
    "sys/class/hwmon/hwmon4/curr1_input": "1150\n",
    "sys/class/hwmon/hwmon4/power1_input": "23000000\n",
}
# the ina3221x driver of Linux for Tegra R32 (JetPack 4)
NANO = {
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_voltage0_input": "5073\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_current0_input": "600\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_voltage1_input": "5073\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_current1_input": "40\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_2": "NC\n",
}
# Documentation/hwmon/ina2xx.rst
INA226 = {
    "sys/class/hwmon/hwmon2/name": "ina226\n",
    "sys/class/hwmon/hwmon2/in0_input": "3\n",
    "sys/class/hwmon/hwmon2/in1_input": "5016\n",
    "sys/class/hwmon/hwmon2/curr1_input": "820\n",
    "sys/class/hwmon/hwmon2/power1_input": "4112500\n",
}
# vcgencmd as documented at raspberrypi.com/documentation/computers/os.html
PMIC = """ 3V7_WL_SW_A current(0)=0.10000000A
   3V3_SYS_A current(1)=0.12000000A
  VDD_CORE_A current(7)=2.00000000A
   3V3_DAC_A current(17)=0.00006105A
 3V7_WL_SW_V volt(8)=3.70000000V
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.80000000V
     EXT5V_V volt(24)=5.10000000V
      BATT_V volt(25)=nanV"""
PMIC_SHORT = "EXT5V_V=5.0588V\nEXT5V_A=0.4294A\n3V3_SYS_A=0.1200A\nVDD_CORE_A=2.0000A\n3V3_SYS_V=3.3000V\nVDD_CORE_V=0.8000V"
# Documentation/power/powercap/powercap.rst; the MMIO interface tells of the same package again
POWERCAP = {
    "intel-rapl:0": ("package-0", 262_143_328_850, 5_000_000),
    "intel-rapl:0:0": ("core", 262_143_328_850, 3_000_000),
    "intel-rapl:0:1": ("uncore", 262_143_328_850, 100_000),
    "intel-rapl:0:2": ("dram", 65_712_999_613, 700_000),
    "intel-rapl:1": ("psys", 262_143_328_850, 9_000_000),
    "intel-rapl-mmio:0": ("package-0", 262_143_328_850, 5_000_000),
}


def machine(root: Path, files: dict[str, str], commands: dict[str, str] | None = None) -> Here:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Here(str(root), commands or {})


def zones() -> dict[str, str]:
    files = {}
    for zone, (name, most, microjoules) in POWERCAP.items():
        folder = f"sys/class/powercap/{zone}/"
        files |= {folder + "name": name, folder + "max_energy_range_uj": str(most), folder + "energy_uj": str(microjoules)}
    return files


def only(meters: list[Meter]) -> Meter:
    (meter,) = meters
    return meter


def test_a_jetson_is_what_its_input_rail_says_since_the_others_lie_behind_it(tmp_path: Path) -> None:
    meter = only(ina3221.meters(machine(tmp_path, ORIN_NANO)))
    assert (meter.kind, meter.path, meter.unit) == ("ina3221", "/sys/class/hwmon/hwmon1", "watts")
    assert meter.rails == ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")
    assert meter.read() == pytest.approx(
        {
            "VDD_IN": 6.048,  # 5.040 V · 1.200 A
            "VDD_CPU_GPU_CV": 1.258,  # 5.032 V · 0.250 A
            "VDD_SOC": 1.5096,  # 5.032 V · 0.300 A
        }
    )
    assert meter.counted == ("VDD_IN",)
    assert meter.values() == pytest.approx((6.048,))


def test_a_jetson_without_an_input_rail_is_the_sum_of_those_that_no_other_feeds(tmp_path: Path) -> None:
    meter = only(ina3221.meters(machine(tmp_path, AGX_ORIN)))
    assert meter.rails == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO")
    assert meter.counted == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    # 18.792 V · 0.140 A    18.784 V · 0.020 A    4.968 V · 0.950 A
    assert meter.values() == pytest.approx((2.63088, 0.37568, 4.7196))


@pytest.mark.xfail(strict=True, reason="of an AGX Thor the rails of its INA3221 are counted, which are parts of what its INA238 measures")
def test_a_jetson_thor_is_what_its_ina238_says(tmp_path: Path) -> None:
    meter, _ = choose(machine(tmp_path, AGX_THOR), gpu=True)
    assert meter is not None and meter.counted == ("VIN",)
    assert sum(meter.values()) == pytest.approx(23.0)


def test_jetsons_of_jetpack_4_are_read_through_iio(tmp_path: Path) -> None:
    meter = only(ina3221.meters(machine(tmp_path, NANO)))
    assert (meter.rails, meter.counted) == (("POM_5V_IN", "POM_5V_GPU"), ("POM_5V_IN",))
    assert meter.read() == pytest.approx({"POM_5V_IN": 3.0438, "POM_5V_GPU": 0.20292})  # 5.073 V · 0.600 A and · 0.040 A


def test_a_rail_that_stops_answering_is_no_sum_of_the_rest(tmp_path: Path) -> None:
    meter = only(ina3221.meters(machine(tmp_path, AGX_ORIN)))
    (tmp_path / "sys/class/hwmon/hwmon3/curr3_input").unlink()
    assert set(meter.read()) == {"VDD_GPU_SOC", "VDD_CPU_CV", "VDDQ_VDD2_1V8AO"}
    assert meter.values() is None


def test_an_ina226_says_its_power_itself(tmp_path: Path) -> None:
    meter = only(ina2xx.meters(machine(tmp_path, INA226)))
    assert (meter.kind, meter.path, meter.rails) == ("ina2xx", "/sys/class/hwmon/hwmon2", ("ina226",))
    assert meter.values() == (4.1125,)  # 4 112 500 µW


def test_an_ina260_bears_the_label_of_the_device_tree(tmp_path: Path) -> None:
    files = {"name": "ina260", "label": "board input", "power1_input": "7350000"}
    meter = only(ina2xx.meters(machine(tmp_path, {f"sys/class/hwmon/hwmon0/{name}": text for name, text in files.items()})))
    assert meter.read() == {"board input": 7.35}


@pytest.mark.parametrize(("said", "watts"), [(PMIC, {"3V7_WL_SW": 0.37, "3V3_SYS": 0.396, "VDD_CORE": 1.6}), (PMIC_SHORT, None)])
def test_a_raspberry_pi_5_is_the_sum_of_the_rails_with_a_current_and_a_voltage(
    said: str, watts: dict[str, float] | None, tmp_path: Path
) -> None:
    meter = only(pmic.meters(machine(tmp_path, {}, {"vcgencmd pmic_read_adc": said})))
    # 3.7 V · 0.10 A    3.3 V · 0.12 A    0.8 V · 2.00 A; EXT5V feeds them, 3V3_DAC has no voltage, BATT no number
    expected = watts or {"3V3_SYS": 0.396, "VDD_CORE": 1.6}
    assert meter.read() == pytest.approx(expected)
    assert (meter.counted, meter.values()) == (tuple(expected), pytest.approx(tuple(expected.values())))


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ({}, "vcgencmd: not found"),
        (
            {"vcgencmd pmic_read_adc": 'error=1 error_msg="Command not registered"'},
            "vcgencmd pmic_read_adc: no rail with a current and a voltage in 'error=1 error_msg=\"Command not registere'",
        ),
    ],
)
def test_an_older_raspberry_pi_has_no_such_circuit(commands: dict[str, str], reason: str, tmp_path: Path) -> None:
    here = machine(tmp_path, {}, commands)
    assert pmic.meters(here) == []
    assert here.missing["power.pmic"] == reason


def test_a_processor_is_its_package_and_its_memory_each_counted_once(tmp_path: Path) -> None:
    meter = only(rapl.meters(machine(tmp_path, zones())))
    assert (meter.kind, meter.unit) == ("rapl", "joules")
    assert meter.rails == ("package-0", "package-0/core", "package-0/uncore", "package-0/dram", "psys")
    assert meter.counted == ("package-0", "package-0/dram")
    assert meter.values() == (5.0, 0.7)
    assert meter.range_j["package-0/dram"] == 65712.999613


def test_a_counter_that_only_root_may_read_is_no_meter(tmp_path: Path) -> None:
    files = {path: text for path, text in zones().items() if not path.endswith("energy_uj")}
    here = machine(tmp_path, files)
    (tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj").mkdir()  # a file that nobody may read, also not root
    assert rapl.meters(here) == []
    assert here.missing["power.rapl"] == "/sys/class/powercap/intel-rapl:1/energy_uj: Is a directory"


def test_what_sees_more_of_the_machine_is_preferred(tmp_path: Path) -> None:
    machine(tmp_path, ORIN_NANO | INA226 | zones())
    gpus = {"libnvidia-ml.so.1": library(FakeGpu(milliwatts=15_000))}
    here = Here(str(tmp_path), {"vcgencmd pmic_read_adc": PMIC}, gpus)
    assert [meter.kind for meter in find(here)] == list(KINDS)
    assert [choose(here, kind)[0].kind for kind in (None, *KINDS)] == ["ina3221", *KINDS]  # type: ignore[union-attr]


def test_of_two_chips_of_unknown_wiring_none_is_guessed(tmp_path: Path) -> None:
    twice = INA226 | {path.replace("hwmon2", "hwmon5"): text for path, text in INA226.items()}
    here = machine(tmp_path, twice)
    meter, reason = choose(here)
    assert meter is None
    assert reason == "2 meters of kind ina2xx (/sys/class/hwmon/hwmon2, /sys/class/hwmon/hwmon5): take one of them by its path"
    meter, reason = choose(here, "/sys/class/hwmon/hwmon5")
    assert meter is not None and (meter.path, reason) == ("/sys/class/hwmon/hwmon5", None)


def test_without_a_meter_every_kind_has_its_reason(tmp_path: Path) -> None:
    assert find(machine(tmp_path, {})) == []
    assert choose(machine(tmp_path, {})) == (
        None,
        "ina3221: no rail of an INA3221 under /sys/class/hwmon or /sys/bus/i2c/drivers/ina3221x; "
        "ina2xx: no INA2xx under /sys/class/hwmon; pmic: vcgencmd: not found; "
        "rapl: no package under /sys/class/powercap/intel-rapl:*",
    )
    assert choose(machine(tmp_path, {}), "sundial") == (
        None,
        "no meter at sundial; there are none",
    )


def nonsense() -> Iterator[str]:
    return itertools.cycle(("", "-", "5e3", "\0", "12 13", "n/a", "0x", "=A"))


def test_nonsense_in_files_and_answers_is_no_number(tmp_path: Path) -> None:
    files = ORIN_NANO | AGX_ORIN | NANO | INA226 | zones()
    garbled = {path: said for (path, text), said in zip(files.items(), nonsense(), strict=False) if text.strip().isdigit()}
    assert not [meter for meter in find(machine(tmp_path, files | garbled, {"vcgencmd pmic_read_adc": "VDD_CORE_A=1A"})) if meter.values()]


def test_the_nouns_know_every_kind_of_meter() -> None:
    for noun, field in ((Sensor, "kind"), (Energy, "meter")):
        assert set(KINDS) <= {name for kind in get_args(get_type_hints(noun)[field]) for name in get_args(kind) or (kind,)}
