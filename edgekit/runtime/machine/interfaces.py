"""Network interfaces: their addresses, their speed, and whether a wireless one saves power.

Formats: Documentation/ABI/testing/sysfs-class-net of the Linux kernel; ip-address(8) with -json; iw(8).
"""

from __future__ import annotations

import json
from typing import Any

from edgekit.runtime.machine.sources import Here

__all__ = ["interfaces"]

NET = "/sys/class/net"


def interfaces(here: Here) -> list[dict[str, Any]]:
    """Every interface but the loopback."""
    addresses = _addresses(here)
    names = [path.rpartition("/")[2] for path in here.glob(NET + "/*")]
    if not names:
        here.lacks("interfaces", NET + ": nothing that can be read")
    return [_interface(here, name, addresses.get(name, [])) for name in names if name != "lo" and here.text(f"{NET}/{name}/mtu")]


def _addresses(here: Here) -> dict[str, list[str]]:
    said = here.command("ip -json address show", "interfaces.addresses")
    try:
        links = json.loads(said or "[]")
        return {
            link["ifname"]: [f"{one['local']}/{one['prefixlen']}" for one in link.get("addr_info", []) if one.get("scope") != "link"]
            for link in links
            if link.get("ifname")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        here.lacks("interfaces.addresses", "ip: its JSON was not understood")
        return {}


def _interface(here: Here, name: str, addresses: list[str]) -> dict[str, Any]:
    folder = f"{NET}/{name}"
    wireless = bool(here.glob(folder + "/wireless") or here.glob(folder + "/phy80211"))
    megabits = here.number(folder + "/speed")
    return {
        "name": name,
        "addresses": addresses,
        "up": here.text(folder + "/operstate") in ("up", "unknown"),
        "wireless": wireless,
        "bits_per_s": _wireless_rate(here, name) if wireless else (megabits * 1000000 if megabits and megabits > 0 else None),
        "mtu": here.number(folder + "/mtu"),
        "mac": here.text(folder + "/address") or None,
        "power_save": _power_save(here, name) if wireless else None,
    }


def _power_save(here: Here, name: str) -> bool | None:
    said = here.command(f"iw dev {name} get power_save", "interfaces.power_save")
    if said is None or "Power save:" not in said:
        if said is not None:
            here.lacks("interfaces.power_save", f"iw dev {name} get power_save: not understood: {said[:40]!r}")
        return None
    return said.rpartition(":")[2].strip() == "on"


def _wireless_rate(here: Here, name: str) -> int | None:
    for line in (here.command(f"iw dev {name} link", "interfaces.bits_per_s") or "").splitlines():
        words = line.split()
        if words[:2] == ["tx", "bitrate:"] and len(words) > 2:
            try:
                return int(float(words[2]) * 1000000)
            except ValueError:
                return None
    return None
