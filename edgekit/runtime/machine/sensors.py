"""Heat, what is held back by it, meters of power, and accelerators.

Formats: Documentation/hwmon/ina3221 and ina2xx, Documentation/ABI/testing/sysfs-class-powercap and sysfs-class-thermal of the
Linux kernel; vcgencmd(1) of the Raspberry Pi documentation; nvidia-smi --help-query-gpu; nvpmodel, jetson_clocks and
/etc/nv_tegra_release of NVIDIA's Jetson Linux developer guide.
"""

from __future__ import annotations

import os
import re
from typing import Any

from edgekit.runtime.machine.sources import Here

__all__ = ["BITS", "sensing", "temperatures", "throttling"]

BITS = ("undervoltage", "frequency capped", "throttled", "soft temperature limit")
LIBRARIES = ("/usr/lib/*/", "/usr/lib/", "/usr/local/lib/", "/usr/local/cuda/lib64/", "/usr/local/cuda/targets/*/lib/")

GPUS = "nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv,noheader,nounits"
UNKNOWN = ("", "N/A", "Not Supported", "Not Found")


def sensing(here: Here, family: str) -> dict[str, Any]:
    """The fields of a Machine that its sensors and accelerators fill."""
    return {
        "temperature_c": _temperature(here),
        "throttling": throttling(here) if family == "raspberry-pi" else None,
        "jetson": _jetson(here) if family == "jetson" else None,
        "cuda": _library(here, "libcudart.so", "cuda"),
        "tensorrt": _library(here, "libnvinfer.so", "tensorrt"),
        "gpus": _gpus(here),
        "sensors": [*_monitors(here), *_pmic(here, family), *_rapl(here)],
    }


def temperatures(here: Here) -> dict[str, float]:
    """°C of every thermal zone by its type; several of one type are numbered."""
    found: dict[str, float] = {}
    for zone in here.glob("/sys/class/thermal/thermal_zone*"):
        value, kind = here.number(zone + "/temp"), here.text(zone + "/type") or zone.rpartition("/")[2]
        if value is not None and -50000 < value < 200000:
            found[kind if kind not in found else f"{kind} {zone.rpartition('thermal_zone')[2]}"] = value / 1000
    return found


def _temperature(here: Here) -> float | None:
    """The hottest zone."""
    hottest = max(temperatures(here).values(), default=None)
    if hottest is None:
        here.lacks("temperature_c", "/sys/class/thermal: no zone that can be read")
    return hottest


def throttling(here: Here) -> dict[str, Any] | None:
    """What holds a Raspberry Pi back, now and since it was started; None where its firmware does not say."""
    said = here.command("vcgencmd get_throttled", "throttling")
    found = re.match(r"throttled=(0x[0-9a-fA-F]+)$", said or "")
    if not found:
        if said is not None:
            here.lacks("throttling", f"vcgencmd get_throttled: not understood: {said[:40]!r}")
        return None
    mask = int(found.group(1), 16)
    now = [name for bit, name in enumerate(BITS) if mask >> bit & 1]
    return {"mask": mask, "now": now, "since_boot": [name for bit, name in enumerate(BITS) if mask >> (bit + 16) & 1]}


def _jetson(here: Here) -> dict[str, Any]:
    release = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", here.text("/etc/nv_tegra_release", "jetson.release") or "")
    said = here.command("nvpmodel -q", "jetson.power_mode")
    mode = re.search(r"NV Power Mode: *(\S+)", said or "")
    if said is not None and mode is None:
        here.lacks("jetson.power_mode", f"nvpmodel -q: not understood: {said[:40]!r}")
    least = here.number("/sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq", "jetson.clocks_pinned")
    most = here.number("/sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "jetson.clocks_pinned")
    return {
        "release": "R" + ".".join(release.groups()) if release else None,
        "power_mode": mode.group(1) if mode else None,
        "clocks_pinned": None if least is None or most is None else least == most,
    }


def _library(here: Here, name: str, field: str) -> str | None:
    """The longest version in the file names of a library."""
    names = [path.rpartition("/")[2] for folder in LIBRARIES for path in here.glob(folder + name + ".*")]
    versions = [found[len(name) + 1 :] for found in names]
    if not versions:
        here.lacks(field, name + ": not found")
    return max(versions, key=len, default=None)


def _gpus(here: Here) -> list[dict[str, Any]]:
    """Asked through a command, which a driver that hangs does not take down with it."""
    found = []
    for line in (here.command(GPUS, "gpus") or "").splitlines():
        name, *rest = [None if value.strip("[] ") in UNKNOWN else value.strip() for value in line.split(",")]
        if name and len(rest) == 3:
            capability, driver, mebibytes = rest
            memory = int(mebibytes) << 20 if mebibytes and mebibytes.isdigit() else None
            found.append({"name": name, "compute_capability": capability, "driver": driver, "memory_bytes": memory})
    return found


def _monitors(here: Here) -> list[dict[str, Any]]:
    """INA3221 (three rails, labelled) and INA2xx meters of the hwmon class."""
    found = []
    for folder in here.glob("/sys/class/hwmon/hwmon*"):
        name = here.text(folder + "/name") or ""
        if name.startswith("ina"):
            labels = [here.text(path) or "" for path in here.glob(folder + "/in*_label")]
            rails = [label for label in labels if label and label != "NC" and not label.startswith("sum of")]
            found.append({"kind": "ina3221" if name.startswith("ina3221") else "ina2xx", "path": folder, "rails": rails})
    return found


def _pmic(here: Here, family: str) -> list[dict[str, Any]]:
    """The power management circuit of a Raspberry Pi 5; both forms of its answer begin with the name of a rail."""
    said = here.command("vcgencmd pmic_read_adc", "sensors.pmic") if family == "raspberry-pi" else None
    rails = re.findall(r"^\s*(\w+)_A\b", said or "", re.MULTILINE)
    return [{"kind": "pmic", "path": "vcgencmd pmic_read_adc", "rails": rails}] if rails else []


def _rapl(here: Here) -> list[dict[str, Any]]:
    found = []
    for folder in here.glob("/sys/class/powercap/intel-rapl:*"):
        readable = os.access(here.path(folder + "/energy_uj"), os.R_OK)
        rail = here.text(folder + "/name") or folder.rpartition("/")[2]
        reason = None if readable else "energy_uj can be read by root alone"
        found.append({"kind": "rapl", "path": folder, "rails": [rail], "reason": reason})
    return found
