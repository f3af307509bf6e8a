"""Board, processor, its clusters of cores, their clocks, and the instructions that matter to kernels.

Formats: Documentation/ABI/testing/sysfs-devices-system-cpu and Documentation/cpu-freq of the Linux kernel;
Documentation/devicetree/usage-model; the part numbers of MIDR_EL1 in arch/arm64/include/asm/cputype.h.
"""

from __future__ import annotations

import os
import platform
import re
import struct
from typing import Any

from edgekit.runtime.machine.sources import Here

__all__ = ["family", "instructions", "processor"]

FEATURES = (
    "asimd asimddp asimdhp bf16 fphp i8mm neon sme sve sve2 aes "
    "avx avx2 avx512_bf16 avx512_vnni avx512bw avx512f avx_vnni amx_bf16 amx_int8 amx_tile f16c fma sse4_2"
).split()
PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0d": "Cortex-A77",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
CPU = "/sys/devices/system/cpu"


def processor(here: Here) -> dict[str, Any]:
    """The fields of a Machine that its board and processor fill."""
    blocks = _blocks(here)
    board, compatible = _board(here)
    return {
        "architecture": platform.machine() if here.root == "/" else _architecture(blocks),
        "bits": struct.calcsize("P") * 8,
        "cores": len(blocks) or os.cpu_count() or 1,
        "family": family(here),
        "board": board,
        "soc": compatible[-1].split(",")[-1] or None,
        "processor": _name(blocks),
        "clusters": _clusters(here, blocks),
        "features": [name for name in FEATURES if any(name in _flags(block) for block in blocks)],
    }


def instructions(here: Here) -> set[str]:
    """Every extension that some processor says it has; empty: none says anything."""
    return {flag for block in _blocks(here) for flag in _flags(block)}


def _blocks(here: Here) -> list[dict[str, str]]:
    """One dictionary for each processor of /proc/cpuinfo."""
    blocks: list[dict[str, str]] = []
    for line in here.lines("/proc/cpuinfo", "features"):
        name, _, value = line.partition(":")
        if name.strip() == "processor":
            blocks.append({})
        if blocks:
            blocks[-1][name.strip()] = value.strip()
    return blocks


def _flags(block: dict[str, str]) -> list[str]:
    return (block.get("Features") or block.get("flags") or "").split()


def _architecture(blocks: list[dict[str, str]]) -> str:
    return "aarch64" if any("CPU part" in block for block in blocks) else "x86_64"


def _name(blocks: list[dict[str, str]]) -> str | None:
    names = [block.get("model name") or PARTS.get(block.get("CPU part", "").lower(), block.get("CPU part", "")) for block in blocks]
    return " + ".join(dict.fromkeys(name for name in names if name)) or None


def _board(here: Here) -> tuple[str | None, list[str]]:
    board = here.text("/proc/device-tree/model") or here.text("/sys/class/dmi/id/product_name", "board")
    return board, (here.text("/proc/device-tree/compatible") or "").split("\0")


def family(here: Here) -> str:
    """What its board is recognised as."""
    board, compatible = _board(here)
    board = board or ""
    if board.startswith("Raspberry Pi") or any(name.startswith("raspberrypi,") for name in compatible):
        return "raspberry-pi"
    jetson = re.search(r"Jetson|NVIDIA Orin|Tegra", board) or any(name.startswith("nvidia,tegra") for name in compatible)
    return "jetson" if jetson else "other"


def _clusters(here: Here, blocks: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Cores by clock domain where the kernel tells it, else by what they are."""
    found = []
    for policy in here.glob(CPU + "/cpufreq/policy*"):
        cores = [int(word) for word in (here.text(policy + "/related_cpus") or "").split() if word.isdigit()]
        if cores:
            found.append(_cluster(here, blocks, cores, policy))
    if found:
        return found
    for field in ("clusters.clock_hz", "clusters.governor"):
        here.lacks(field, CPU + "/cpufreq: no policies; the clock is not this system's to set")
    kinds: dict[Any, list[int]] = {}
    for core, block in enumerate(blocks):
        kinds.setdefault((block.get("CPU part"), here.number(f"{CPU}/cpu{core}/cpu_capacity")), []).append(core)
    return [_cluster(here, blocks, cores, None) for cores in kinds.values()]


def _cluster(here: Here, blocks: list[dict[str, str]], cores: list[int], policy: str | None) -> dict[str, Any]:
    first = blocks[cores[0]] if cores[0] < len(blocks) else {}
    part = first.get("CPU part", "").lower()

    def hertz(name: str) -> int | None:
        thousands = here.number(f"{policy}/{name}") if policy else None
        return None if thousands is None else thousands * 1000

    return {
        "cores": cores,
        "part": PARTS.get(part, part) or None,
        "capacity": here.number(f"{CPU}/cpu{cores[0]}/cpu_capacity"),
        "governor": here.text(policy + "/scaling_governor", "clusters.governor") if policy else None,
        "clock_hz": hertz("scaling_cur_freq"),
        "least_hz": hertz("scaling_min_freq"),
        "most_hz": hertz("scaling_max_freq"),
    }
