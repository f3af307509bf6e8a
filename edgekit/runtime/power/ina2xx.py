"""INA219, INA226, INA260 and their kin, which work out the power of one rail themselves.

Format: Documentation/hwmon/ina2xx.rst and Documentation/hwmon/ina238.rst of the Linux kernel (``power1_input`` in µW);
``label`` is that of Documentation/ABI/testing/sysfs-class-hwmon.
"""

from __future__ import annotations

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.meter import Meter

__all__ = ["meters"]


def meters(here: Here) -> list[Meter]:
    """Every chip is a meter of its own: what each one is wired to, only its owner knows."""
    found = []
    for folder in here.glob("/sys/class/hwmon/hwmon*"):
        chip = here.text(folder + "/name") or ""
        if chip.startswith("ina2") and here.number(folder + "/power1_input", "power.ina2xx") is not None:
            rail = here.text(folder + "/label") or here.text(folder + "/in1_label") or chip
            found.append(_meter(here, folder, rail))
    if not found and "power.ina2xx" not in here.missing:
        here.lacks("power.ina2xx", "no INA2xx under /sys/class/hwmon")
    return found


def _meter(here: Here, folder: str, rail: str) -> Meter:
    def read() -> dict[str, float]:
        microwatts = here.number(folder + "/power1_input", "power")
        return {} if microwatts is None else {rail: microwatts / 1e6}

    return Meter("ina2xx", folder, "watts", (rail,), (rail,), read)
