"""The energy counters of Intel and AMD processors ("running average power limit"), in joules.

Format: Documentation/power/powercap/powercap.rst and Documentation/ABI/testing/sysfs-class-powercap of the Linux kernel:
``energy_uj`` in µJ begins again at 0 after ``max_energy_range_uj``. Only root may read it (CVE-2020-8694) unless
somebody has changed that.

    intel-rapl:0      package-0     counted
    intel-rapl:0:0    core          within the package
    intel-rapl:0:1    uncore        within the package
    intel-rapl:0:2    dram          counted: beside the package
    intel-rapl:1      psys          the whole board where its maker has wired it, the package included: not counted
"""

from __future__ import annotations

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.meter import Meter

__all__ = ["meters"]


def meters(here: Here) -> list[Meter]:
    """One meter of all zones; intel-rapl-mmio, which repeats the package, is none of them."""
    folders: dict[str, str] = {}
    range_j: dict[str, float] = {}
    for folder in here.glob("/sys/class/powercap/intel-rapl:*"):
        rail, most = _name(here, folder), here.number(folder + "/max_energy_range_uj", "power.rapl")
        if here.number(folder + "/energy_uj", "power.rapl") is not None and most is not None:
            folders[rail], range_j[rail] = folder, most / 1e6
    counted = tuple(rail for rail in folders if rail.startswith("package") and _own(rail) in (rail, "dram"))
    if not counted:
        if "power.rapl" not in here.missing:
            here.lacks("power.rapl", "no package under /sys/class/powercap/intel-rapl:*")
        return []
    return [Meter("rapl", "/sys/class/powercap", "joules", tuple(folders), counted, lambda: _joules(here, folders), range_j)]


def _name(here: Here, folder: str) -> str:
    """Zones bear their names, those within another zone also that one's: ``package-0/dram``."""
    name = here.text(folder + "/name") or folder.rpartition("/")[2]
    above, _, _ = folder.rpartition(":")
    return f"{_name(here, above)}/{name}" if ":" in above else name


def _own(rail: str) -> str:
    return rail.rpartition("/")[2]


def _joules(here: Here, folders: dict[str, str]) -> dict[str, float]:
    found = {rail: here.number(folder + "/energy_uj", "power") for rail, folder in folders.items()}
    return {rail: microjoules / 1e6 for rail, microjoules in found.items() if microjoules is not None}
