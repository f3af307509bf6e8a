"""The power management circuit of a Raspberry Pi 5, asked through its firmware.

Format: ``vcgencmd pmic_read_adc`` of the Raspberry Pi documentation (computers/os.html), which tells a current and a voltage
of most rails, each in a line of its own. Older and newer firmware write them differently:

    VDD_CORE_A current(7)=0.82300000A        VDD_CORE_A=0.8230A
    VDD_CORE_V volt(15)=0.72119430V          VDD_CORE_V=0.7212V

The sum is what the circuit's own outputs deliver. It is less than what the board takes: its own losses and whatever hangs
on 5 V (USB, HATs, fans) are not in it.
"""

from __future__ import annotations

import re

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.power.meter import Meter

__all__ = ["meters"]

COMMAND = "vcgencmd pmic_read_adc"
LINE = re.compile(r"^\s*(\w+)_([AV])(?: +(?:current|volt)\(\d+\))?=(\d+(?:\.\d+)?)([AV])\s*$", re.MULTILINE)
INPUTS = ("EXT5V", "BATT")
"""What comes in feeds the other rails, so it is not added to them."""


def meters(here: Here) -> list[Meter]:
    """One meter of all rails of which both the current and the voltage are known."""
    said = here.command(COMMAND, "power.pmic")
    rails = tuple(_watts(said or ""))
    if not rails:
        if said is not None:
            here.lacks("power.pmic", f"{COMMAND}: no rail with a current and a voltage in {said[:40]!r}")
        return []
    return [Meter("pmic", COMMAND, "watts", rails, rails, lambda: _watts(here.command(COMMAND, "power") or ""))]


def _watts(said: str) -> dict[str, float]:
    """Volts times amperes of every rail that has both.

    >>> _watts("1V1_SYS_A current(5)=0.5A\\n1V1_SYS_V volt(13)=1.1V\\nEXT5V_V volt(24)=5.1V")
    {'1V1_SYS': 0.55}
    """
    found: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, quantity, number, unit in LINE.findall(said):
        if quantity == unit and rail not in INPUTS:
            found[quantity][rail] = float(number)
    return {rail: amperes * found["V"][rail] for rail, amperes in found["A"].items() if rail in found["V"]}
