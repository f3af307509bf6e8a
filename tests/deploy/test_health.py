"""What a machine suffers from is told with its remedy; a machine that is well has nothing to be told of."""

import msgspec
import pytest

from edgekit.deploy.health import ailments
from edgekit.machine import CoreCluster, Interface, Jetson, Machine, Throttling

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


@pytest.mark.parametrize(("changes", "texts"), ILL)
def test_each_ailment_is_told_with_its_remedy(changes: dict[str, object], texts: tuple[str, ...]) -> None:
    found = [ailment.text for ailment in ailments(msgspec.structs.replace(WELL, **changes))]
    assert len(found) == len(texts)
    assert all(text in each for text, each in zip(texts, found, strict=True))
