"""What a machine suffers from that makes figures worse than they need be, each with what to do about it."""

from collections.abc import Iterator
from typing import NamedTuple

from edgekit.machine import Machine

__all__ = ["Ailment", "ailments", "unknowns"]

LEAST_DISK_BYTES = 500_000_000
LEAST_MEMORY_BYTES = 250_000_000
HOT_C = 80.0
MOST_CLOCK_OFFSET_S = 60.0
BUSY = 0.5
"""Share of the cores that others may use."""

THROTTLED = {
    "undervoltage": "its supply voltage is too low: use its own power supply and a short cable",
    "frequency capped": "its clock is held down: cool it, or see its power supply",
    "throttled": "it is throttled: cool it",
    "soft temperature limit": "it has reached its soft temperature limit: cool it",
}


class Ailment(NamedTuple):
    """A check that a machine does not pass, and the remedy."""

    check: str
    text: str


def ailments(machine: Machine) -> Iterator[Ailment]:
    """Those that its facts show."""
    for word in machine.throttling.now if machine.throttling else ():
        yield Ailment("power and heat", THROTTLED.get(word, f"{word}: cool it, or see its power supply"))
    if machine.temperature_c is not None and machine.temperature_c >= HOT_C:
        yield Ailment("power and heat", f"it has {machine.temperature_c:.0f} °C: cool it before you measure")
    if any(cluster.governor == "powersave" for cluster in machine.clusters):
        remedy = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        yield Ailment("clocks", f"its governor is powersave, which keeps it slow: {remedy}")
    if machine.jetson is not None and machine.jetson.clocks_pinned is False:
        yield Ailment("clocks", "its clocks are not pinned, so that figures vary: sudo jetson_clocks")
    for interface in machine.interfaces:
        if interface.up and interface.power_save:
            remedy = f"sudo iw dev {interface.name} set power_save off"
            yield Ailment("Wi-Fi", f"power save is on, which can make a round trip of 6 ms one of 120 ms: {remedy}")
    if machine.clock_offset_s is not None and abs(machine.clock_offset_s) > MOST_CLOCK_OFFSET_S:
        way = "behind" if machine.clock_offset_s < 0 else "ahead"
        text = f"{_span(abs(machine.clock_offset_s))} {way}, so that downloads and certificates fail: sudo timedatectl set-ntp true"
        yield Ailment("clock", f"it is {text}")
    if machine.disk_free_bytes is not None and machine.disk_free_bytes < LEAST_DISK_BYTES:
        yield Ailment("disk", f"{machine.disk_free_bytes / 1e6:.0f} MB are free: make room, models and packages need more")
    if machine.available_bytes is not None and machine.available_bytes < LEAST_MEMORY_BYTES:
        yield Ailment("memory", f"{machine.available_bytes / 1e6:.0f} MB are available: end what else runs there")
    if machine.load_average is not None and machine.load_average > BUSY * machine.cores:
        busy = f"{machine.load_average:.1f} of its {machine.cores} cores are busy"
        yield Ailment("load", f"{busy} with something else: end it before you measure")


def unknowns(machine: Machine, clock: bool = True) -> Iterator[Ailment]:
    """The checks that could not be made, each with the reason; ``clock``: whether its clock was to be compared with another."""
    throttled = machine.family == "raspberry-pi" and machine.throttling is None
    pinned = machine.jetson is not None and machine.jetson.clocks_pinned is None
    governed = all(cluster.governor is not None for cluster in machine.clusters) and machine.clusters
    saving = any(each.wireless and each.up and each.power_save is None for each in machine.interfaces)
    for check, what, field, lacks in (
        ("power and heat", "whether it is throttled", "throttling", throttled),
        ("power and heat", "its temperature", "temperature_c", machine.temperature_c is None),
        ("clocks", "its governor", "clusters.governor", not governed),
        ("clocks", "whether its clocks are pinned", "jetson.clocks_pinned", pinned),
        ("Wi-Fi", "whether it saves power", "interfaces.power_save", saving),
        ("network", "its interfaces", "interfaces", not machine.interfaces),
        ("clock", "how far its clock is off", "clock_offset_s", clock and machine.clock_offset_s is None),
        ("disk", "what is free", "disk_bytes", machine.disk_free_bytes is None),
        ("memory", "what is available", "available_bytes", machine.available_bytes is None),
        ("load", "its load", "load_average", machine.load_average is None),
    ):
        if lacks:
            yield Ailment(check, f"{what} is {machine.unknown(field)}")


def _span(seconds: float) -> str:
    for size, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
