"""What a machine suffers from is told with its remedy; a machine that is well has nothing to be told of."""

from pathlib import Path

import msgspec
import pytest

from edgekit.deploy.observe.health import ailments, unknowns
from edgekit.machine import CoreCluster, Interface, Jetson, Machine, Missing, Throttling
from edgekit.runtime.machine.processor import processor
from edgekit.runtime.machine.sources import Here
from tests.runtime.test_machine import tree

WELL = Machine(
    "aarch64",
    4,
    clusters=(CoreCluster((0, 1, 2, 3), governor="ondemand"),),
    available_bytes=3_000_000_000,
    disk_free_bytes=20_000_000_000,
    clock_offset_s=0.02,
    load_average=0.1,
    temperature_c=48.0,
    throttling=Throttling(0),
    jetson=Jetson(clocks_pinned=True),
    interfaces=(Interface("wlan0", up=True, wireless=True, power_save=False), Interface("wlan1", wireless=True, power_save=True)),
)

ILL = (
    ({"throttling": Throttling(5, ("undervoltage", "throttled"))}, ("supply voltage is too low", "cool it")),
    ({"temperature_c": 84.0}, ("it has 84 °C",)),
    ({"clusters": (CoreCluster((0,), governor="powersave"),)}, ("echo performance | sudo tee /sys",)),
    ({"jetson": Jetson(clocks_pinned=False)}, ("sudo jetson_clocks",)),
    ({"interfaces": (Interface("wlan0", up=True, wireless=True, power_save=True),)}, ("sudo iw dev wlan0 set power_save off",)),
    ({"clock_offset_s": -1.7e9}, ("it is 19676 days behind",)),
    ({"clock_offset_s": 7300.0}, ("it is 2 hours ahead",)),
    ({"disk_free_bytes": 90_000_000}, ("90 MB are free",)),
    ({"available_bytes": 90_000_000}, ("90 MB are available",)),
    ({"load_average": 3.2}, ("3.2 of its 4 cores are busy",)),
)


def test_a_machine_that_is_well_has_no_ailment() -> None:
    assert list(ailments(WELL)) == []


def test_a_machine_that_says_nothing_of_itself_has_no_ailment() -> None:
    assert list(ailments(Machine("riscv64", 1))) == []


@pytest.mark.xfail(strict=True, reason="nothing is said of a Wi-Fi whose power saving could not be found out")
def test_a_wireless_interface_that_does_not_tell_its_power_save_is_named() -> None:
    machine = msgspec.structs.replace(WELL, family="raspberry-pi", interfaces=(Interface("wlan0", up=True, wireless=True),))
    assert "Wi-Fi" in [ailment.check for ailment in ailments(machine)]


@pytest.mark.xfail(strict=True, reason="powersave is taken for a slow governor, also where the driver makes it the dynamic one")
@pytest.mark.parametrize("driver", ["intel_pstate", "amd-pstate-epp"])
def test_powersave_is_dynamic_where_the_driver_makes_it_so(tmp_path: Path, driver: str) -> None:
    policy = "sys/devices/system/cpu/cpufreq/policy0"
    files = {
        f"{policy}/related_cpus": "0 1",
        f"{policy}/scaling_governor": "powersave",
        f"{policy}/scaling_driver": driver,
        f"{policy}/scaling_cur_freq": "3400000",
        f"{policy}/scaling_min_freq": "800000",
        f"{policy}/scaling_max_freq": "3400000",
        "proc/cpuinfo": "".join(f"processor\t: {number}\nmodel name\t: Intel(R) N100\n\n" for number in range(2)),
    }
    machine = msgspec.convert({**processor(Here(tree(tmp_path, files), {})), "architecture": "x86_64"}, Machine)
    assert [ailment.text for ailment in ailments(machine) if "keeps it slow" in ailment.text] == []


@pytest.mark.parametrize(("changes", "texts"), ILL)
def test_each_ailment_is_told_with_its_remedy(changes: dict[str, object], texts: tuple[str, ...]) -> None:
    found = [ailment.text for ailment in ailments(msgspec.structs.replace(WELL, **changes))]
    assert len(found) == len(texts)
    assert all(text in each for text, each in zip(texts, found, strict=True))


def test_a_machine_that_is_well_and_says_so_has_nothing_unknown() -> None:
    assert list(unknowns(WELL)) == []


def test_what_could_not_be_looked_at_is_unknown_for_a_reason() -> None:
    mute = Machine("aarch64", 4, family="raspberry-pi", jetson=Jetson(), missing=(Missing("throttling", "vcgencmd: Permission denied"),))
    found = [each.text for each in unknowns(mute)]
    assert found[0] == "whether it is throttled is unknown, because vcgencmd: Permission denied"
    assert found[1] == "its temperature is unknown, because the machine does not say"
    checks = [each.check for each in unknowns(mute)]
    assert checks == ["power and heat", "power and heat", "clocks", "clocks", "network", "clock", "disk", "memory", "load"]
    assert "clock" not in [each.check for each in unknowns(mute, clock=False)]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"temperature_c": None}, "its temperature is unknown"),
        ({"clusters": (CoreCluster((0,)),)}, "its governor is unknown"),
        ({"interfaces": (Interface("wlan0", up=True, wireless=True),)}, "whether it saves power is unknown"),
        ({"load_average": None}, "its load is unknown"),
    ],
)
def test_each_thing_that_is_unknown_is_told_alone(changes: dict[str, object], text: str) -> None:
    (found,) = unknowns(msgspec.structs.replace(WELL, **changes))
    assert found.text.startswith(text)
