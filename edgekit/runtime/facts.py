"""One look at the machine that an agent runs on; what cannot be known is None."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from edgekit import __version__
from edgekit.runtime.verbs import FactsReply
from edgekit.telemetry import decline

__all__ = ["probe_facts"]


def probe_facts() -> FactsReply:
    """Facts of this machine, gathered without loading onnxruntime into this process."""
    return FactsReply(
        version=__version__,
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        processor=_processor(),
        python=platform.python_version(),
        onnxruntime=_onnxruntime(),
        cores=os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        load_average=os.getloadavg()[0],
        providers=_providers(),
    )


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_bytes() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _onnxruntime() -> str:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


@cache
def _providers() -> tuple[str, ...]:
    decline()
    code = "import onnxruntime; print(*onnxruntime.get_available_providers())"
    asked = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return tuple(asked.stdout.split())


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []
