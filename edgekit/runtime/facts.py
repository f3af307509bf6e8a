"""What an agent says of its device: the machine, and the onnxruntime that its stages would use."""

import subprocess
import sys
from functools import cache
from importlib import metadata

import msgspec

from edgekit import __version__
from edgekit.machine import Machine
from edgekit.runtime.machine.probing import probe
from edgekit.runtime.machine.reading import Here
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import FactsReply
from edgekit.telemetry import decline

__all__ = ["probe_facts"]

PROVIDERS_S = 60.0


def probe_facts() -> FactsReply:
    """Facts of this device, gathered without loading onnxruntime into this process."""
    return FactsReply(__version__, msgspec.convert(probe(Here()), Machine), _onnxruntime(), _providers())


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
    command = [sys.executable, "-c", code]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=PROVIDERS_S, check=False, env=environment())
    return tuple(asked.stdout.split())
