"""The INA3221 monitors of a Jetson module: three rails each, in watts.

Formats: Documentation/hwmon/ina3221.rst of the Linux kernel (``inN_input`` in mV times ``currN_input`` in mA); up to
JetPack 4 the ina3221x driver of NVIDIA's own kernel, as an IIO device (``in_voltageN_input`` in mV, ``in_currentN_input``
in mA, ``rail_name_N``). What the rails feed: Power and performance, in NVIDIA's Jetson Linux developer guide.
"""

from __future__ import annotations

from typing import NamedTuple

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.meter import Meter

__all__ = ["meters"]

HWMON = "/sys/class/hwmon/hwmon*"
IIO = ("/sys/bus/i2c/drivers/ina3221x/*/iio:device*", "/sys/bus/i2c/drivers/ina3221x/*/iio_device")
INPUTS = ("VDD_IN", "POM_5V_IN")
"""Rails that feed a whole module; every other rail lies behind them."""
BEHIND = {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}
"""Rails that another one feeds, where a module has no input rail: on an AGX Orin both have the same 5 V before their shunts."""


class _Rail(NamedTuple):
    name: str
    millivolts: str
    milliamperes: str


def meters(here: Here) -> list[Meter]:
    """All rails of a module as one meter, since its chips share the rails between them."""
    rails = _hwmon(here) or _iio(here)
    if not rails:
        here.lacks("power.ina3221", "no rail of an INA3221 under /sys/class/hwmon or /sys/bus/i2c/drivers/ina3221x")
        return []
    names = tuple(rail.name for rail in rails)
    whole = [name for name in names if name in INPUTS]
    counted = tuple(whole[:1]) or tuple(name for name in names if BEHIND.get(name) not in names)
    path = rails[0].millivolts.rpartition("/")[0]
    return [Meter("ina3221", path, "watts", names, counted, lambda: _watts(here, rails))]


def _hwmon(here: Here) -> list[_Rail]:
    """Channels 1 to 3; those from 4 on are shunt voltages and sums, and NC means not connected."""
    found: list[_Rail] = []
    for folder in here.glob(HWMON):
        if (here.text(folder + "/name") or "").startswith("ina3221"):
            for n in (1, 2, 3):
                name = here.text(f"{folder}/in{n}_label")
                if here.number(f"{folder}/in{n}_enable") != 0:
                    _add(found, name, f"{folder}/in{n}_input", f"{folder}/curr{n}_input")
    return found


def _iio(here: Here) -> list[_Rail]:
    found: list[_Rail] = []
    for folder in next((folders for folders in map(here.glob, IIO) if folders), []):
        for n in (0, 1, 2):
            name = here.text(f"{folder}/rail_name_{n}")
            _add(found, name, f"{folder}/in_voltage{n}_input", f"{folder}/in_current{n}_input")
    return found


def _add(rails: list[_Rail], name: str | None, millivolts: str, milliamperes: str) -> None:
    """A rail that has a name of its own; one without is not connected, or nobody knows what it feeds."""
    if name and name != "NC" and name not in {rail.name for rail in rails}:
        rails.append(_Rail(name, millivolts, milliamperes))


def _watts(here: Here, rails: list[_Rail]) -> dict[str, float]:
    found = {}
    for rail in rails:
        millivolts, milliamperes = here.number(rail.millivolts, "power"), here.number(rail.milliamperes, "power")
        if millivolts is not None and milliamperes is not None:
            found[rail.name] = millivolts * milliamperes / 1e6
    return found
