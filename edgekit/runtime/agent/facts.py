"""What an agent says of its device: the machine, and the onnxruntime that its stages would use."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.machine import Machine
from edgekit.runtime.links.transport_packages import available
from edgekit.runtime.machine.machine_probe import probe
from edgekit.runtime.machine.sources import Here
from edgekit.runtime.origin import environment
from edgekit.runtime.verbs import FactsReply
from edgekit.telemetry import decline

__all__ = ["probe_facts"]

ASK_S = 60.0
ASK = """
from importlib import metadata
found = [each.version for name in ("onnxruntime", "onnxruntime-gpu") for each in metadata.distributions(name=name)]
print(*found[:1], flush=True)
import onnxruntime
print(*onnxruntime.get_available_providers(), *sorted(metadata.entry_points(group="edgekit.backends").names))
"""
"""Asked of another process: the agent is small without what this loads."""


def probe_facts() -> FactsReply:
    """Facts of this device, gathered without loading onnxruntime into this process."""
    installed = Path(msgspec.__file__).parents[1].stat()  # where packages come and go
    version, providers = _onnxruntime(installed.st_mtime_ns)
    return FactsReply(__version__, msgspec.convert(probe(Here()), Machine), version, providers, available())


@cache
def _onnxruntime(changed_ns: int) -> tuple[str, tuple[str, ...]]:
    """The version that is installed since then, and its providers: none where it cannot be imported."""
    decline()
    command = [sys.executable, "-c", ASK]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=False, env=environment())
    version, *providers = [*asked.stdout.splitlines(), ""]
    return version, tuple(" ".join(providers).split())
